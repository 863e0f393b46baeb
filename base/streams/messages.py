"""A message, as it crosses Redis (django-eventstream's fields, in bundles) and as it reaches a client."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from base.telemetry.malformed import EVENTS, drop_malformed

# django-eventstream's own: one Redis channel for everything.
REDIS_CHANNEL = "events_channel"
_TYPE = re.compile(r"[a-z-]{1,40}")
# The type of the message after which a client reads everything again, because events may have been missed.
RESET = "stream-reset"


class Message(NamedTuple):
    """What is published on one channel. `id` is "LOG-SEQUENCE" of an event log, or a bookmark."""

    channel: str
    type: str
    data: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    id: str | None = None


class ReceivedMessage(NamedTuple):
    """A message as it came from Redis; its data is still the text that the publisher encoded."""

    channel: str
    type: str
    data: str
    id: str | None


def encode(messages: Sequence[Message]) -> bytes:
    """The messages of a batch as one Redis message, because each message from Redis costs its receivers time."""
    return orjson.dumps(
        [
            {
                "channel": message.channel,
                "event_type": message.type,
                "data": data_text(message.data),
                "pub_id": message.id,
            }
            for message in messages
        ]
    )


def decode(raw: bytes | str) -> list[ReceivedMessage]:
    """The published messages. What is malformed is left out, because it must end nobody's stream."""
    try:
        published = orjson.loads(raw)
    except ValueError:
        published = None
    received = [_received(fields) for fields in published] if isinstance(published, list) else [None]
    if None in received:
        drop_malformed(EVENTS, f"something in a message of {len(raw)} bytes")
    return [each for each in received if each is not None]


def _received(fields: Any) -> ReceivedMessage | None:
    if not isinstance(fields, dict):
        return None
    channel, kind, data, message_id = map(fields.get, ("channel", "event_type", "data", "pub_id"))
    if not isinstance(channel, str) or not isinstance(kind, str) or not _TYPE.fullmatch(kind) or data is None:
        return None
    text = data if isinstance(data, str) else data_text(data)
    return ReceivedMessage(channel, kind, text, None if message_id is None else str(message_id))


def data_text(data: Any) -> str:
    return orjson.dumps(data).decode()


def split_id(message_id: str | None) -> tuple[str, int] | None:
    """The log and the sequence number of "BTC-USD-17"; None for anything else, of any length."""
    # Printable ASCII before the last dash; at most 18 digits after it, more would not fit a 64-bit column.
    match = re.fullmatch(r"([!-~]{1,64})-([0-9]{1,18})", message_id or "")
    return (match[1], int(match[2])) if match else None
