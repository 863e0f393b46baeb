"""What is kept in which Redis, where the cache has one of its own."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches
from django.test import override_settings
from redis import Redis

from base.storage.breakers import breaker_of
from base.streams import issue_ticket, publisher, redeem_ticket
from base.web.accounts import Credential
from commands import queue
from tools.rig.servers import Server, start_redis


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Server]:
    with start_redis(tmp_path / "kept") as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path, kept: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(queue, "_send", lambda *_args, **_options: None)
    with start_redis(tmp_path / "cache") as server:
        urls = {"default": f"{server.url}/0", "kept": f"{kept.url}/1"}
        caches = {name: {**settings.CACHES[name], "LOCATION": url} for name, url in urls.items()}
        given = {"CACHE_URL": urls["default"], "REDIS_URL": urls["kept"], "CACHES": caches}
        with override_settings(**given):
            publisher._publisher.cache_clear()
            yield server
            publisher._publisher.cache_clear()


def keys(server: Server, number: int) -> str:
    with Redis(port=server.port, db=number, decode_responses=True) as redis:
        return " ".join(redis.scan_iter())


def test_the_cache_holds_bells_and_nothing_else(cache: Server, kept: Server) -> None:
    queue.ring_now("BTC-USD")
    assert redeem_ticket(issue_ticket(Credential(7))).credential == Credential(7)
    assert "bell:BTC-USD" in keys(cache, 0)
    assert "ticket" not in keys(cache, 0)
    assert "stream-ticket:" in keys(kept, 1)
    assert "bell:" not in keys(kept, 1)


def test_a_cache_that_forgot_makes_no_used_ticket_good(cache: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = issue_ticket(Credential(7))
    assert redeem_ticket(ticket).credential == Credential(7)
    # Another process, which has not seen it itself.
    monkeypatch.setattr("base.streams.tickets._used", {})
    with Redis(port=cache.port) as redis:
        redis.flushall()
    assert redeem_ticket(ticket) is None


def test_a_cache_that_is_away_takes_nobody_along(cache: Server, kept: Server) -> None:
    cache.kill()
    queue.ring_now("BTC-USD")
    assert breaker_of(settings.CACHE_URL).is_open
    assert not breaker_of(settings.REDIS_URL).is_open
    assert redeem_ticket(issue_ticket(Credential(7))).credential == Credential(7)
    assert "stream-ticket:" in keys(kept, 1)


class Payload:
    """What pickle would run when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["default", "kept"])
def test_what_somebody_writes_into_a_cache_is_not_run(cache: Server, kept: Server, name: str, tmp_path: Path) -> None:
    own: Any = caches[name]
    own.client.get_client().set(own.make_key("key"), pickle.dumps(Payload(tmp_path / "mark")))
    with pytest.raises(ValueError, match="decode"):
        own.get("key")
    assert not (tmp_path / "mark").exists()
    own.set("key", {"a": [1, "x"]})
    assert own.get("key") == {"a": [1, "x"]}
