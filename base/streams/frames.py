"""What crosses a WebSocket: requests as they are read, answers and messages as they are written."""

import json
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from base.streams.messages import RESET
from base.streams.open_stream import Outgoing
from base.web.answers import as_refusal, parse_object
from base.web.errors import InvalidField, error_body

LONGEST_ID = 64
# Of what a client may send as the id of a request.
_LARGEST = 2**63


def read_frame(text: str) -> tuple[int | str | None, dict[str, Any]]:
    """The id and the other fields of a request. Raises MalformedBody, BodyTooLarge, InvalidField."""
    fields = parse_object(text.encode("utf-8", "surrogatepass"))
    asked_id = fields.pop("id", None)
    is_number = isinstance(asked_id, int) and not isinstance(asked_id, bool) and abs(asked_id) < _LARGEST
    if not (asked_id is None or is_number or (isinstance(asked_id, str) and len(asked_id) <= LONGEST_ID)):
        raise InvalidField("id", "INVALID_ID", f"id must be a number or a string of at most {LONGEST_ID} characters")
    return asked_id, fields


def read_operation(fields: dict[str, Any]) -> str:
    """Which operation is asked for; the others stay. Raises InvalidField."""
    op = fields.pop("op", None)
    if op is None:
        raise InvalidField("op", "FIELD_REQUIRED", "op is required")
    if not isinstance(op, str):
        raise InvalidField("op", "STRING_REQUIRED", "op must be a string")
    return op


def answer_frame(asked_id: int | str | None, body: Mapping[str, Any]) -> str:
    return json.dumps({"id": asked_id, **body}, separators=(",", ":"))


def error_frame(asked_id: int | str | None, error: Exception) -> str | None:
    """The refusal in the envelope; None for what is a defect."""
    refusal = as_refusal(error)
    return None if refusal is None else answer_frame(asked_id, error_body(refusal))


class ChannelWriter:
    """Writes the messages of one channel: those of these types, or all of them."""

    def __init__(self, name: str, types: Collection[str] | None = None) -> None:
        self._name = name
        self._types = types

    async def frames(self, messages: list[Outgoing]) -> list[str]:
        return [push_frame(self._name, each) for each in messages if self._is_followed(each.type)]

    def _is_followed(self, kind: str) -> bool:
        return self._types is None or kind in self._types or kind == RESET


def push_frame(channel: str, outgoing: Outgoing) -> str:
    """A message of a channel. Its data is not parsed, because it goes to many clients as it is."""
    if outgoing.bookmark is None:
        return _public_frame(channel, outgoing.type, outgoing.data)
    head = json.dumps({"channel": channel, "event": outgoing.type, "id": outgoing.bookmark}, separators=(",", ":"))
    return f'{head[:-1]},"data":{outgoing.data}}}'


@lru_cache(maxsize=64)
def _public_frame(channel: str, kind: str, data: str) -> str:
    head = json.dumps({"channel": channel, "event": kind}, separators=(",", ":"))
    return f'{head[:-1]},"data":{data}}}'
