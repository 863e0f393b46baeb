"""Conflation: what many follow at once is told to them at most every 50 ms.

A busy market makes hundreds of messages a second, and each would wake each of its listeners. Of what replaces the one
before, only the newest is told; what may not be lost is joined. Once a second at most the channel is summed up.
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
# A batch's messages arrive one after the other: the first waits for the others, and they are told in one piece.
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
        """What a listener was slow to take: of each type that can be merged, one."""
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
    """What waits to be told, by type, and when something was told last."""

    waiting: dict[str, str] = field(default_factory=dict)
    told_at: float = float("-inf")
    is_due: bool = False


class Conflation:
    """Holds back and merges for all listeners of a process at once. Used from one event loop."""

    def __init__(
        self, conflator: Conflator, tell: Callable[[ReceivedMessage], None], has_listeners: Callable[[str], bool]
    ) -> None:
        self._conflator = conflator
        self._tell = tell
        self._has_listeners = has_listeners
        self._channels: dict[str, _Channel] = {}
        self._stale: set[str] = set()
        self._is_stale = asyncio.Event()

    def receive(self, heard: ReceivedMessage) -> None:
        merge = self._conflator.merges.get(heard.type)
        if merge is None:
            self._tell(heard)
            return
        channel = self._channels.setdefault(heard.channel, _Channel())
        older = channel.waiting.get(heard.type)
        channel.waiting[heard.type] = heard.data if older is None else merge(older, heard.data)
        if not channel.is_due:
            channel.is_due = True
            pause = max(GATHER_SECONDS, channel.told_at + PAUSE_SECONDS - time.monotonic())
            asyncio.get_running_loop().call_later(pause, self._tell_waiting, heard.channel)

    async def sum_up(self) -> None:
        """Sum up the channels on which something came, until cancelled."""
        while True:
            await self._is_stale.wait()
            self._is_stale.clear()
            stale, self._stale = self._stale, set()
            await asyncio.gather(*map(self._sum_up, filter(self._has_listeners, stale)))
            await asyncio.sleep(SUMMARY_SECONDS)

    def _tell_waiting(self, name: str) -> None:
        if not self._has_listeners(name):
            del self._channels[name]
            return
        channel = self._channels[name]
        waiting, channel.waiting = channel.waiting, {}
        channel.is_due, channel.told_at = False, time.monotonic()
        for kind, data in waiting.items():
            self._tell(ReceivedMessage(name, kind, data, None))
        self._outdate(name)

    def _outdate(self, name: str) -> None:
        self._stale.add(name)
        self._is_stale.set()

    async def _sum_up(self, name: str) -> None:
        # What comes while this reads outdates the channel again: the newest state is always told in the end.
        try:
            message = await in_thread(self._conflator.summary, name, time.monotonic())
        except Exception as error:
            logger.warning("%s cannot be summed up: %r", name, error)
            self._outdate(name)
        else:
            self._tell(ReceivedMessage(name, message.type, data_text(message.data), None))
