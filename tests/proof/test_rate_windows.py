"""The moving second: never more than the limit in any of them, however many ask at once, with Redis and without."""

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings
from django.test import override_settings
from redis import Redis

from base.storage.breakers import breaker_of
from base.web.ratelimit.windows import KEY_PREFIX, LocalWindow, SharedWindow
from tests.support.live import wait_for
from tools.rig.servers import Server, start_redis

LIMIT = 10
WINDOWS = pytest.mark.parametrize("window", [SharedWindow, LocalWindow])


@pytest.fixture
def key() -> str:
    return secrets.token_hex(8)


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis.from_url(settings.REDIS_URL) as client:
        yield client


def let_in(window: SharedWindow | LocalWindow, key: str, times: int, limit: int = LIMIT) -> int:
    return sum(window.hit(key, limit).is_let_in for _ in range(times))


@WINDOWS
def test_it_counts_down_and_says_how_long_to_wait(window: type[SharedWindow | LocalWindow], key: str) -> None:
    counting = window()
    began = time.monotonic()
    assert counting.hit(key, 3).remaining == 2
    time.sleep(0.2)
    assert [counting.hit(key, 3).remaining for _ in range(2)] == [1, 0]
    refused, lowered = counting.hit(key, 3), counting.hit(key, 2)
    assert (refused.is_let_in, refused.limit, refused.remaining) == (False, 3, 0)
    assert 1 - (time.monotonic() - began) - 0.001 <= refused.wait_seconds < 0.85
    assert 0.15 < lowered.wait_seconds - refused.wait_seconds < 0.8, "for a lower limit two of three must leave"
    assert lowered.wait_seconds <= refused.reset_seconds <= 1
    time.sleep(refused.wait_seconds)
    assert counting.hit(key, 3).is_let_in


@WINDOWS
def test_never_more_than_the_limit_in_any_second(
    window: type[SharedWindow | LocalWindow], key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fifty threads; with Redis they are five processes of ten."""
    counts = [window() for _ in range(5 if window is SharedWindow else 1)]
    began = time.monotonic()

    def hammer(number: int) -> list[tuple[float, float]]:
        """Of each request that was let in, an instant before and one after it was."""
        spans = []
        while (before := time.monotonic()) < began + 1.3:
            if counts[number % len(counts)].hit(key, LIMIT).is_let_in:
                spans.append((before, time.monotonic()))
        return spans

    with ThreadPoolExecutor(50) as pool:
        spans = [span for spans in pool.map(hammer, range(50)) for span in spans]
    assert caplog.messages == [], "Redis was there all the time"
    within = [sum(before >= start and after < start + 1 for before, after in spans) for start, _ in spans]
    assert max(within) <= LIMIT
    assert len(spans) == 2 * LIMIT, "and not fewer: ten at once, and ten a second later"


def test_one_key_is_nothing_to_another(key: str) -> None:
    assert [let_in(SharedWindow(), name, LIMIT + 5) for name in (f"{key}-a", f"{key}-b")] == [LIMIT, LIMIT]


def test_what_is_kept_ends_by_itself(key: str, redis: Redis) -> None:
    let_in(SharedWindow(), key, LIMIT + 5)
    assert redis.llen(KEY_PREFIX + key) == LIMIT
    assert 1000 < redis.pttl(KEY_PREFIX + key) <= 2000


@pytest.mark.parametrize(("seconds", "expected"), [(0.5, 0), (5, LIMIT)])
def test_a_clock_that_was_set_back_lets_in_neither_too_many_nor_nobody(
    key: str, redis: Redis, seconds: float, expected: int
) -> None:
    """By a little, entries of the future still count; by more they would keep everybody out for long."""
    second, microseconds = redis.time()
    ahead = second * 1_000_000 + microseconds + int(seconds * 1_000_000)
    redis.rpush(KEY_PREFIX + key, *[ahead] * LIMIT)
    redis.pexpire(KEY_PREFIX + key, 10_000)
    assert let_in(SharedWindow(), key, LIMIT + 5) == expected


def test_a_process_lets_in_no_more_when_redis_goes_and_comes_back_empty(key: str, tmp_path: Path) -> None:
    """Of several processes each lets in as much by itself while Redis is away."""
    with start_redis(tmp_path) as server, override_settings(REDIS_URL=f"{server.url}/1"):
        one, other = SharedWindow(), SharedWindow()
        began = time.monotonic()
        assert let_in(one, key, LIMIT) == LIMIT
        server.kill()
        assert let_in(one, key, LIMIT) == 0
        assert let_in(other, key, 2 * LIMIT) == LIMIT
        assert time.monotonic() < began + 1, "too slow to tell anything"
        time.sleep(began + 1.1 - time.monotonic())
        assert let_in(one, key, 2 * LIMIT) == LIMIT
        _bring_back(server)
        assert let_in(one, f"{key}-new", LIMIT // 2) + let_in(other, f"{key}-new", LIMIT) == LIMIT


def _bring_back(server: Server) -> None:
    server.start()
    wait_for(lambda: breaker_of(settings.REDIS_URL).is_open, lambda is_open: not is_open, seconds=3)


def test_a_redis_that_refuses_to_count_is_done_without(
    key: str, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    redis.set(KEY_PREFIX + key, "no list", px=2000)
    assert let_in(SharedWindow(), key, LIMIT + 5) == LIMIT
    assert "does not count requests" in caplog.messages[0]
    assert not breaker_of(settings.REDIS_URL).is_open
