"""Bodies as clients may send them: brackets inside texts do not count, however they are hidden."""

import json

import pytest

from base.web.answers import MAX_DEPTH, parse_object
from base.web.errors import MalformedBody


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
