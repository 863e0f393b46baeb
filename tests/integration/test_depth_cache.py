"""The depth in Redis: it answers for MySQL, and only while it is of the book's present row."""

import time

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from base.storage.locks import FencedLock, alone
from marketdata import depth_cache
from marketdata.depth import read_depth
from marketdata.depth_cache import find_depth
from marketdata.synchronising import Fault, synchronise, synchronise_one
from matching.models import OrderBook
from matching.worker import chores
from tests.support.world import World


@pytest.fixture
def market(world: World) -> World:
    """Bob offers at three prices. What another test left in Redis is gone."""
    depth_cache.client().delete(depth_cache.key(world.symbol))
    for price in (101, 102, 103):
        world.play(world.bob, f"sell 1 @ {price}")
    return world


def statements(world: World, limit: int = 20) -> list[str]:
    """What a request reads of orders, events and the book's row."""
    with CaptureQueriesContext(
        connection,
    ) as queries:
        world.carol.get(f"/orderbook/{world.symbol}?limit={limit}")
    return [query["sql"] for query in queries if "order" in query["sql"]]


def levels(world: World, limit: int = 20) -> list[str]:
    return [level["price"] for level in world.carol.get(f"/orderbook/{world.symbol}?limit={limit}")["asks"]]


@pytest.mark.dialect
def test_a_request_reads_the_books_row_alone(market):
    found = find_depth(market.symbol, 2)
    assert found == read_depth(market.symbol, 2)
    assert [level["price"] for level in found["asks"]] == ["101", "102"]
    [statement] = statements(market)
    assert "order_books" in statement


def test_a_rejected_order_takes_the_depth_along(market):
    market.play(market.bob, "sell 1 @ market")
    assert len(statements(market)) == 1
    assert find_depth(market.symbol, 20) == read_depth(market.symbol, 20)


@pytest.mark.parametrize("lost", ["the message", "the number"])
def test_an_older_depth_is_never_served(market, monkeypatch, lost):
    """The worker dies between its commit and Redis; after a restored backup even the number may be the same."""
    if lost == "the message":
        monkeypatch.setattr("matching.prepare.publish_updates", lambda *_, **__: None)
        market.play(market.alice, "buy 1 @ 101")
        assert levels(market) == ["102", "103"]
    else:
        OrderBook.objects.update(token="0" * 32)
        assert len(statements(market)) > 1


def test_an_older_depth_never_replaces_a_newer_one(market):
    state, depth = depth_cache.load(market.symbol)
    market.play(market.alice, "buy 1 @ 101")
    late = depth_cache.write_after_commit(market.symbol, depth, state.token)
    assert depth_cache.client().execute_command(*late) == 0
    assert levels(market) == ["102", "103"]
    assert len(statements(market)) == 1


def test_who_asks_for_more_than_is_kept_reads_the_rows(market):
    with override_settings(DEPTH_CACHE_LEVELS=2):
        market.play(market.bob, "sell 1 @ 104")
        assert levels(market, 2) == ["101", "102"]
        assert len(statements(market, 2)) == 1
        assert levels(market, 3) == ["101", "102", "103"]


def test_switched_off_nothing_is_written_nor_read(market):
    depth_cache.client().delete(depth_cache.key(market.symbol))
    with override_settings(DEPTH_CACHE_LEVELS=0):
        market.play(market.bob, "sell 1 @ 104")
        assert levels(market) == ["101", "102", "103", "104"]
        assert chores.synchronise_depths(None) == []
    assert depth_cache.read_kept(market.symbol) is None


def test_what_redis_forgot_is_kept_again_by_the_first_reader(market):
    depth_cache.client().flushdb()
    assert levels(market) == ["101", "102", "103"]
    assert len(statements(market)) == 1
    assert depth_cache.client().pttl(depth_cache.key(market.symbol)) > depth_cache.TTL_MS - 10_000


def test_without_redis_the_rows_answer(market):
    away = "redis://127.0.0.1:1/1"
    with override_settings(CACHE_URL=away, REDIS_URL=away):
        assert levels(market) == ["101", "102", "103"]


# ------------------------------------------------------------------------------------------------- synchronising


def put(market: World, **fields: str) -> None:
    depth_cache.client().hset(depth_cache.key(market.symbol), mapping=fields)


@pytest.mark.dialect
def test_what_differs_is_repaired(market, caplog):
    assert synchronise_one(market.symbol, 1) is None
    put(market, asks="1:1:1")
    assert synchronise_one(market.symbol, 2) is Fault.DIFFERENT
    assert caplog.records[-1].levelname == "ERROR"
    put(market, token="of another time", sequence="2")
    assert synchronise_one(market.symbol, 3) is Fault.OLD
    put(market, token="of another time", sequence="99")
    assert synchronise_one(market.symbol, 4) is Fault.AHEAD
    depth_cache.client().delete(depth_cache.key(market.symbol))
    assert synchronise_one(market.symbol, 5) is Fault.MISSING
    assert levels(market) == ["101", "102", "103"]
    assert len(statements(market)) == 1


def test_the_chore_stops_in_time_and_is_left_out_where_another_does_it(market, caplog):
    caplog.set_level("INFO")
    depth_cache.client().delete(depth_cache.key(market.symbol))
    with alone("synchronise-depths", 5):
        assert chores.synchronise_depths(None) == []
    assert depth_cache.read_kept(market.symbol) is None
    assert "because another instance does it" in caplog.text
    assert chores.synchronise_depths(None) == []
    assert depth_cache.read_kept(market.symbol) is not None
    assert synchronise(["A", "B"], 1, until=0) == ["A", "B"]


# ------------------------------------------------------------------------------------------------- the lock


def test_who_stalls_past_the_locks_time_cannot_overwrite_what_the_next_holder_wrote(market):
    """Both judged the same depth wrong. The first one read its levels, and slept."""
    put(market, asks="1:1:1")
    state, stale = depth_cache.load(market.symbol)
    with alone("test", 0.05) as first:
        time.sleep(0.1)
        with alone("test", 5) as second:
            assert second == first + 1
            assert synchronise_one(market.symbol, second) is Fault.DIFFERENT
        wrong = stale._replace(asks=[(1, 1, 1)])
        assert not depth_cache.keep(market.symbol, wrong, state.token, replaces=state.token, fence=first)
    assert levels(market) == ["101", "102", "103"]


def test_without_redis_the_work_is_left_out(caplog):
    with override_settings(REDIS_URL="redis://127.0.0.1:1/1"), alone("test", 1) as fence:
        assert fence is None
    assert "Redis does not give one" in caplog.text


def test_a_lock_ends_with_its_block_or_its_time(settings):
    with alone("test", 1), alone("test", 1) as other:
        assert other is None
    with alone("test", 1) as fence:
        assert fence
    assert FencedLock.fence == 0
