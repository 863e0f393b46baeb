"""Ends the streams of callers who were barred or signed out since: one query every few seconds for a process."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from django_eventstream.views import Listener

from base.streams.signin import Permit, barred
from base.streams.threads import in_thread

logger = logging.getLogger(__name__)

# Whoever may not listen any more is gone within 3 seconds, with the time that the question and the end take.
PERMISSION_SECONDS = 2.5


class Permissions:
    """`permits` are those of the open streams that need one; `end` ends streams."""

    def __init__(
        self, permits: Callable[[], Mapping[Listener, Permit]], end: Callable[[Iterable[Listener]], None]
    ) -> None:
        self._permits = permits
        self._end = end

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PERMISSION_SECONDS)
            permits = self._permits()
            try:
                ended = await in_thread(barred, set(permits.values())) if permits else ()
            except Exception as error:
                # The stream of who may not read then ends later: without the database there is nothing new to send.
                logger.warning("cannot ask whether %d streams may stay open: %r", len(permits), error)
                continue
            self._end(listener for listener, permit in permits.items() if permit in ended)
