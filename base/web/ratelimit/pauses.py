"""Counting failures that pause what may be tried: exactly, in Redis for all processes; in this one while Redis is away.

A count is forgiven one failure at a time. From a number of failures on each one brings a pause, twice as long as the
one before, during which nothing more is let in, so that nothing more is counted.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from cachetools import TTLCache

from base.storage.scripts import run_script

KEY_PREFIX = "exchange:lockout:"
MICROSECONDS = 1_000_000
FIRST_SECONDS = 1
FORGIVEN_SECONDS = 3600
# No count grows further beyond those that are free: it would take long to be forgiven, and no pause gets longer.
MOST_BEYOND = 12
# A count is kept until it is forgiven; one that was lifted until the largest would be, for as long as pairs of before.
KEPT_SECONDS = 2 * 86_400
# For so long an owner is known at an address after a sign-in.
KNOWN_SECONDS = 30 * 86_400
REMEMBERED = 100_000

# The clock is the server's. A pause that ends later than any can was begun before the clock was set back: it is over.
BEGIN = f"""
local time = redis.call('TIME')
local now = time[1] * {MICROSECONDS} + time[2]
local longest, is_owner = tonumber(ARGV[4]), redis.call('EXISTS', KEYS[4]) == 1
local counted, found, lifted = is_owner and 2 or 3, {{}}, 0
for i = 3, 1, -1 do
    local stored = redis.call('HMGET', KEYS[i], 'failures', 'at', 'ends', 'lifted')
    local at, ends = math.min(tonumber(stored[2]) or now, now), tonumber(stored[3]) or 0
    local failures = (tonumber(stored[1]) or 0) - (now - at) / {FORGIVEN_SECONDS * MICROSECONDS}
    if ends > now + longest or (i == 1 and at <= lifted) then ends = 0 end
    if i == 1 and at <= lifted then failures = 0 end
    found[i] = {{math.max(failures, 0), ends, stored[4]}}
    local when = tonumber(stored[4]) or 0
    if when <= now then lifted = math.max(lifted, when) end
end
local wait = 0
for i = 1, counted do wait = math.max(wait, found[i][2] - now) end
if wait > 0 then return {{0, wait, counted, '0', '0', '0'}} end
local reply = {{1, 0, counted, '0', '0', '0'}}
for i = 1, counted do
    local free, failures = tonumber(ARGV[i]), found[i][1] + 1
    local beyond = math.floor(failures - free + 0.5)
    if beyond >= 0 then
        reply[3 + i] = string.format('%.0f', now + math.min(longest, {FIRST_SECONDS * MICROSECONDS} * 2 ^ beyond))
    end
    failures = math.min(failures, free + {MOST_BEYOND})
    redis.call('HSET', KEYS[i], 'failures', string.format('%.6f', failures),
        'at', string.format('%.0f', now), 'ends', reply[3 + i])
    local kept = math.ceil(failures * {FORGIVEN_SECONDS} + longest / {MICROSECONDS})
    redis.call('EXPIRE', KEYS[i], found[i][3] and {KEPT_SECONDS} or kept)
end
return reply
"""
# What the attempt counted is taken back, and with it the pause that it began. Whoever gives the right password mistyped
# it before: those failures are taken back too, which keeps an address of many people open.
TAKE_BACK = f"""
local failures = 1
if ARGV[5] == '1' then failures = math.max(tonumber(redis.call('HGET', KEYS[1], 'failures')) or 1, 1) end
for i = 1, tonumber(ARGV[1]) do
    local stored = redis.call('HMGET', KEYS[i], 'failures', 'ends', 'lifted')
    local left = math.max((tonumber(stored[1]) or 0) - failures, 0)
    if left == 0 and not stored[3] then
        redis.call('DEL', KEYS[i])
    elseif stored[1] then
        redis.call('HSET', KEYS[i], 'failures', string.format('%.6f', left))
        if stored[2] == ARGV[1 + i] then redis.call('HSET', KEYS[i], 'ends', '0') end
    end
end
if ARGV[5] == '1' then
    redis.call('DEL', KEYS[1])
    redis.call('SET', KEYS[4], 1, 'EX', {KNOWN_SECONDS})
end
return 1
"""
LIFT = f"""
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * {MICROSECONDS} + time[2])
redis.call('HSET', KEYS[1], 'failures', '0', 'at', now, 'ends', '0', 'lifted', now)
redis.call('EXPIRE', KEYS[1], {KEPT_SECONDS})
return 1
"""


class Keys(NamedTuple):
    """What an attempt is counted by: the name at the address, the address, the name; and where its owner is known."""

    pair: str
    address: str
    name: str
    known: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an attempt may be made; when the pauses end that it began, each 0 for none; `counted`: of the keys."""

    is_let_in: bool
    wait_seconds: float
    counted: int
    ends: tuple[int, int, int]


@dataclass(slots=True)
class _Count:
    failures: float
    at: int
    ends: int = 0
    lifted: int = 0


class LocalPauses:
    """The counts of one process, by the same rules."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: TTLCache[str, _Count] = TTLCache(REMEMBERED, KEPT_SECONDS, timer=clock)
        self._known: TTLCache[str, bool] = TTLCache(REMEMBERED, KNOWN_SECONDS, timer=clock)

    def begin(self, keys: Keys, free: Sequence[int], longest: int) -> Verdict:
        with self._lock:
            now = self._now()
            pair, address, name = (self._found(key, now) for key in keys[:3])
            if pair.at <= max(address.lifted, name.lifted):
                pair = _Count(0, now)
            counts = (pair, address) if keys.known in self._known else (pair, address, name)
            wait = max(count.ends - now for count in counts)
            if wait > 0:
                return Verdict(False, wait / MICROSECONDS, len(counts), (0, 0, 0))
            ends = [0, 0, 0]
            for place, count in enumerate(counts):
                beyond = math.floor(count.failures + 1 - free[place] + 0.5)
                if beyond >= 0:
                    ends[place] = now + min(longest, FIRST_SECONDS * 2**beyond) * MICROSECONDS
                failures = min(count.failures + 1, free[place] + MOST_BEYOND)
                self._counts[keys[place]] = _Count(failures, now, ends[place], count.lifted)
            return Verdict(True, 0.0, len(counts), (ends[0], ends[1], ends[2]))

    def take_back(self, keys: Keys, verdict: Verdict, is_right: bool) -> None:
        with self._lock:
            pair = self._counts.get(keys.pair)
            failures = max(pair.failures, 1) if pair and is_right else 1
            for key, ends in zip(keys[: verdict.counted], verdict.ends, strict=False):
                count = self._counts.get(key)
                if count is not None:
                    count.failures = max(count.failures - failures, 0)
                    count.ends = 0 if count.ends == ends else count.ends
            if is_right:
                self._counts.pop(keys.pair, None)
                self._known[keys.known] = True

    def lift(self, key: str) -> None:
        with self._lock:
            now = self._now()
            self._counts[key] = _Count(0, now, 0, now)

    def _now(self) -> int:
        return int(self._clock() * MICROSECONDS)

    def _found(self, key: str, now: int) -> _Count:
        """What is left of the count by now."""
        stored = self._counts.get(key)
        if stored is None:
            return _Count(0, now)
        forgiven = (now - stored.at) / (FORGIVEN_SECONDS * MICROSECONDS)
        return replace(stored, failures=max(stored.failures - forgiven, 0))


class SharedPauses:
    """The counts of all processes together. While Redis is away each process counts by itself, from nothing."""

    def __init__(self) -> None:
        self._local = LocalPauses()

    def begin(self, keys: Keys, free: Sequence[int], longest: int) -> Verdict:
        """Count an attempt as a failure and let it in, or else count nothing. Never raises for Redis."""
        reply = _ask(BEGIN, keys, *free, longest * MICROSECONDS)
        if reply is None:
            return self._local.begin(keys, free, longest)
        is_let_in, wait, counted, *ends = map(int, reply)
        return Verdict(bool(is_let_in), wait / MICROSECONDS, counted, (ends[0], ends[1], ends[2]))

    def take_back(self, keys: Keys, verdict: Verdict, is_right: bool) -> None:
        """The attempt was no failure. If the password was right, the owner is known at the address from now on."""
        _ask(TAKE_BACK, keys, verdict.counted, *verdict.ends, int(is_right))
        self._local.take_back(keys, verdict, is_right)

    def lift(self, key: str) -> bool:
        """Forgive the failures of a name or of an address, and of its pairs. False where Redis does not answer."""
        self._local.lift(key)
        return _ask(LIFT, [key]) is not None


def _ask(script: str, keys: Sequence[str], *arguments: int) -> Any:
    """What the script answers; None where Redis does not."""
    failure = "Redis does not count failures, this process does by itself"
    return run_script(script, [KEY_PREFIX + key for key in keys], arguments, failure=failure)
