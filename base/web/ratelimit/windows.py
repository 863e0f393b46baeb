"""Counting requests over a moving window of a second or a few: exactly, in Redis for all processes; in this one alone
while Redis is away.

Both keep the instants of what was let in during the window, and let a request in while they are fewer than the limit.
What was refused is not counted. A fixed window would let in twice the limit around each of its borders.

A request may cost more than one instant. What it costs may be known only once its body was read: then it is asked for
again with what it has taken already (`held`), which is given back before it is counted anew.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from base.storage.scripts import run_script

WINDOW_SECONDS = 1.0
# The longest window that anybody asks for.
LONGEST_SECONDS = 10.0
MICROSECONDS = 1_000_000
REMEMBERED = 100_000
KEY_PREFIX = "exchange:rate:"

# The clock is the server's: those of several machines never agree to the millisecond. Where it was set back a little,
# the newest entry is the present; where it was set back by more than the window, its entries mean nothing any more.
# The key lives longer than its entries count, for it expires by a clock that is cut to milliseconds.
SCRIPT = """
local limit = tonumber(ARGV[1])
local cost = tonumber(ARGV[2])
local held = tonumber(ARGV[3])
local window = tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local newest = tonumber(redis.call('LINDEX', KEYS[1], -1))
if newest and newest > now + window then
    redis.call('DEL', KEYS[1])
elseif newest and newest > now then
    now = newest
end
local oldest = tonumber(redis.call('LINDEX', KEYS[1], 0))
while oldest and oldest <= now - window do
    redis.call('LPOP', KEYS[1])
    oldest = tonumber(redis.call('LINDEX', KEYS[1], 0))
end
for _ = 1, held do
    redis.call('RPOP', KEYS[1])
end
local count = redis.call('LLEN', KEYS[1])
if count + cost <= limit then
    for _ = 1, cost do
        redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
    end
    redis.call('PEXPIRE', KEYS[1], math.ceil(window / 500))
    return {1, limit - count - cost, 0, window}
end
newest = tonumber(redis.call('LINDEX', KEYS[1], -1))
local next_to_leave = tonumber(redis.call('LINDEX', KEYS[1], count + cost - limit - 1))
return {0, math.max(0, limit - count), next_to_leave + window - now, newest + window - now}
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one request: of `limit` in so many `seconds`. `wait_seconds`: until another would be let in;
    `reset_seconds`: until all would.
    """

    is_let_in: bool
    limit: int
    remaining: int
    wait_seconds: float
    reset_seconds: float
    seconds: float = WINDOW_SECONDS


class LocalWindow:
    """The count of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._let_in: TTLCache[str, deque[float]] = TTLCache(REMEMBERED, 2 * LONGEST_SECONDS, timer=clock)

    def hit(self, key: str, limit: int, cost: int = 1, held: int = 0, seconds: float = WINDOW_SECONDS) -> Verdict:
        """Count a request of so much, at most the limit. `held` of it were counted before."""
        with self._lock:
            now, instants = self._recent(key, held, seconds)
            count = len(instants)
            if count + cost <= limit:
                self._append(key, instants, now, cost)
                return Verdict(True, limit, limit - count - cost, 0.0, seconds, seconds)
            next_to_leave, newest = instants[count + cost - limit - 1], instants[-1]
            left = max(0, limit - count)
        return Verdict(False, limit, left, next_to_leave + seconds - now, newest + seconds - now, seconds)

    def add(self, key: str, cost: int, held: int, seconds: float) -> None:
        """Another count let a request in."""
        with self._lock:
            now, instants = self._recent(key, held, seconds)
            self._append(key, instants, now, cost)

    def _recent(self, key: str, held: int, seconds: float) -> tuple[float, deque[float]]:
        now = self._clock()
        instants: deque[float] = self._let_in.get(key) or deque()
        while instants and instants[0] <= now - seconds:
            instants.popleft()
        for _ in range(min(held, len(instants))):
            instants.pop()
        return now, instants

    def _append(self, key: str, instants: deque[float], now: float, cost: int) -> None:
        instants.extend([now] * cost)
        # Stored anew, so that it is kept from now on.
        self._let_in[key] = instants


class SharedWindow:
    """The count of all processes together, and of this one alone while Redis is away.

    What Redis let in is counted here too. So a process by itself never lets in more than the limit, even around the
    moment at which Redis goes or comes back empty; several without Redis let in so much each.
    """

    def __init__(self) -> None:
        self._local = LocalWindow()

    def hit(self, key: str, limit: int, cost: int = 1, held: int = 0, seconds: float = WINDOW_SECONDS) -> Verdict:
        """Count one request, as LocalWindow does. Never raises for Redis."""
        failure = "Redis does not count requests, this process does by itself"
        asked = [limit, cost, held, int(seconds * MICROSECONDS)]
        reply = run_script(SCRIPT, [KEY_PREFIX + key], asked, failure=failure)
        if reply is None:
            return self._local.hit(key, limit, cost, held, seconds)
        is_let_in, remaining, wait, reset = reply
        if is_let_in:
            self._local.add(key, cost, held, seconds)
        return Verdict(bool(is_let_in), limit, remaining, wait / MICROSECONDS, reset / MICROSECONDS, seconds)
