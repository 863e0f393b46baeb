"""JSON as clients may send it: strict, shallow and small."""

import json
import re
from typing import Any, NoReturn

from base.web.errors import BodyTooLarge, MalformedBody

MAX_BYTES = 65_536
MAX_DEPTH = 8
MAX_NUMBER_LENGTH = 20

_ESCAPE = re.compile(r"\\.", re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the body. Raises MalformedBody or BodyTooLarge; never anything else."""
    if len(body) > MAX_BYTES:
        raise BodyTooLarge(f"the body has more than {MAX_BYTES} bytes", maxBytes=MAX_BYTES)
    try:
        text = body.decode("utf-8")
        _refuse_deep(text)
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_short_int,
            parse_float=_short_float,
        )
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"the body is not acceptable JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedBody("the body is not a JSON object")
    return value


def _refuse_deep(text: str) -> None:
    """Count brackets before parsing: the parser itself would recurse. Those inside texts do not count.

    Without escapes, texts are what stands between each second quote and the next. An escape outside of a text is no
    JSON: up to there the brackets were counted as the parser would, and it stops there.
    """
    outside = "".join(_ESCAPE.sub("", text).split('"')[::2])
    depth = 0
    for bracket in _BRACKET.findall(outside):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice: a signature or a proxy may have read the other one."""
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return names


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _short_int(digits: str) -> int:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise ValueError("a number is too long")
    return int(digits)


def _short_float(digits: str) -> float:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise ValueError("a number is too long")
    return float(digits)
