"""What a conversation asks its transport to do.

Conversations do no I/O themselves: they are generators that yield these steps, so that the sync and the async client
run the same ones.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out, signed: `target` is the path with its query."""

    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request: the answer is a Reply. Raises Cut."""

    request: Request


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Alone:
    """Take these steps while nobody else of this client takes any of this kind; the answer is their outcome."""

    steps: "Generator[Step, Any, Any]"


@dataclass(frozen=True, slots=True)
class OpenEvents:
    """Open a stream of server-sent events; the answer is a Reply where it was refused, else None. Raises Cut."""

    request: Request


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Open a WebSocket. Raises Cut."""

    target: str


@dataclass(frozen=True, slots=True)
class SendText:
    """Send a text over the open WebSocket. Raises Cut."""

    text: str


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for the next Frame of the open stream. Raises Cut where the stream ended, or nothing came in time."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand an event to whoever reads the stream."""

    event: Any


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as it came: of a WebSocket the text alone."""

    event: str
    id: str
    data: str
    retry_seconds: float | None = None


Step = Send | Pause | Alone | OpenEvents | OpenSocket | SendText | Receive | Deliver
Steps = Generator[Step, Any, T]
