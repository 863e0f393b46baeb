"""The requests of a WebSocket that wait for their answers."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from ..calls.call import Call, Reply, T
from ..conversation import refusal_of
from ..errors import NoAnswer, NotUnderstood

# A connection that follows no channel and asks for nothing is closed after 60 s.
PING_SECONDS = 25.0
# An answer that takes longer does not come, although the connection stands.
ANSWER_SECONDS = 30.0
# A reader who is so many messages behind has stopped.
MOST_MESSAGES = 10_000
NOT_READ = "the messages of the channels were not read"


class Waiting(Protocol):
    """A future, of asyncio or of threads."""

    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, exception: Any, /) -> None: ...
    def done(self) -> bool: ...


F = TypeVar("F", bound=Waiting)


class NotRead(Exception):
    """The reader of the messages has stopped."""


def no_answer(call: Call[Any]) -> NoAnswer:
    """The connection stands, and no answer came."""
    return NoAnswer(call.path, "no answer came in time", 1)


class Switchboard(Generic[F]):
    """Gives each request a number, and each answer to whoever waits for it."""

    def __init__(self, make: Callable[[], F]) -> None:
        self._make = make
        self._waiting: dict[int, tuple[str, F]] = {}
        self._count = 0
        self._closed: str | None = None

    def ask(self, call: Call[Any]) -> tuple[str, F]:
        """The text to be sent, and what will be given the Reply."""
        self._count += 1
        waiting = self._make()
        if self._closed is not None:
            waiting.set_exception(NoAnswer(call.path, self._closed, 1))
        else:
            self._waiting[self._count] = call.path, waiting
        return json.dumps({"op": call.path, "id": self._count, **(call.body or {})}), waiting

    def receive(self, text: str) -> Mapping[str, Any] | None:
        """A message of a channel; an answer is given to whoever waits for it."""
        try:
            received = json.loads(text)
        except ValueError:
            raise NotUnderstood(text[:200]) from None
        if "channel" in received:
            message: Mapping[str, Any] = received
            return message
        _, waiting = self._waiting.pop(received.get("id"), ("", None))
        # Whoever asked may have gone meanwhile.
        if waiting is not None and not waiting.done():
            waiting.set_result(Reply(received["code"], {}, text.encode()))
        return None

    def close(self, cause: str) -> None:
        """No answer comes any more."""
        self._closed = self._closed or cause
        left, self._waiting = self._waiting, {}
        for op, waiting in left.values():
            if not waiting.done():
                waiting.set_exception(NoAnswer(op, cause, 1))


def outcome(call: Call[T], reply: Reply) -> T:
    """What the answer says. Raises Refused; after an error of the server the outcome is unknown: NoAnswer."""
    refusal = refusal_of(reply)
    if refusal is None:
        return call.read(reply)
    if refusal.status >= 500 and not refusal.is_known:
        raise NoAnswer(call.path, str(refusal), 1) from refusal
    raise refusal
