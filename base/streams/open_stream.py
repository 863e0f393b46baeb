"""One open stream, whatever carries it: server-sent events or a WebSocket."""

import asyncio
import logging
import random
import time
from collections.abc import Iterable
from typing import NamedTuple

from django.conf import settings
from django_eventstream.event import Event
from django_eventstream.views import Listener

from base.streams.delivery_log import DeliveryLog
from base.streams.hub import Feed, HasAll, Hub, stream_kind
from base.streams.messages import RESET, Message, data_text
from base.streams.threads import in_thread
from base.telemetry import metrics

logger = logging.getLogger(__name__)

# A ticket that is not renewed is good for a minute.
RENEW_SECONDS = 15.0
# The pause before the event log is read again after the database failed.
READ_AGAIN_SECONDS = 2.0
# So many ids are remembered, because a message that was both received and read must be sent once.
REMEMBERED_IDS = 2000


class Outgoing(NamedTuple):
    """A message as it is sent to a client. `bookmark` is what the client keeps with it, if the stream has one."""

    type: str
    data: str
    bookmark: str | None


class OpenStream:
    """One open stream: what its listener received, and what it missed, in the order in which they are sent."""

    def __init__(self, hub: Hub, feed: Feed, listener: Listener, seconds: float | None = None) -> None:
        self.feed = feed
        self.listener = listener
        self._hub = hub
        kind = stream_kind(feed)
        self._events, self._resets = metrics.STREAM_EVENTS.labels(kind), metrics.STREAM_RESETS.labels(kind)
        self.delivery_log = DeliveryLog()
        self._sent: dict[tuple[str, str], None] = {}
        self._confirmed = hub.checkpoint
        # While something that was missed could not be read, the position of the feed must not move on.
        self._is_behind = False
        # What the sandbox does to it; None without a sandbox.
        self._faults = hub.faults_of(feed, listener)
        self._ends_at = time.monotonic() + (lifetime() if seconds is None else seconds)
        self._renew_at = time.monotonic() + RENEW_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether its time is over, or the hub has ended it."""
        return self.is_ended or time.monotonic() >= self._ends_at

    @property
    def is_ended(self) -> bool:
        return bool(self.listener.error)

    def wake(self) -> None:
        """Have whoever waits for a message look at once."""
        self.listener.aevent.set()

    def opened(self, opening: Iterable[Message]) -> list[Outgoing]:
        return self._read(opening)

    async def woken(self, seconds: float) -> bool:
        """Wait until there may be something to send, for so long at most."""
        longest = min(seconds, max(self._ends_at - time.monotonic(), 0.0))
        try:
            async with asyncio.timeout(longest):
                await self.listener.aevent.wait()
        except TimeoutError:
            return False
        return True

    async def headers(self) -> dict[str, str]:
        """The headers with which its opening says that it is tampered with."""
        return {} if self._faults is None else await in_thread(self._faults.headers)

    async def next(self) -> list[Outgoing]:
        """What is sent now."""
        return await (self._next() if self._faults is None else self._faults.next(self._next))

    async def _next(self) -> list[Outgoing]:
        """What was received since the last time, and what the event log holds if something may have been missed."""
        queued, must_catch_up = self._hub.take(self.listener)
        if not must_catch_up:
            outgoing = self._received(queued)
            # Everything up to the checkpoint was in a queue by now, and this was all of the queue.
            self._confirm()
            return outgoing
        self._is_behind = True
        try:
            missed = await in_thread(self.feed.missed, time.monotonic())
        except Exception as error:
            logger.warning("a stream cannot read what it missed: %r", error)
            asyncio.get_running_loop().call_later(READ_AGAIN_SECONDS, self._hub.must_catch_up, self.feed.channels)
            return self._received(queued)
        # The event log is in order, so it comes first. A reset comes last: after it the client reads everything, and
        # nothing older may follow.
        is_reset = any(message.type == RESET for message in missed)
        before = self._received(queued) if is_reset else []
        self._is_behind = False
        return before + self._read(missed) + ([] if is_reset else self._received(queued))

    def _confirm(self) -> None:
        checkpoint = self._hub.checkpoint
        if checkpoint is not None and checkpoint is not self._confirmed and not self._is_behind:
            self.feed.confirm(checkpoint)
            self._confirmed = checkpoint

    async def keeps_its_ticket(self) -> bool:
        """Renew now and then the ticket by which it was opened. False if the ticket opened the stream anew."""
        ticket = self.feed.permit.ticket if self.feed.permit else None
        if ticket is None or time.monotonic() < self._renew_at:
            return True
        self._renew_at = time.monotonic() + RENEW_SECONDS
        return await in_thread(ticket.renew)

    def _read(self, messages: Iterable[Message]) -> list[Outgoing]:
        outgoing = (self._outgoing(each.type, data_text(each.data), each.id, _has_all) for each in messages)
        return [each for each in outgoing if each is not None]

    def _received(self, events: Iterable[Event]) -> list[Outgoing]:
        has_all = None if self._is_behind else self._hub.has_all
        new = (event for event in events if self.feed.is_new(event.type, event.data))
        outgoing = (self._outgoing(event.type, event.data, event.id, has_all) for event in new)
        return [each for each in outgoing if each is not None]

    def _outgoing(self, kind: str, data: str, message_id: str | None, has_all: HasAll | None) -> Outgoing | None:
        """The message as it is sent; None if the client has it already."""
        bookmark = None
        if message_id is not None:
            # Also for a message that was sent before: now nothing is missing before it.
            bookmark = self.feed.bookmark(kind, message_id, has_all)
            if (kind, message_id) in self._sent:
                return None
            self._sent[kind, message_id] = None
            if len(self._sent) > REMEMBERED_IDS:
                del self._sent[next(iter(self._sent))]
            self.delivery_log.write(message_id, data)
        if kind == RESET:
            self._resets.inc()
        self._events.inc()
        return Outgoing(kind, data, bookmark)


def lifetime(longest: float | None = None) -> float:
    """How long a connection may live: spread, so that clients that came together do not all come again together."""
    return (settings.STREAM_MAX_SECONDS if longest is None else longest) * random.uniform(0.9, 1.0)  # noqa: S311


def _has_all(_log: str, _after: int, _last: int) -> bool:
    """Of what was read from the database: nothing is missing."""
    return True
