"""The hub: the open streams of this process, and the tasks that feed them.

It is django-eventstream's ListenerManager with its two gaps closed: its Redis listener is the supervised
`Subscription`, and a listener whose queue is full reads the event log instead of losing messages.
"""

import asyncio
import contextvars
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string
from django_eventstream import views
from django_eventstream.event import Event
from django_eventstream.views import Listener, ListenerManager

from base.streams.conflation import Conflation, Conflator
from base.streams.gap_detector import EventLog, GapDetector, Position
from base.streams.messages import Message, ReceivedMessage
from base.streams.permissions import Permissions
from base.streams.presence import Presence
from base.streams.signin import Permit
from base.streams.subscription import Subscription
from base.telemetry.metrics import STREAM_CONNECTIONS
from base.web.errors import TooManyStreams

logger = logging.getLogger(__name__)

# How long a stream that opens waits for the first subscription of its process.
SUBSCRIBE_SECONDS = 1.0
# The server itself waits for this without a limit.
STOP_SECONDS = 3.0


# Whether this process received all messages of a log after one number up to another.
HasAll = Callable[[str, int, int], bool]


class Feed(Protocol):
    """What one stream receives and how it catches up. Except where noted, its methods read the database in a thread.

    `since` is an instant of time.monotonic: the feed's new position must have been read after it.
    """

    @property
    def user_id(self) -> int | None:
        """Whose stream it is; None for one that is public."""

    @property
    def channels(self) -> frozenset[str]: ...

    def opening(self, since: float) -> list[Message]:
        """The first messages: a greeting, then what was missed since the last connection."""

    def missed(self, since: float) -> list[Message]:
        """What was committed since the position of this feed. The position moves on."""

    def confirm(self, position: Position) -> None:
        """Everything up to this position has been sent. Called in the event loop."""

    def is_new(self, kind: str, data: str) -> bool:
        """Whether a received message must still be sent. Called in the event loop."""

    def bookmark(self, kind: str, message_id: str, has_all: HasAll | None) -> str:
        """What the client keeps with this message, to go on after it. Called in the event loop, for each message.

        It moves on only to a message before which nothing is missing. Without `has_all` it stays where it is.
        """

    @property
    def permit(self) -> Permit | None:
        """By what the stream stays open; None for one that is public."""


class Faults(Protocol):
    """What the sandbox does to a stream. `next` is what is sent now, of the `Outgoing` messages that `read` brings."""

    def headers(self) -> dict[str, str]:
        """What the opening says. Reads the database in a thread."""

    async def next(self, read: Callable[[], Awaitable[list[Any]]]) -> list[Any]: ...


class Hub(ListenerManager):  # type: ignore[misc]
    """The open streams of this process. Used from one event loop."""

    def __init__(self, event_log: EventLog, conflator: Conflator | None = None) -> None:
        super().__init__()
        self._streams: dict[Listener, Feed] = {}
        # How many streams each address has open, signed in or not.
        self._addresses: Counter[str] = Counter()
        # How often the subscription began: each time every stream reads what it may have missed.
        self.generation = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._event_log = event_log
        self._faults = import_string(settings.STREAM_FAULTS) if settings.STREAM_FAULTS else None
        self._conflator = conflator or Conflator({}, _no_summary)
        self.redis_listener = self._subscription = Subscription(self._receive, self._subscribed)
        # So that the parent never starts a listener of its own.
        self.redis_listener_started = True
        self._detector = self._new_detector()
        self._presence = Presence(self.connections)
        self._conflation = self._new_conflation()

    @property
    def checkpoint(self) -> Position | None:
        return self._detector.checkpoint

    @property
    def is_subscribed(self) -> bool:
        return self._subscription.is_up

    def connections(self) -> Mapping[str, int]:
        """How many streams each user has open here. Other threads ask too, so a copy is counted."""
        return Counter(str(feed.user_id) for feed in tuple(self._streams.values()) if feed.user_id is not None)

    def join(self, feed: Feed, address: str) -> Listener:
        """Register a stream, which receives from now on.

        Raises TooManyStreams.
        """
        self._refuse_too_many(feed, address)
        return self.enter(feed, address)

    def enter(self, feed: Feed, address: str = "") -> Listener:
        """Register a stream of the process itself, of which there are few: it is not refused."""
        self._keep_running()
        listener = Listener()
        listener.user_id, listener.channels, listener.address = feed.user_id, feed.channels, address
        self._addresses[address] += 1
        listener.assign_loop()
        self._streams[listener] = feed
        self.add_listener(listener)
        self._presence.changed()
        STREAM_CONNECTIONS.labels(stream_kind(feed)).inc()
        return listener

    def _refuse_too_many(self, feed: Feed, address: str) -> None:
        """Those who are signed in have streams that nobody else can take. Raises TooManyStreams."""
        public = sum(other.user_id is None for other in self._streams.values())
        if feed.user_id is None:
            counts = {"public": (public, settings.STREAM_MAX_PUBLIC)}
        else:
            own = sum(other.user_id == feed.user_id for other in self._streams.values())
            counts = {
                "user": (own, settings.STREAM_MAX_PER_USER),
                "private": (len(self._streams) - public, settings.STREAM_MAX_PRIVATE),
            }
        for scope, (count, limit) in counts.items():
            if count >= limit:
                raise _too_many(limit, scope)
        self.refuse_crowded(address)

    def refuse_crowded(self, address: str) -> None:
        """Raises TooManyStreams where the address has as many streams as it may."""
        limit = settings.STREAM_MAX_PER_ADDRESS
        if self._addresses[address] >= limit:
            raise _too_many(limit, "address")

    def faults_of(self, feed: Feed, listener: Listener) -> Faults | None:
        """What the sandbox does to this stream; None where there is no sandbox, and for what is public."""
        if self._faults is None or feed.permit is None:
            return None
        faults: Faults = self._faults(feed, lambda: self.end([listener]), listener.aevent.set)
        return faults

    async def settled(self) -> None:
        """Wait until this process is subscribed to Redis, or knows that it cannot be."""
        await self._subscription.settled(SUBSCRIBE_SECONDS)

    def leave(self, listener: Listener) -> None:
        feed = self._streams.pop(listener)
        self._addresses[listener.address] -= 1
        if not self._addresses[listener.address]:
            del self._addresses[listener.address]
        STREAM_CONNECTIONS.labels(stream_kind(feed)).dec()
        self.remove_listener(listener)
        self._presence.changed()

    def take(self, listener: Listener) -> tuple[list[Event], bool]:
        """What is queued for the listener, oldest first, and whether it must read the event log."""
        with self.lock:
            queued = [event for events in listener.channel_items.values() for event in events]
            must_catch_up = listener.overflow
            listener.aevent.clear()
            listener.channel_items = {}
            listener.overflow = False
        return self._conflator.condense(queued), must_catch_up

    def has_all(self, log: str, after: int, last: int) -> bool:
        return self._detector.has_all(log, after, last)

    def must_catch_up(self, channels: Iterable[str] | None = None) -> None:
        """Make the streams of these channels, or all streams, read the event log."""
        with self.lock:
            if channels is None:
                listeners = set(self._streams)
            else:
                listeners = set().union(*(self.listeners_by_channel.get(channel, ()) for channel in channels))
            for listener in listeners:
                listener.overflow = True
                listener.aevent.set()

    def end_all(self) -> None:
        """End every stream. Their clients connect again with their last event id, which may no longer exist."""
        self.end(self._streams)

    def end(self, listeners: Iterable[Listener]) -> None:
        with self.lock:
            for listener in listeners:
                listener.error = {"condition": "reset"}
                listener.aevent.set()

    async def stop(self) -> None:
        """End the tasks; the next stream starts them again."""
        pending, self._tasks = set(self._tasks), []
        deadline = time.monotonic() + STOP_SECONDS
        # Repeated, because redis-py may swallow a cancellation while it connects, and would go on listening.
        while pending and time.monotonic() < deadline:
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=0.5)
        if pending:
            logger.warning("%d tasks of the streams did not end", len(pending))

    def _keep_running(self) -> None:
        """Start the tasks in this event loop unless they run."""
        loop = asyncio.get_running_loop()
        if self._tasks and all(not task.done() and task.get_loop() is loop for task in self._tasks):
            return
        for task in self._tasks:
            if task.get_loop() is loop:
                task.cancel()
        self.redis_listener = self._subscription = Subscription(self._receive, self._subscribed)
        self._detector = self._new_detector()
        self._presence = Presence(self.connections)
        self._conflation = self._new_conflation()
        permissions = Permissions(self._permits, self.end)
        work = (
            *(self._subscription.start(), self._detector.run(), self._presence.run()),
            *(self._conflation.sum_up(), permissions.run()),
        )
        # In a context of their own, because they serve all requests and not only the one that came first.
        self._tasks = [loop.create_task(coroutine, context=contextvars.Context()) for coroutine in work]

    def _permits(self) -> dict[Listener, Permit]:
        return {listener: feed.permit for listener, feed in self._streams.items() if feed.permit is not None}

    def _new_detector(self) -> GapDetector:
        return GapDetector(
            self._event_log,
            is_subscribed=lambda: self.is_subscribed,
            has_streams=lambda: bool(self._streams),
            must_catch_up=self.must_catch_up,
            must_end=self.end_all,
        )

    def _receive(self, message: ReceivedMessage) -> None:
        self._detector.receive(message.id)
        if self._has_listeners(message.channel):
            self._conflation.receive(message)

    def _publish(self, message: ReceivedMessage) -> None:
        self.add_to_queues(message.channel, Event(message.channel, message.type, message.data, message.id))

    def _has_listeners(self, channel: str) -> bool:
        return channel in self.listeners_by_channel

    def _new_conflation(self) -> Conflation:
        return Conflation(self._conflator, self._publish, self._has_listeners)

    def _subscribed(self) -> None:
        self.generation += 1
        self._detector.begin_anew()


def _too_many(limit: int, scope: str) -> TooManyStreams:
    return TooManyStreams(f"{limit} streams are open already ({scope})", limit=limit, scope=scope)


def stream_kind(feed: Feed) -> str:
    """The label of the stream in the metrics: a user's own orders, or a public market."""
    return "market" if feed.user_id is None else "orders"


def _no_summary(channel: str, since: float) -> Message:
    raise AssertionError(f"nothing on {channel} is condensed")


def install_hub(event_log: EventLog, conflator: Conflator | None = None) -> Hub:
    """Make a hub the listener manager of django-eventstream, in place of the one that its import made."""
    hub = Hub(event_log, conflator)
    views.listener_manager = hub
    # Its default is ten: of more messages that arrive together the others would be dropped.
    views.MAX_PENDING = settings.STREAM_MAX_PENDING
    return hub
