"""A stream that is read for ever: opened, read, and opened again after the last position whenever it ends."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from ..calls.call import Call, raw
from ..conversation import NOT_ARRIVED, Conversations, refusal_of
from ..credentials import SOCKET_TARGET, headers_of
from ..errors import NoAnswer, NotSignedIn, NotUnderstood, Refused
from ..retry import Cut, uneven
from ..steps import Deliver, OpenEvents, OpenSocket, Pause, Receive, Request, SendText, Steps
from .events import Interrupted
from .sources import Source

Over = Literal["events", "socket"]
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
# How often in a row a stream is opened with other headers after a 401.
SIGNED_ANEW = 3


class Following:
    """One source over one way. `position` goes on from where it stands, also in another process."""

    def __init__(self, talk: Conversations, source: Source, over: Over) -> None:
        self._talk = talk
        self.source = source
        self._over = over
        self._pause = FIRST_PAUSE
        # What the exchange asked for.
        self._wanted: float | None = None
        self._refused = 0
        self._may_sign_anew = False

    def steps(self) -> Steps[None]:
        """Ends never; raises Refused where the exchange will not open it."""
        read = self._read_events if self._over == "events" else self._read_socket
        while True:
            self._may_sign_anew = False
            try:
                yield from read()
            except (Cut, NoAnswer) as cut:
                yield Deliver(Interrupted(str(cut) or type(cut).__name__))
            except Refused as refusal:
                self._judge(refusal)
                yield Deliver(Interrupted(str(refusal)))
            yield Pause(self._next_pause())

    def _read_events(self) -> Steps[None]:
        call: Call[Any] = Call("GET", "", raw)
        target, headers = self.source.target, {"Accept": "text/event-stream", **self._talk.more_headers}
        if self.source.is_private:
            headers.update((yield from self._talk.credentials.headers("GET", target, b"", self._talk.answer)))
        if self.source.position:
            headers["Last-Event-ID"] = self.source.position
        request = Request(call.method, target, headers)
        reply = yield OpenEvents(request)
        if reply is not None:
            raise self._as_refusal(refusal_of(reply), headers)
        yield from self._opened()
        while True:
            frame = yield Receive()
            self._pause = FIRST_PAUSE
            if frame.retry_seconds is not None:
                self._wanted = frame.retry_seconds
            if frame.data:
                yield from self.source.take(frame.event, frame.id, json.loads(frame.data))

    def _read_socket(self) -> Steps[None]:
        yield OpenSocket(SOCKET_TARGET)
        fields: Mapping[str, Any] = {}
        if self.source.is_private:
            fields = yield from self._talk.credentials.socket_fields(self._talk.answer)
            yield from self._ask("auth", fields, headers_of(fields))
        resume = {"lastEventId": self.source.position} if self.source.position else {}
        yield from self._ask("subscribe", {"channels": list(self.source.channels), **resume}, {})
        yield from self._opened()
        while True:
            message = json.loads((yield Receive()).data)
            self._pause = FIRST_PAUSE
            if "channel" in message:
                yield from self.source.take(message["event"], message.get("id", ""), message.get("data"))

    def _ask(self, op: str, fields: Mapping[str, Any], headers: Mapping[str, str]) -> Steps[None]:
        yield SendText(json.dumps({"op": op, "id": op, **fields}))
        while True:
            answer = json.loads((yield Receive()).data)
            if answer.get("id") != op or "channel" in answer:
                continue
            if answer["code"] >= 400:
                data = answer.get("data") or {}
                wait = data.get("retryAfterMs")
                raise self._as_refusal(Refused.of(answer["code"], answer, wait / 1000 if wait else None), headers)
            return

    def _opened(self) -> Steps[None]:
        self._refused = 0
        yield from self.source.opened()

    def _as_refusal(self, refusal: Refused | None, headers: Mapping[str, str]) -> Refused:
        """Raises NotUnderstood for an answer that is neither a stream nor a refusal."""
        if refusal is None:
            raise NotUnderstood("the answer is no stream of events")
        if isinstance(refusal, NotSignedIn):
            own = {name: value for name, value in headers.items() if name in ("Authorization", "X-API-Key")}
            self._refused += 1
            self._may_sign_anew = self._talk.credentials.was_refused(refusal, own) and self._refused < SIGNED_ANEW
        return refusal

    def _judge(self, refusal: Refused) -> None:
        """Raises the refusal where to come again is of no use."""
        if not (self._may_sign_anew or refusal.status in (429, NOT_ARRIVED) or refusal.status >= 500):
            raise refusal
        self._wanted = refusal.retry_after

    def _next_pause(self) -> float:
        wanted, self._wanted = self._wanted, None
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return max((wanted or 0.0) + uneven(FIRST_PAUSE), uneven(pause))
