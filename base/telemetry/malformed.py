"""What came from Redis or a broker and cannot be read is thrown away: counted, and named in the log.

Whoever can write there could fill the log. So of each place a line is written at most once a second, with the number
of those that were dropped since the last one. Nothing of an entry's content is in it.
"""

import logging
import threading
import time

from base.telemetry.metrics import MALFORMED

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
LONGEST = 200
PLACES = QUEUE, TASK, EVENTS, DEPTH, BALANCES, CONNECTIONS = (
    "queue",
    "task",
    "events",
    "depth",
    "balances",
    "connections",
)
# From 0 on, because a counter that begins at 1 has not increased.
for _place in PLACES:
    MALFORMED.labels(_place)

_lock = threading.Lock()
# By place: when the next line may be written, and how many were dropped without one.
_next_line: dict[str, float] = {}
_unsaid: dict[str, int] = {}


def drop_malformed(place: str, why: object) -> None:
    """Count an entry that is dropped, and log why it cannot be read."""
    MALFORMED.labels(place).inc()
    with _lock:
        number = _unsaid.pop(place, 0) + 1
        now = time.monotonic()
        if now < _next_line.get(place, 0.0):
            _unsaid[place] = number
            return
        _next_line[place] = now + PAUSE_SECONDS
    reason = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why)
    shown = "".join(letter if letter.isprintable() else "?" for letter in reason[:LONGEST])
    logger.error("dropped from %s what cannot be read (%d since the last such line): %s", place, number, shown)
