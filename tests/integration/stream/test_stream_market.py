"""The public stream of a market: depth, trades, ticker."""

import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

from base.streams import Message, publish, stats
from base.streams.messages import data_text
from exchange.asgi import MARKET_PATH
from marketdata import feed
from tests.integration.stream.cast import until_true
from tests.integration.stream.client import StreamClient, Told
from tests.support.world import World
from tools.rig.servers import Server

pytestmark = pytest.mark.django_db(transaction=True)

PATH = MARKET_PATH + "BTC-USD"


@pytest.fixture
def world(transactional_db: None) -> World:
    return World.make()


def follow(port: int, path: str = PATH, **options: str) -> StreamClient:
    """A stream that has told where the market stands."""
    client = StreamClient(port, path, **options)
    assert [told.type for told in client.take(2)] == ["depth", "ticker"]
    return client


def wait_for(client: StreamClient, kind: str, is_it: Callable[[Any], bool] = lambda _: True) -> tuple[Told, list[str]]:
    """The next event of the type that is the one waited for, and the types of those that came before."""
    before: list[str] = []
    while (told := client.next()) is not None:
        if told.type == kind and is_it(told.data):
            return told, before
        before.append(told.type)
    raise AssertionError(f"no such {kind} came, but {before}")


def orderbook(world: World) -> Any:
    return world.carol.get("/orderbook/BTC-USD")


def is_book(world: World) -> Callable[[Any], bool]:
    book = orderbook(world)
    return lambda depth: bool(depth == book)


# ------------------------------------------------------------------------------------------------- what is told


def test_it_begins_with_the_depth_and_the_ticker(world: World, port: int) -> None:
    world.play(world.alice, "buy 1 @ 99")
    world.play(world.bob, "sell 2 @ 101")
    with StreamClient(port, PATH) as client:
        depth, ticker = client.take(2)

    assert client.status == 200
    assert client.headers["content-type"].startswith("text/event-stream")
    assert (depth.type, depth.data, depth.id) == ("depth", orderbook(world), None)
    assert depth.data["bids"] == [{"price": "99", "quantity": "1", "orderCount": 1}]
    assert (ticker.type, ticker.data, ticker.id) == ("ticker", world.carol.get("/ticker/BTC-USD"), None)
    assert (ticker.data["bestBid"], ticker.data["bestAsk"]) == ("99", "101")


def test_a_market_that_never_traded_is_empty(world: World, port: int) -> None:
    with StreamClient(port, PATH) as client:
        depth, ticker = client.take(2)
    assert (depth.data["sequence"], depth.data["bids"], depth.data["bestBid"]) == (0, [], None)
    assert ticker.data["lastPrice"] is None


def test_a_match_is_told(world: World, port: int) -> None:
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.bob, "sell 1 @ 101")
    with follow(port) as client:
        world.play(world.alice, "buy 1.5 @ 102")
        trades, _ = wait_for(client, "trades")
        depth, _ = wait_for(client, "depth", is_book(world))
        ticker, _ = wait_for(client, "ticker", lambda ticker: ticker["lastPrice"] == "101")

    assert trades.data == list(reversed(world.carol.get("/trades/BTC-USD")))
    assert [(trade["quantity"], trade["price"]) for trade in trades.data] == [("1", "100"), ("0.5", "101")]
    assert depth.data["asks"] == [{"price": "101", "quantity": "0.5", "orderCount": 1}]
    assert ticker.data == world.carol.get("/ticker/BTC-USD")


def test_each_depth_is_the_books_at_its_sequence(world: World, port: int) -> None:
    books = {}
    lines = ["buy 1 @ 99", "sell 1 @ 101", "buy 2 @ 101", "sell 0.5 @ 99", "sell 5 @ 98 ioc", "buy 1 @ 97"]
    with follow(port) as client:
        for line in lines:
            world.play(world.alice if line.startswith("buy") else world.bob, line)
            book = orderbook(world)
            books[book["sequence"]] = book
        last = book["sequence"]
        told = []
        while not told or told[-1]["sequence"] < last:
            told.append(wait_for(client, "depth")[0].data)

    assert [depth["sequence"] for depth in told] == sorted({depth["sequence"] for depth in told})
    assert [depth for depth in told if depth != books[depth["sequence"]]] == []


def test_a_refused_order_is_not_told(world: World, port: int) -> None:
    world.play(world.bob, "sell 1 @ 100")
    with follow(port) as client:
        world.play(world.alice, "buy 1 @ 100 post-only")
        world.play(world.alice, "buy 1 @ 99 ioc")
        assert client.next(1.5) is None


def test_what_is_read_again_is_told_only_if_it_changed(world: World) -> None:
    """A stream reads the market again whenever something may have been missed: after it opened, for one."""
    world.play(world.bob, "sell 1 @ 100")
    market = feed.MarketFeed("BTC-USD")
    market.opening(time.monotonic())

    def missed() -> list[str]:
        return [message.type for message in market.missed(time.monotonic())]

    assert missed() == []
    world.play(world.alice, "buy 1 @ 100 post-only")
    world.play(world.alice, "buy 1 @ 99 ioc")
    assert missed() == []
    world.play(world.alice, "buy 1 @ 99")
    assert missed() == ["depth", "ticker"]
    world.play(world.alice, "buy 1 @ 100")
    assert missed() == ["stream-reset", "depth", "ticker"]
    assert missed() == []


def test_what_was_queued_before_it_was_read_again_is_old(world: World) -> None:
    """An order came and went: its coming was heard, its going was lost."""
    world.play(world.alice, "buy 1 @ 90")
    market = feed.MarketFeed("BTC-USD")
    market.opening(time.monotonic())
    order = world.play(world.alice, "buy 1 @ 95")
    heard = data_text(orderbook(world))
    world.alice.call("DELETE", f"/orders/{order['orderId']}")
    world.match()
    assert market.missed(time.monotonic()) == []
    assert not market.is_new("depth", heard)


def test_twenty_levels_of_each_side_are_told(world: World, port: int) -> None:
    with follow(port) as client:
        for number in range(25):
            world.place(world.alice, f"buy 0.1 @ {60 + number}")
        world.match()
        depth, _ = wait_for(client, "depth", is_book(world))
    assert [level["price"] for level in depth.data["bids"]] == [str(84 - number) for number in range(20)]


def test_followers_hear_their_own_market(world: World, port: int) -> None:
    other = world.staff.call("POST", "/markets", {
        "symbol": "ETH-USD", "base": "ETH", "quote": "USD", "tickSize": "0.01", "lotSize": "0.0001",
    })  # fmt: skip
    assert other.status_code == 201, other.body
    with follow(port, MARKET_PATH + "ETH-USD") as client:
        world.play(world.alice, "buy 1 @ 99")
        assert client.next(1.5) is None


# ------------------------------------------------------------------------------------------------- condensed


def test_a_burst_is_condensed(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Depths are left out, trades never; the last depth is the right one."""
    published: list[list[Message]] = []
    world.play(world.bob, "sell 10 @ 100")
    with monkeypatch.context() as context:
        context.setattr("orders.feed.publish", lambda messages, _: published.append(list(messages)))
        for _ in range(60):
            world.play(world.alice, "buy 0.1 @ 100")
    with follow(port) as client:
        # The one that follows came when all was over: for it the burst lies ahead.
        world.play(world.alice, "buy 0.1 @ 100")
        for messages in published:
            publish(messages)
        told = []
        while event := client.next(1.5):
            told.append(event)

    trades = [trade["sequence"] for event in told if event.type == "trades" for trade in event.data]
    assert len(trades) == 61
    assert sum(event.type == "trades" for event in told) < 20
    assert [event.data for event in told if event.type == "depth"] == [orderbook(world)]


def test_depths_are_at_least_50_ms_apart(world: World, port: int) -> None:
    with follow(port) as client:
        arrived = []
        ends_at = time.monotonic() + 1
        sender = threading.Thread(target=_publish_depths, args=(world.symbol, 200))
        sender.start()
        while time.monotonic() < ends_at:
            if (told := client.next(0.1)) and told.type == "depth":
                arrived.append(told.data["sequence"])
        sender.join()
    assert 4 <= len(arrived) <= 21
    assert arrived == sorted(arrived)
    assert arrived[-1] == 200


def test_a_depth_that_comes_late_is_dropped(world: World, port: int) -> None:
    """Two workers may serve one market, and the first to commit publish last."""
    with follow(port) as client:
        for sequence in (7, 6):
            publish([_depth(world.symbol, sequence)])
        assert wait_for(client, "depth")[0].data["sequence"] == 7
        time.sleep(0.2)
        publish([_depth(world.symbol, 5), _depth(world.symbol, 8)])
        assert wait_for(client, "depth")[0].data["sequence"] == 8


def test_one_reading_of_the_ticker_serves_all(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = []
    real = feed.find_ticker
    clients = [follow(port) for _ in range(20)]
    monkeypatch.setattr(feed, "find_ticker", lambda *of: readings.append(of) or real(*of))
    for number in range(10):
        world.play(world.alice, f"buy 1 @ {90 + number}")
    for client in clients:
        wait_for(client, "ticker", lambda ticker: ticker["bestBid"] == "99")
        client.close()
    assert 1 <= len(readings) <= 4
    time.sleep(1.2)
    readings.clear()
    world.play(world.alice, "buy 1 @ 99.5")
    time.sleep(1.2)
    assert readings == [], "nobody follows"


# ------------------------------------------------------------------------------------------------- outages


def test_redis_killed_and_back(world: World, redis: Server, port: int) -> None:
    with follow(port) as client:
        world.play(world.bob, "sell 1 @ 100")
        wait_for(client, "depth", is_book(world))
        redis.kill()
        world.play(world.alice, "buy 1 @ 100")
        reset, _ = wait_for(client, "stream-reset")
        assert reset.data == {"reason": "MAY_HAVE_MISSED"}
        wait_for(client, "depth", is_book(world))
        redis.start()
        took = 1.0
        deadline = time.monotonic() + 10
        while took > 0.3:
            assert time.monotonic() < deadline, "heard again within milliseconds, not read once a second"
            began = time.monotonic()
            world.play(world.alice, "buy 1 @ 90")
            wait_for(client, "depth", is_book(world))
            took = time.monotonic() - began


def test_an_outage_in_which_nothing_happens_is_not_told(world: World, redis: Server, port: int) -> None:
    world.play(world.alice, "buy 1 @ 90")
    with follow(port) as client:
        redis.kill()
        redis.start()
        assert client.next(3) is None


def test_a_stream_opens_without_redis(world: World, redis: Server, port: int) -> None:
    redis.kill()
    with follow(port) as client:
        world.play(world.alice, "buy 1 @ 90")
        wait_for(client, "depth", is_book(world))
    redis.start()


def test_a_worker_that_dies_before_it_publishes(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Committed and never told: the next look into the database finds it."""
    world.play(world.bob, "sell 1 @ 100")
    with follow(port) as client:
        time.sleep(1.5)
        with monkeypatch.context() as context:
            context.setattr("orders.feed.publish", lambda _: None)
            world.play(world.alice, "buy 1 @ 100")
        _, before = wait_for(client, "stream-reset")
        assert "trades" not in before
        wait_for(client, "depth", is_book(world))
        wait_for(client, "ticker", lambda ticker: ticker["lastPrice"] == "100")


def test_more_than_a_queue_holds_is_a_reset(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world.play(world.bob, "sell 1 @ 100")
    monkeypatch.setattr("django_eventstream.views.MAX_PENDING", 1)
    with follow(port) as client:
        world.play(world.alice, "buy 1 @ 100")
        _, before = wait_for(client, "stream-reset")
        assert before in (["trades"], [])  # the sell's depth may still have filled the queue
        wait_for(client, "depth", is_book(world))


def test_nothing_that_the_worker_tells_can_raise(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "represent_book", None)
    assert world.play(world.alice, "buy 1 @ 90")["status"] == "OPEN"


def test_junk_ends_nobodys_stream(world: World, port: int) -> None:
    channel = feed.market_channel(world.symbol)
    with follow(port) as client:
        for junk in ([], {}, [[]], {"sequence": "x"}):
            for kind in ("depth", "trades", "ticker"):
                publish([Message(channel, kind, junk), Message(channel, kind, junk)])
        world.play(world.alice, "buy 1 @ 90")
        wait_for(client, "depth", is_book(world))


# ------------------------------------------------------------------------------------------------- access and cost


@pytest.mark.parametrize("symbol", ["NOPE", "btc-usd", "BTC-USD%00", "%C3%A9", "%ff", "BTC-USD%20", "'--"])
def test_an_unknown_market_is_refused(world: World, port: int, symbol: str) -> None:
    with StreamClient(port, MARKET_PATH + symbol) as client:
        body = client.body()
    assert (client.status, body["error"]) == (404, "MARKET_NOT_FOUND")
    assert set(body) == {"code", "error", "message", "data", "timestamp"}


def test_only_the_markets_own_path_is_a_stream(world: World, port: int) -> None:
    for path in (MARKET_PATH, MARKET_PATH[:-1], PATH + "/", PATH + "/x", PATH + "%2Fx", "/x" + PATH):
        with StreamClient(port, path) as client:
            assert (client.status, path) == (404, path)
    follow(port, MARKET_PATH + "BTC%2DUSD").close()


def test_only_get(world: World, port: int) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        with StreamClient(port, PATH, method=method) as client:
            assert (client.status, client.body()["error"]) == (405, "METHOD_NOT_ALLOWED")


def test_no_more_than_so_many(world: World, port: int) -> None:
    with override_settings(STREAM_MAX_PUBLIC=2), follow(port), follow(port) as second:
        with StreamClient(port, PATH) as client:
            assert (client.status, client.body()["error"]) == (429, "TOO_MANY_STREAMS")
            assert client.headers["retry-after"]
        second.close()
        assert until_true(lambda: _opens(port))


def test_one_address_has_not_every_stream(world: World, port: int) -> None:
    with override_settings(STREAM_MAX_PER_ADDRESS=2), follow(port), follow(port), StreamClient(port, PATH) as client:
        assert client.status == 429
        assert client.body()["data"] == {"limit": 2, "scope": "address"}


def test_who_follows_a_market_is_no_user(world: World, port: int) -> None:
    assert until_true(lambda: stats() == {"totalUsers": 0, "totalConnections": 0}, 20)
    with follow(port), follow(port):
        time.sleep(0.5)
        assert stats() == {"totalUsers": 0, "totalConnections": 0}


def test_idle_followers_hold_no_threads_and_no_connections(world: World, port: int, settings: Any) -> None:
    settings.STREAM_MAX_PER_ADDRESS = 200
    follow(port).close()
    threads = threading.active_count()
    clients = [follow(port) for _ in range(100)]
    assert until_true(lambda: threading.active_count() <= threads + 4)
    assert until_true(lambda: not _connections_of_the_streams())
    world.play(world.alice, "buy 1 @ 90")
    for client in clients:
        wait_for(client, "depth", is_book(world))
        client.close()


def _opens(port: int) -> bool:
    with StreamClient(port, PATH) as client:
        return client.status == 200


def _depth(symbol: str, sequence: int) -> Message:
    return Message(feed.market_channel(symbol), "depth", {"symbol": symbol, "sequence": sequence, "bids": []})


def _publish_depths(symbol: str, count: int) -> None:
    for sequence in range(1, count + 1):
        publish([_depth(symbol, sequence)])
        time.sleep(0.002)


def _connections_of_the_streams() -> list[BaseDatabaseWrapper]:
    theirs = {thread.ident for thread in threading.enumerate() if thread.name.startswith(("stream-database", "server"))}
    # By the type, because a weak reference to an object that is gone has none to ask.
    found = [it for it in gc.get_objects() if issubclass(type(it), BaseDatabaseWrapper)]
    wrappers = [wrapper for wrapper in found if wrapper.connection is not None]
    return [wrapper for wrapper in wrappers if wrapper._thread_ident in theirs]
