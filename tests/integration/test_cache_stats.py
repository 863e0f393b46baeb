"""What operators see of the caches, and the warming that fills them."""

import pytest

from matching.worker import chores
from orders.services import most_active_users

CACHES = {"balances", "balances in the process", "depth", "ids of orders", "ids of users"}


def test_it_is_for_staff_who_may(world):
    assert world.alice.call("GET", "/cache/stats").body["error"] == "STAFF_ONLY"
    refused = world.clerk().call("GET", "/cache/stats")
    assert (refused.status_code, refused.body["error"]) == (403, "PERMISSION_REQUIRED")
    assert refused.body["data"] == {"permission": "operations.view"}


def test_it_counts_by_cache(world):
    before = world.staff.get("/cache/stats")
    assert before.keys() == CACHES
    world.play(world.alice, "buy 1 @ 100")
    world.alice.call("GET", f"/orders/{10**15}")
    world.carol.get(f"/orderbook/{world.symbol}")
    after = world.staff.get("/cache/stats")
    assert after["ids of orders"]["hits"] == before["ids of orders"]["hits"] + 1
    depth = after["depth"]
    assert depth["hits"] + depth["misses"] == before["depth"]["hits"] + before["depth"]["misses"] + 1
    assert depth["entries"] == 1 and depth["oldestSeconds"] >= 0
    assert after["balances"] == before["balances"], "it is switched off"


def test_without_redis_it_says_what_it_knows(world, settings):
    settings.CACHE_URL = "redis://127.0.0.1:1/0"
    depth = world.staff.get("/cache/stats")["depth"]
    assert (depth["entries"], depth["oldestSeconds"]) == (None, None)


def test_the_most_active_are_of_the_newest_orders(world):
    for _ in range(2):
        world.place(world.bob, "sell 1 @ 100")
    world.place(world.alice, "buy 1 @ 90")
    assert most_active_users(1) == [world.bob.user.id]
    assert most_active_users(10) == [world.bob.user.id, world.alice.user.id]


def test_warming_changes_nothing_and_needs_nothing(world, settings):
    world.place(world.alice, "buy 1 @ 90")
    chores.warm()
    settings.REDIS_URL = settings.CACHE_URL = "redis://127.0.0.1:1/0"
    chores.warm()
    assert world.alice.holds("USD") == "9910 90"


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_warms_ends_without_a_word(caplog):
    chores.start_warming().join(10)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
