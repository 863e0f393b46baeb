"""Conflation: a channel that many clients follow sends them at most one message of each type every 50 ms.

A busy market makes hundreds of messages a second, and each would wake all listeners. Of messages that replace each
other only the newest is sent; messages that may not be lost are joined. Once a second at most a summary is sent.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from django_eventstream.event import Event

from base.streams.messages import Message, ReceivedMessage, data_text
from base.streams.threads import in_thread

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.05
# The messages of a batch arrive one after the other: the first waits for the others, and they are sent together.
GATHER_SECONDS = 0.002
SUMMARY_SECONDS = 1.0


@dataclass(frozen=True)
class Conflator:
    """Which types of messages are condensed and how; messages of other types pass as they come.

    `merges`: by type, one data text out of an older and a newer one. Whatever was published, it must not raise.
    `summary`: reads the database, in a thread, for a channel that has listeners and on which such messages came.
    """

    merges: Mapping[str, Callable[[str, str], str]]
    summary: Callable[[str, float], Message]

    def condense(self, events: Iterable[Event]) -> list[Event]:
        """The events that a slow listener has not taken yet: of each type that can be merged, one."""
        condensed: list[Event] = []
        places: dict[tuple[str, str], int] = {}
        for event in events:
            merge, key = self.merges.get(event.type), (event.channel, event.type)
            if merge is None or key not in places:
                places[key] = len(condensed)
                condensed.append(event)
            else:
                older = condensed[places[key]]
                condensed[places[key]] = Event(event.channel, event.type, merge(older.data, event.data))
        return condensed


@dataclass
class _Channel:
    """What waits to be sent, by type, and when the last message was sent."""

    waiting: dict[str, str] = field(default_factory=dict)
    sent_at: float = float("-inf")
    is_due: bool = False


class Conflation:
    """Holds back and merges for all listeners of a process at once. Used from one event loop."""

    def __init__(
        self, conflator: Conflator, send: Callable[[ReceivedMessage], None], has_listeners: Callable[[str], bool]
    ) -> None:
        self._conflator = conflator
        self._send = send
        self._has_listeners = has_listeners
        self._channels: dict[str, _Channel] = {}
        self._stale: set[str] = set()
        self._is_stale = asyncio.Event()

    def receive(self, message: ReceivedMessage) -> None:
        merge = self._conflator.merges.get(message.type)
        if merge is None:
            self._send(message)
            return
        channel = self._channels.setdefault(message.channel, _Channel())
        older = channel.waiting.get(message.type)
        channel.waiting[message.type] = message.data if older is None else merge(older, message.data)
        if not channel.is_due:
            channel.is_due = True
            pause = max(GATHER_SECONDS, channel.sent_at + PAUSE_SECONDS - time.monotonic())
            asyncio.get_running_loop().call_later(pause, self._send_waiting, message.channel)

    async def sum_up(self) -> None:
        """Sum up the channels on which something came, until cancelled."""
        while True:
            await self._is_stale.wait()
            self._is_stale.clear()
            stale, self._stale = self._stale, set()
            await asyncio.gather(*map(self._sum_up, filter(self._has_listeners, stale)))
            await asyncio.sleep(SUMMARY_SECONDS)

    def _send_waiting(self, name: str) -> None:
        if not self._has_listeners(name):
            del self._channels[name]
            return
        channel = self._channels[name]
        waiting, channel.waiting = channel.waiting, {}
        channel.is_due, channel.sent_at = False, time.monotonic()
        for kind, data in waiting.items():
            self._send(ReceivedMessage(name, kind, data, None))
        self._make_stale(name)

    def _make_stale(self, name: str) -> None:
        self._stale.add(name)
        self._is_stale.set()

    async def _sum_up(self, name: str) -> None:
        # A message that comes meanwhile makes the channel stale again, so the newest state is always sent in the end.
        try:
            summary = await in_thread(self._conflator.summary, name, time.monotonic())
        except Exception as error:
            logger.warning("%s cannot be summed up: %r", name, error)
            self._make_stale(name)
        else:
            self._send(ReceivedMessage(name, summary.type, data_text(summary.data), None))
