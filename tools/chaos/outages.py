"""Outages of Redis while clients read streams: frozen, flushed, killed. Matching goes on, and the streams catch up."""

from tools.chaos.exchange import freeze, thaw
from tools.chaos.laps import Course, Lap

ROUNDS = {"ci": 1, "full": 50}


def _frozen(lap: Lap) -> None:
    """It takes connections and answers nothing."""
    lap.watch.began("Redis frozen")
    freeze(lap.exchange.redis)
    lap.wait_for_matching()
    thaw(lap.exchange.redis)


def _flushed(lap: Lap) -> None:
    # Not measured: it takes no time, and the clients pause at once, so that there is nothing to match.
    lap.exchange.flush_redis()


def _killed(lap: Lap) -> None:
    lap.watch.began("Redis killed")
    lap.exchange.redis.kill()
    lap.wait_for_matching()
    lap.exchange.redis.start()


OUTAGES = Course(
    "Redis outages while clients read streams",
    {"Redis frozen": _frozen, "Redis flushed": _flushed, "Redis killed": _killed},
    is_noticed=False,
)
