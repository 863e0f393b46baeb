"""Bodies as clients may send them: brackets inside texts do not count, however they are hidden."""

import json
from time import thread_time

import pytest

from base.web.answers import MAX_BYTES, MAX_DEPTH, MAX_NAMES, MAX_PARTS, parse_object
from base.web.errors import MalformedBody
from base.web.forms import Form
from operations.limits import MOST_NAMED


def nested(depth: int) -> str:
    """An object that holds so many levels in all."""
    return '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)


def test_the_deepest_that_is_read():
    assert parse_object(nested(MAX_DEPTH).encode()) == json.loads(nested(MAX_DEPTH))
    with pytest.raises(MalformedBody, match="nested more than"):
        parse_object(nested(MAX_DEPTH + 1).encode())


@pytest.mark.parametrize("text", ["[" * 50, '\\"[[[[[[[[[[[[', "\\\\", '\\\\\\"' + "{" * 20, "]" * 50, '"', "\u2028[["])
def test_brackets_in_texts_do_not_count(text):
    body = json.dumps({"a": text, text: [text]}).encode()
    assert parse_object(body) == {"a": text, text: [text]}


@pytest.mark.parametrize(
    "disguise",
    [
        '{"a":"\\\\","b":%s}',
        '{"a":"\\"","b":%s}',
        '{"a":"\\\\\\"[","b":%s}',
        '{"]]]]]]]]]]]]]":%s}',
        '{"\\u005d]]":%s}',
    ],
)
def test_deep_ones_are_found_behind_any_text(disguise):
    body = (disguise % nested(MAX_DEPTH)).encode()
    with pytest.raises(MalformedBody, match="nested more than"):
        parse_object(body)


@pytest.mark.parametrize(
    "body", ['\\"' + "[" * 30_000, '{"a' + "[" * 30_000, '{"a":1}\\' + "{" * 30_000, "]" * 9 + "{"]
)
def test_what_is_no_json_is_refused_whatever_it_hides(body):
    with pytest.raises(MalformedBody):
        parse_object(body.encode())


def test_a_hundred_objects_side_by_side_are_shallow():
    assert len(parse_object(json.dumps({"orders": [{"a": ["x"]}] * 100}).encode())["orders"]) == 100


def named(count: int) -> bytes:
    return json.dumps({f"n{number}": number for number in range(count)}).encode()


def test_more_names_than_any_form_has_are_refused():
    assert len(parse_object(named(MAX_NAMES))) == MAX_NAMES
    for body in (named(MAX_NAMES + 1), b'{"a": [%s]}' % named(MAX_NAMES + 1), named(4000)):
        with pytest.raises(MalformedBody, match=f"more than {MAX_NAMES} names"):
            parse_object(body)


def forms(form: type[Form] = Form) -> set[type[Form]]:
    return {form}.union(*map(forms, form.__subclasses__()))


def test_no_form_has_so_many():
    import exchange.urls  # noqa: F401, PLC0415

    assert len(forms()) > 10
    assert max(len(form.model_fields) for form in forms()) < MAX_NAMES > MOST_NAMED


def test_more_parts_than_any_form_has_are_refused():
    assert parse_object(b'{"a":[%s]}' % b",".join([b"[]"] * (MAX_PARTS - 2)))
    for part in (b"[]", b"{}", b'[{"a":[]}]'):
        with pytest.raises(MalformedBody, match=f"more than {MAX_PARTS} objects and lists"):
            parse_object(b'{"a":[%s]}' % b",".join([part] * (MAX_PARTS - 1)))


@pytest.mark.parametrize("part", ["[", '{"a":', "]", "}", "[]", "[],", "[}", '\\"', "\\", '"', '"[', "\\u0041", "{]"])
def test_refusing_is_cheap_whatever_is_repeated(part):
    body = (part * MAX_BYTES)[:MAX_BYTES].encode()
    began = thread_time()
    with pytest.raises(MalformedBody):
        parse_object(body)
    assert thread_time() - began < 0.1
