"""The faults of private streams: events that come late or twice, and streams that end before an event.

Late is the stream, not one event of it: events stay in order, so that a client that goes on by its last event id misses
nothing, however it was tampered with.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable

from base.streams.hub import Feed
from base.streams.open_stream import Outgoing
from base.streams.threads import in_thread
from sandbox import services
from sandbox.faults import of_event
from sandbox.models import OF_THE_ACCOUNT
from sandbox.services import Ordered

logger = logging.getLogger(__name__)

HEADER = "X-Sandbox-Fault"
REMEMBERED_RUNS = 10_000


class StreamFaults:
    """Tampers with one stream of a user. `end` ends it, `wake` has it ask for what is sent next."""

    def __init__(self, feed: Feed, end: Callable[[], None], wake: Callable[[], None]) -> None:
        self._feed, self._end, self._wake = feed, end, wake
        # What was read and is not sent yet.
        self._left: deque[Outgoing] = deque()

    def headers(self) -> dict[str, str]:
        """What the opening of the stream says. Reads the database."""
        ordered = self._ordered()
        return {} if ordered is None or not ordered.plan.concerns_streams else {HEADER: "stream"}

    async def next(self, read: Callable[[], Awaitable[list[Outgoing]]]) -> list[Outgoing]:
        """What is sent of the messages that `read` brings: one at a time, so that each may be late, and a stream that
        is ended meanwhile, because its user was signed out, sends no more.
        """
        left = self._left
        if not left:
            left.extend(await read())
        ordered = await in_thread(self._ordered) if left else None
        if ordered is None or not ordered.plan.concerns_streams:
            sent = list(left)
            left.clear()
            return sent
        message = left.popleft()
        if left:
            self._wake()
        faults = of_event(ordered.plan, _next_number(ordered.run))
        if faults.is_cut:
            logger.info("the sandbox cuts a stream of user %s", self._feed.user_id)
            self._end()
            return []
        await asyncio.sleep(faults.late_ms / 1000)
        return [message, message] if faults.is_duplicated else [message]

    def _ordered(self) -> Ordered | None:
        """Those of who listens, which may be staff."""
        if self._feed.permit is None:
            return None
        listener = self._feed.permit.credential
        return services.known_faults(listener.user_id, listener.key_id or OF_THE_ACCOUNT)


# Of this process. Used from its event loop.
_numbers: Counter[str] = Counter()


def _next_number(run: str) -> int:
    """The number of the run's next event. Which run is forgotten of very many does not matter."""
    if run not in _numbers and len(_numbers) >= REMEMBERED_RUNS:
        _numbers.clear()
    _numbers[run] += 1
    return _numbers[run]
