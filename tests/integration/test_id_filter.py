"""Ids that were never issued: 404 without a query; the shared filter says "never" only where that is certain."""

import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import override_settings
from redis import Redis

from base.models import CacheState
from base.storage import coherence
from base.storage.coherence import Phase
from base.storage.redis import redis_client
from base.storage.shared_caches import coherence as shared_coherence
from matching.worker import chores
from orders.ids import order_ids
from tests.support.world import World
from users.ids import store_new, user_ids
from users.models import User

NEVER = 10**15
needs_row_locks = pytest.mark.skipif("sqlite" in settings.DATABASES["default"]["ENGINE"], reason="SQLite locks no rows")


@pytest.mark.parametrize("path", [f"/orders/{NEVER}", f"/orders/{NEVER}/trades", f"/orders/{NEVER}/events"])
def test_an_unknown_order_costs_no_query(world, path, django_assert_num_queries):
    world.alice.call("GET", path)
    with django_assert_num_queries(0):
        assert world.alice.call("GET", path).status_code == 404
        assert world.alice.call("DELETE", f"/orders/{NEVER}").status_code == 404


def test_an_order_is_found_as_soon_as_it_is_placed(world):
    for _ in range(3):
        placed = world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"]
        assert world.alice.call("GET", f"/orders/{placed}").status_code == 200
        assert world.alice.call("GET", f"/orders/{NEVER}").status_code == 404


def test_an_unknown_user_costs_one_query_of_staff(world, django_assert_num_queries):
    """For their power to ask for others at all."""
    world.staff.call("GET", f"/users/{NEVER}")
    with django_assert_num_queries(1):
        assert world.staff.call("GET", f"/users/{NEVER}").status_code == 404


@pytest.fixture
def redis() -> Iterator["Redis"]:
    with redis_client(settings.CACHE_URL) as client:
        yield client


@pytest.fixture
def filtered(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world with the shared filter, opened and not filled."""
    monkeypatch.setattr(coherence, "CLOSED_SECONDS", 0.0)
    monkeypatch.setattr(coherence, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(coherence, "CLOSING_SECONDS", 0.25)
    with override_settings(ID_FILTER="shared"):
        shared_coherence.cache_clear()
        world = World.make()
        assert order_ids.may_exist(NEVER)
        assert CacheState.objects.get().phase == Phase.OPEN
        yield world
        shared_coherence.cache_clear()


@needs_row_locks
def test_it_says_never_when_it_is_filled(filtered, django_assert_num_queries):
    placed = filtered.place(filtered.alice, "buy 1 @ 100").body["data"]["orderId"]
    assert order_ids.may_exist(NEVER), "perhaps: it is not filled"
    assert order_ids.fill() and user_ids.fill()
    assert not order_ids.may_exist(NEVER) and not user_ids.may_exist(NEVER)
    assert order_ids.may_exist(placed) and user_ids.may_exist(filtered.alice.user.id)
    later = filtered.place(filtered.alice, "buy 1 @ 100").body["data"]["orderId"]
    assert later > placed and order_ids.may_exist(later)
    with django_assert_num_queries(0):
        assert filtered.alice.call("GET", f"/orders/{later + 1}").status_code == 404


@needs_row_locks
def test_the_mark_is_lost_with_the_bits(filtered, redis):
    assert order_ids.fill()
    assert order_ids.shared.is_filled()
    for key in redis.scan_iter("exchange:shared:ids:*"):
        redis.delete(key)
    assert order_ids.may_exist(NEVER)
    filtered.place(filtered.alice, "buy 1 @ 100")
    assert order_ids.may_exist(NEVER), "a few bits, and no mark"
    assert not order_ids.shared.is_filled()
    chores.fill_filters()
    assert not order_ids.may_exist(NEVER) and not user_ids.may_exist(NEVER)


@needs_row_locks
def test_bits_that_are_lost_while_it_is_filled(filtered, redis):
    filtered.place(filtered.alice, "buy 1 @ 100")

    def next_ids(after: int) -> list[int]:
        for key in redis.scan_iter("exchange:shared:ids:*"):
            redis.delete(key)
        return [] if after else [1]

    assert not order_ids.shared.fill(next_ids)
    assert order_ids.may_exist(NEVER)


@needs_row_locks
def test_intake_without_redis_makes_it_say_perhaps(filtered):
    assert order_ids.fill()
    with override_settings(CACHE_URL="redis://127.0.0.1:1/0"):
        placed = filtered.place(filtered.alice, "buy 1 @ 100")
    assert placed.status_code == 202
    assert filtered.alice.call("GET", f"/orders/{placed.body['data']['orderId']}").status_code == 200


@needs_row_locks
@pytest.mark.dialect
def test_a_transaction_that_is_not_over_is_waited_for(filtered):
    """Its row was inserted before the filter's time, so it adds no bit itself."""
    inserted, go_on, ids = threading.Event(), threading.Event(), []

    def register() -> None:
        with transaction.atomic():
            user = User(username="dora", email="dora@example.com", password="!")
            user.save()
            ids.append(user.pk)
            inserted.set()
            go_on.wait(10)
        connection.close()

    def fill() -> None:
        assert user_ids.fill()
        connection.close()

    writer, filler = threading.Thread(target=register), threading.Thread(target=fill)
    writer.start()
    assert inserted.wait(10)
    filler.start()
    filler.join(0.3)
    assert filler.is_alive() and user_ids.may_exist(NEVER)
    go_on.set()
    for thread in (writer, filler):
        thread.join()
    assert user_ids.may_exist(ids[0]) and not user_ids.may_exist(NEVER)


@needs_row_locks
def test_who_registers_is_added(filtered):
    assert user_ids.fill()
    dora = User(username="dora", email="dora@example.com", password="!")
    store_new(dora)
    assert user_ids.may_exist(dora.pk)


def test_it_is_of_the_size_that_was_asked_for():
    """10 million orders at one percent: 11.4 MiB and seven hashes."""
    assert (order_ids.shared.bits // 8 >> 20, order_ids.shared.hashes) == (11, 7)
    assert (user_ids.shared.bits // 8 >> 20, user_ids.shared.hashes) == (1, 7)
    places = [order_ids.shared._places(number) for number in range(1, 2000)]
    assert all(0 <= place < order_ids.shared.bits for each in places for place in each)
    assert len({tuple(each) for each in places}) == len(places)
