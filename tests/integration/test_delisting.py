"""A market that is delisted takes no orders, cancels all that rest, and is never listed again; its history stays."""

import pytest

from commands.models import Command
from core.types import Status
from markets.models import Market
from markets.services import find_market
from matching import books
from matching.drain import drain
from matching.models import OrderBook, StatusChange
from orders.models import Order, OrderEvent
from tests.support.orders import checks, full, quick, replay
from tests.support.world import World, outcome, remember

pytestmark = pytest.mark.dialect


@pytest.fixture
def full_book(world: World) -> World:
    """A trade, and five orders that rest, one of them filled in part."""
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 1.5 @ 100")
    for line in ("buy 1 @ 99", "buy 1 @ 98"):
        world.play(world.alice, line)
    for line in ("sell 1 @ 102", "sell 1 @ 101"):
        world.play(world.bob, line)
    return world


def delist(world: World) -> None:
    answer = world.staff.call("PATCH", "/markets/BTC-USD", {"status": "DELISTED"})
    assert (answer.status_code, answer.body["data"]["status"]) == (200, "DELISTED")


def test_all_that_rests_is_cancelled_in_its_place_of_the_sequence(full_book):
    before = full_book.place(full_book.alice, "buy 0.5 @ 101").body["data"]["orderId"]
    delist(full_book)
    after = place_unaware(full_book, "buy 1 @ 101")
    full_book.match()
    assert outcome(full_book.alice.get(f"/orders/{before}")) == "0 filled"
    assert outcome(full_book.alice.get(f"/orders/{after}")) == "1 rejected market_delisted"
    assert full_book.depth() == "|"
    cancelled = Order.objects.filter(reason="MARKET_DELISTED", status="CANCELLED")
    assert cancelled.count() == 5
    # Bids before asks, on each side as they would trade.
    events = OrderEvent.objects.filter(reason="MARKET_DELISTED", status="CANCELLED").order_by("sequence")
    assert [event.order.price for event in events.select_related("order")] == [100, 99, 98, 101, 102]
    assert (full_book.alice.holds("USD"), full_book.bob.holds("BTC")) == ("9849.5 0", "8.5 0")
    assert checks(full(), quick(), replay()) == set()


def place_unaware(world: World, line: str) -> int:
    """An order that was accepted by a process that has not heard of it yet."""
    market = find_market(world.symbol)
    market.status = "TRADING"
    remember(market)
    return world.place(world.alice, line).body["data"]["orderId"]


def test_a_transaction_cancels_no_more_than_a_taker_may_move(full_book, settings):
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    delist(full_book)
    run = full_book.match()
    assert (run.batches, run.commands) == (3, 1)
    assert [change.status for change in StatusChange.objects.all()] == ["DELISTED"]


@pytest.mark.parametrize("cache", [True, False])
def test_it_goes_on_where_it_stopped(full_book, settings, cache):
    """The time box ends after each transaction; meanwhile somebody cancels, and the worker is another one."""
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_TIME_BOX_SECONDS = 1, 0
    settings.ENGINE_BOOK_CACHE = cache
    delist(full_book)
    drain(full_book.symbol)
    assert full_book.depth() == "1@98 | 1@101 1@102"
    assert checks(full(), quick(), replay()) == set(), "in the middle of it too"
    # Of an order with a smaller id, which was committed late, and of one that rests.
    late = place_unaware(full_book, "buy 1 @ 101")
    Command.objects.filter(order_id=late).update(id=Command.objects.get(kind="DELIST").id - 1)
    resting = Order.objects.get(price=102)
    assert full_book.bob.call("DELETE", f"/orders/{resting.id}").status_code == 202
    books.forget(full_book.symbol)
    while Command.objects.exists():
        drain(full_book.symbol)
    assert full_book.depth() == "|"
    assert outcome(full_book.alice.get(f"/orders/{late}")) == "1 rejected market_delisted"
    assert checks(full(), quick(), replay()) == set()


def test_it_is_final(full_book):
    """Also for the status commands that wait already, and for an operator who has not heard of it."""
    full_book.switch("HALTED")
    delist(full_book)
    refused = full_book.staff.call("PATCH", "/markets/BTC-USD", {"status": "TRADING"})
    assert (refused.status_code, refused.body["error"]) == (409, "MARKET_DELISTED")
    Command.objects.create(market=full_book.market, kind="RESUME", created_at=Command.objects.first().created_at)
    full_book.match()
    assert (Market.objects.get().status, OrderBook.objects.get().status) == ("DELISTED", "DELISTED")
    assert [change.status for change in StatusChange.objects.order_by("id")] == ["HALTED", "DELISTED"]
    delist(full_book)
    full_book.match()
    assert full_book.staff.call("PATCH", "/markets/BTC-USD", {"takerFeeRate": "0.001"}).status_code == 200


def test_it_is_in_no_list_and_answers_by_its_name(full_book):
    delist(full_book)
    full_book.match()
    assert full_book.carol.get("/markets") == full_book.carol.get("/ticker") == []
    assert full_book.carol.get("/markets/BTC-USD")["status"] == "DELISTED"
    assert full_book.carol.get("/ticker/BTC-USD")["lastPrice"] == "100"
    assert full_book.carol.get("/orderbook/BTC-USD")["bids"] == []
    assert len(full_book.carol.get("/trades/BTC-USD")) == len(full_book.carol.get("/klines/BTC-USD")) == 1
    assert len(full_book.alice.get("/orders?symbol=BTC-USD")) == 3
    refused = full_book.place(full_book.alice, "buy 1 @ 1")
    assert (refused.status_code, refused.body["error"]) == (409, "MARKET_NOT_TRADING")


def test_the_audit_finds_what_still_rests(full_book):
    delist(full_book)
    assert checks(full()) == set(), "its command waits"
    order = full_book.alice.get("/orders")[0]["orderId"]
    full_book.match()
    stored = Order.objects.filter(id=order)
    before = stored.values().get()
    stored.update(status=Status.OPEN, phase="RESTING", reason=None)
    assert "delisted-market-is-empty" in checks(full())
    stored.update(status=before["status"], phase="CLOSED", reason=before["reason"])


def test_the_admin_asks_first(full_book, operator):
    page = operator.get("/admin/markets/market/BTC-USD/change/").content.decode()
    assert "Delist…" in page
    asked = operator.get("/admin/markets/market/status/DELISTED/?symbol=BTC-USD").content.decode()
    assert "For good" in asked
    assert Market.objects.get().status == "TRADING"
    operator.post("/admin/markets/market/status/DELISTED/", {"symbol": "BTC-USD"})
    full_book.match()
    assert Market.objects.get().status == "DELISTED"
    page = operator.get("/admin/markets/market/BTC-USD/change/").content.decode()
    assert "Resume…" not in page
    told = operator.post("/admin/markets/market/status/TRADING/", {"symbol": "BTC-USD"}, follow=True)
    assert "delisted for good" in told.content.decode()
