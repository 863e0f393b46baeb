"""The balance cache on MySQL and Redis: what is read, what it costs, and what the seams do.

tests/unit/test_coherence.py plays the races.
"""

import threading
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import override_settings
from redis import Redis

from balances.cache import INDEX, StoredRows, balance_cache, balances_changed
from balances.models import Balance
from base.models import CacheState
from base.storage import coherence
from base.storage.coherence import NEVER_OPENED, Phase
from base.storage.redis import redis_client
from base.storage.shared_caches import DatabaseStates, run_id
from base.storage.shared_caches import coherence as shared_coherence
from base.telemetry.metrics import CACHE_READS
from tests.support.world import World, fund

pytestmark = pytest.mark.skipif("sqlite" in settings.DATABASES["default"]["ENGINE"], reason="SQLite locks no rows")
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def redis() -> Iterator["Redis"]:
    with redis_client(settings.CACHE_URL) as client:
        client.delete(INDEX)
        yield client


@pytest.fixture
def cached(transactional_db: None, redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world with the cache open. What is tested must commit, because the fill and the state do."""
    monkeypatch.setattr(coherence, "CLOSED_SECONDS", 0.0)
    monkeypatch.setattr(coherence, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(coherence, "CLOSING_SECONDS", 0.25)
    with override_settings(BALANCE_CACHE=True):
        shared_coherence.cache_clear()
        balance_cache.cache_clear()
        world = World.make()
        world.alice.holds("USD")
        yield world
        shared_coherence.cache_clear()
        balance_cache.cache_clear()


def hits(world: World) -> float:
    """How often Alice's balances came from Redis or from the process."""
    counted = [CACHE_READS.labels(name, "hit")._value for name in ("balances", "balances in the process")]
    before = sum(value.get() for value in counted)
    world.alice.holds("USD")
    return sum(value.get() for value in counted) - before


def test_another_database_server_that_took_over_uses_nothing_of_before(cached):
    """A replica that lagged lacks what Redis has: the balance that it never received would be answered."""
    cached.alice.holds("USD")
    assert hits(cached) == 1
    CacheState.objects.update(origin="another")
    rows = Balance.objects.filter(user=cached.alice.user, currency="USD")
    before = rows.get().available
    rows.update(available=1)
    time.sleep(coherence.LEASE_SECONDS)
    assert cached.alice.holds("USD") == "1 0"
    assert DatabaseStates().read().phase is Phase.CLOSING
    rows.update(available=before)


def test_a_second_reader_reads_no_row(cached, django_assert_num_queries):
    assert hits(cached) == 0
    assert hits(cached) == 1
    with django_assert_num_queries(1) as queries:
        assert cached.alice.holds("USD") == "10000 0"
    assert not [query for query in queries.captured_queries if "balances" in query["sql"]]
    balance_cache.cache_clear()
    assert hits(cached) == 1, "another process finds it in Redis"


@pytest.mark.parametrize("line", ["buy 1 @ 100", "buy 1 @ 100 ioc"])
def test_what_intake_freezes_and_the_worker_settles_is_seen(cached, line):
    # Both balances are there before: the worker makes none.
    fund(cached.alice.user, BTC="1")
    cached.play(cached.bob, "sell 1 @ 100")
    hits(cached)
    assert cached.place(cached.alice, line).status_code == 202
    assert cached.alice.holds("USD") == "9900 100"
    hits(cached)
    cached.match()
    assert cached.alice.holds("USD") == "9900 0"
    assert cached.alice.holds("BTC") == "2 0"
    assert [row["currency"] for row in cached.alice.get(f"/balances/{cached.alice.user.id}")] == ["BTC", "USD"]


def test_a_transfer_and_a_currency_that_is_new(cached):
    assert cached.carol.get(f"/balances/{cached.carol.user.id}") == []
    fund(cached.carol.user, USD="5")
    assert cached.carol.holds("USD") == "5 0"
    assert cached.carol.holds("BTC") == "0 0"


def test_an_answer_is_the_same_with_and_without(cached):
    cached.play(cached.alice, "buy 1.5 @ 99.99")
    path = f"/balances/{cached.alice.user.id}"
    cached.alice.get(path)
    kept = cached.alice.get(path), cached.alice.get(f"{path}/USD"), cached.alice.get(f"{path}/BTC")
    with override_settings(BALANCE_CACHE=False):
        assert kept == (cached.alice.get(path), cached.alice.get(f"{path}/USD"), cached.alice.get(f"{path}/BTC"))


@pytest.mark.dialect
def test_what_another_transaction_changes_is_not_kept(cached):
    """Between the renewal and the commit the row is locked: a reader has the old one, and nobody keeps it."""
    user_id, locked, go_on = cached.alice.user.id, threading.Event(), threading.Event()

    def change() -> None:
        with transaction.atomic():
            Balance.objects.filter(user_id=user_id, currency_id="USD").update(frozen=0)
            balances_changed([user_id])
            locked.set()
            go_on.wait(10)
            # As it was, because the money is counted after each test.
        connection.close()

    writer = threading.Thread(target=change)
    writer.start()
    try:
        assert locked.wait(10)
        assert StoredRows().read_locked(user_id) is None
        assert hits(cached) == hits(cached) == 0
    finally:
        go_on.set()
        writer.join()
    cached.alice.holds("USD")
    # The one who might fill it had died, for all that the others knew.
    assert StoredRows().read_locked(user_id) is not None


def test_a_writer_without_redis_closes_it_and_is_not_refused(cached):
    hits(cached)
    with override_settings(CACHE_URL=NOWHERE):
        assert cached.place(cached.alice, "buy 1 @ 100").status_code == 202
    assert CacheState.objects.get().phase == Phase.CLOSED
    assert cached.alice.holds("USD") == "9900 100"


def test_a_redis_that_was_restarted_is_found_out(cached):
    hits(cached)
    assert CacheState.objects.get().server == run_id()
    CacheState.objects.update(server="another")
    shared_coherence.cache_clear()
    balance_cache.cache_clear()
    assert hits(cached) == 0
    assert CacheState.objects.get().phase == Phase.CLOSING
    with transaction.atomic():
        balances_changed([cached.alice.user.id])
    assert CacheState.objects.get().phase == Phase.CLOSED


def test_redis_without_memory_of_it(cached, redis):
    hits(cached)
    for key in redis.scan_iter("exchange:shared:balances:*"):
        redis.delete(key)
    assert hits(cached) == 0
    assert hits(cached) == 1


@pytest.mark.dialect
def test_the_state_is_changed_by_one(transactional_db):
    states = DatabaseStates()
    assert states.read() == NEVER_OPENED
    assert states.change(NEVER_OPENED, Phase.OPEN, "run")
    assert not states.change(NEVER_OPENED, Phase.OPEN, "other")
    first = states.read()
    assert (first.phase, first.server) == (Phase.OPEN, "run")
    with transaction.atomic():
        assert states.change(first, Phase.CLOSING, "")
        assert states.read().phase is Phase.CLOSING, "within a transaction too"
        transaction.set_rollback(True)
    assert states.read().phase is Phase.CLOSING, "whatever becomes of the caller's"
    assert not states.change(first, Phase.OPEN, "run")
