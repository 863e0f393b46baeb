"""The differences of the book: a client that begins anywhere keeps the book that the server has, at every step."""

import json
import random
import time
from typing import Any

import pytest

from binance_api.streams import readings
from binance_api.streams.changes import update
from binance_api.streams.events import depth_event
from binance_api.streams.readings import SourceFeed, read_book, read_changed_book
from marketdata import depth_cache
from marketdata.depth_cache import find_depth
from tests.integration.stream.binance import LocalBook, Sides, read_snapshot
from tests.support.sampling import TIMES, dice
from tests.support.world import World, fund

pytestmark = pytest.mark.django_db

ACTIONS = 60


@pytest.mark.parametrize("levels", [readings.LEVELS, 3])
def test_a_client_that_begins_anywhere_keeps_the_book(db: None, monkeypatch: pytest.MonkeyPatch, levels: int) -> None:
    """The source reads now and then, and clients begin between its readings, where orders came and went.

    Of a book that is deeper than the readings a client has no more than it read and was told, and nothing else.
    """
    monkeypatch.setattr(readings, "LEVELS", levels)
    for number in range(TIMES):
        _play(dice("binance book", levels, number), World.make(), levels)


def _play(chance: random.Random, world: World, levels: int) -> None:
    for person in (world.alice, world.bob):
        fund(person.user, BTC="1000", USD="1000000")
    books: dict[int, Sides] = {}
    told, before = 0, read_book(world.symbol)
    clients: list[LocalBook] = []
    for _ in range(ACTIONS):
        _act(chance, world)
        whole = LocalBook(read_snapshot(world.symbol))
        books[whole.last] = whole.sides
        if chance.random() < 0.6:
            clients.append(LocalBook(read_snapshot(world.symbol, min(levels - 1, 500))))
            del clients[:-10]
        if chance.random() < 0.2:
            now, touched = read_changed_book(world.symbol, before.sequence)
            changes, before = update(told + 1, before, now, touched), now
            if changes is not None:
                told = changes.last
                event = json.loads(depth_event("BTCUSD", changes))
                for client in clients:
                    client.apply(event)
                    _compare(client.sides, books[client.last], is_deeper=levels < 10)
    assert clients
    assert told


def _compare(sides: Sides, stored: Sides, *, is_deeper: bool) -> None:
    for side, real in zip(sides, stored, strict=True):
        assert side.items() <= real.items()
        assert is_deeper or side == real


def _act(chance: random.Random, world: World) -> None:
    who, mine = chance.choice((world.alice, world.bob)), None
    kind = chance.choices(("place", "cancel", "amend"), (6, 2, 2))[0]
    if kind != "place":
        mine = who.get("/orders?active=true")
    if not mine:
        side, price = chance.choice(("buy", "sell")), chance.randint(97, 103)
        more = chance.choice(("", "", "", " ioc", " post-only", " show 1", " decrement", " expire-maker"))
        world.play(who, f"{side} {chance.randint(2, 6)} @ {price}{more}")
        return
    order_id = chance.choice(mine)["orderId"]
    if kind == "cancel":
        who.call("DELETE", f"/orders/{order_id}")
    else:
        who.call("PATCH", f"/orders/{order_id}", {"price": str(chance.randint(97, 103)), "quantity": "7"})
    world.match()


def test_what_is_no_depth_in_the_cache_is_not_asked_again(db: None) -> None:
    world = World.make()
    world.play(world.alice, "buy 1 @ 90")
    depth_cache.client().delete(depth_cache.key(world.symbol))
    find_depth(world.symbol, 5)
    depth_cache.client().hset(depth_cache.key(world.symbol), "bids", "1:x:1")
    assert len(read_book(world.symbol).bids) == 1
    assert not depth_cache.client().exists(depth_cache.key(world.symbol))


def test_trades_that_were_missed_are_given_once_and_in_their_order(db: None) -> None:
    world = World.make()
    feed = SourceFeed(world.symbol)
    feed.opening(time.monotonic())
    heard, lost, late, newest = [_trade(world) for _ in range(4)]
    assert feed.new_trades([heard]) == [heard]
    # Both others were committed, and one of them is still under way.
    assert _missed(feed) == {"missed-trades": [lost, late, newest]}
    assert feed.new_trades([late, newest]) == []
    lost, heard = _trade(world), _trade(world)
    assert feed.new_trades([heard]) == [heard]
    assert _missed(feed) == {"stream-reset": {"reason": "MAY_HAVE_MISSED"}}
    assert feed.new_trades([lost]) == []
    assert _missed(feed) == {}


def _trade(world: World) -> Any:
    world.play(world.bob, "sell 0.1 @ 100")
    world.play(world.alice, "buy 0.1 @ 100")
    return world.carol.get(f"/trades/{world.symbol}?limit=1")[0]


def _missed(feed: SourceFeed) -> dict[str, Any]:
    """What a look at the database brings, but for the state that follows a gap."""
    found = {message.type: message.data for message in feed.missed(time.monotonic())}
    return {kind: data for kind, data in found.items() if kind not in ("depth", "ticker")}
