"""A message, as it crosses Redis in django-eventstream's format and as it reaches a client."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

# django-eventstream's own: one Redis channel for everything.
REDIS_CHANNEL = "events_channel"
# The type that tells a client that something may have been missed.
RESET = "stream-reset"


@dataclass(frozen=True)
class Message:
    """What is told on one channel. `id` is "LOG-SEQUENCE" of what a journal keeps; "" makes a client forget its own."""

    channel: str
    type: str
    data: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    id: str | None = None


@dataclass(frozen=True)
class Heard:
    """A message as it came from Redis; its data is still the text that the publisher encoded."""

    channel: str
    type: str
    data: str
    id: str | None


def encode(message: Message) -> str:
    """What is published; django-eventstream's own listener would understand it."""
    fields = {
        "channel": message.channel,
        "event_type": message.type,
        "data": data_text(message.data),
        "pub_id": message.id,
    }
    return json.dumps(fields)


def decode(raw: bytes | str) -> Heard | None:
    """The published message, or None: whatever else is on the Redis channel must not end the stream of anybody."""
    try:
        fields = json.loads(raw)
        channel, kind, data, message_id = (fields[name] for name in ("channel", "event_type", "data", "pub_id"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(channel, str) or not isinstance(kind, str):
        return None
    text = data if isinstance(data, str) else data_text(data)
    return Heard(channel, kind, text, None if message_id is None else str(message_id))


def data_text(data: Any) -> str:
    return json.dumps(data, cls=DjangoJSONEncoder, separators=(",", ":"))


def split_id(message_id: str | None) -> tuple[str, int] | None:
    """The log and the sequence number of "BTC-USD-17"; None for anything else, of any length."""
    # Printable ASCII before the last dash; at most 18 digits after it, more would not fit a 64-bit column.
    match = re.fullmatch(r"([!-~]{1,64})-([0-9]{1,18})", message_id or "")
    return (match[1], int(match[2])) if match else None
