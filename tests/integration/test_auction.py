"""A call auction over HTTP: orders are collected, the depth shows what would trade, and all trade at one price."""

import pytest
from django.utils import timezone

from commands.models import Command
from core.types import Reason, Status
from marketdata.feed import market_messages
from markets.services import change_market, read_market
from matching import books
from matching.models import OrderBook
from tests.support.orders import checks, full, quick
from tests.support.tape import Desk
from tests.support.world import World, fund, outcome, stored_rows

pytestmark = pytest.mark.dialect
LINES = (("alice", "buy 5 @ 103"), ("carol", "buy 5 @ 102"), ("bob", "sell 4 @ 100"), ("bob", "sell 4 @ 101"))


def set_status(world: World, status: str) -> None:
    changed = world.staff.call("PATCH", f"/markets/{world.symbol}", {"status": status})
    assert changed.status_code == 200
    world.match()


@pytest.fixture
def auction(world: World) -> World:
    return in_auction(world)


def in_auction(world: World) -> World:
    fund(world.carol.user, USD="10000")
    set_status(world, "AUCTION")
    for who, line in LINES:
        assert world.play(getattr(world, who), line)["status"] == "OPEN"
    return world


def book(world: World) -> tuple[str, str]:
    depth = world.carol.get(f"/orderbook/{world.symbol}")
    return depth["indicativePrice"], depth["indicativeQuantity"]


def test_the_depth_shows_what_would_trade_and_the_market_opens_at_that_price(auction):
    assert book(auction) == ("101", "8")
    assert not auction.carol.get(f"/trades/{auction.symbol}")
    set_status(auction, "TRADING")
    trades = auction.carol.get(f"/trades/{auction.symbol}")
    assert sorted((trade["price"], trade["quantity"]) for trade in trades) == [("101", "1"), ("101", "3"), ("101", "4")]
    assert auction.alice.holds("USD") == "9495 0"
    assert auction.carol.holds("USD") == "9493 204"
    assert "indicativePrice" not in auction.carol.get(f"/orderbook/{auction.symbol}")
    assert checks(full(), quick()) == set()


def test_the_stream_shows_at_once_that_an_auction_begins_and_ends(world, monkeypatch):
    told = []
    monkeypatch.setattr("matching.prepare.publish_updates", lambda _, *, ahead, writes: told.extend(ahead))
    set_status(world, "AUCTION")
    set_status(world, "TRADING")
    assert [(each.type, "indicativePrice" in each.data) for each in told] == [("depth", True), ("depth", False)]


@pytest.mark.parametrize(("lines", "told"), [(["buy 1 @ 90"], ["depth"]), ([], [])])
def test_the_stream_shows_that_an_order_has_left_the_book_which_ends_as_others_that_never_rest(lines, told):
    desk = Desk()
    for line in lines:
        desk.play(line)
    order = desk.book.take_out(1) or desk.order("buy 1 @ 90")
    events = desk.book.close(order, Status.EXPIRED, Reason.GTD_EXPIRED)
    assert [message.type for message in market_messages(desk.book, events, [], timezone.now())] == told


def test_an_opening_over_many_transactions_and_a_crash_in_it(auction, settings):
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    settings.ENGINE_TIME_BOX_SECONDS = 0
    auction.staff.call("PATCH", f"/markets/{auction.symbol}", {"status": "TRADING"})
    auction.match()
    assert OrderBook.objects.get().status == "AUCTION"
    assert OrderBook.objects.get().unfinished_command_id
    # Another worker goes on, from the rows alone; what came in meanwhile waits behind it.
    books.forget(auction.symbol)
    late = auction.place(auction.bob, "sell 1 @ 99").body["data"]["orderId"]
    for _ in range(10):
        auction.match()
    assert OrderBook.objects.get().status == "TRADING"
    trades = auction.carol.get(f"/trades/{auction.symbol}")
    assert {trade["price"] for trade in trades[1:]} == {"101"}
    assert outcome(auction.bob.get(f"/orders/{late}")) == "0 filled"
    assert checks(full()) == set()


@pytest.mark.parametrize("line", ["buy 1 @ 100 ioc", "buy 1 @ 100 fok", "buy 1 @ market"])
def test_other_orders_are_refused_by_name(auction, line):
    before = stored_rows()
    refused = auction.place(auction.alice, line)
    assert (refused.status_code, refused.body["error"]) == (409, "NOT_IN_AUCTION")
    assert stored_rows() == before


def test_an_order_that_came_before_the_auction_is_rejected_with_a_reason(world):
    placed = world.place(world.alice, "buy 1 @ 100 ioc").body["data"]["orderId"]
    # The command of the status is stored behind it, though intake sees the new status at once.
    change_market(read_market(world.symbol), status="AUCTION")
    waiting = list(Command.objects.order_by("id"))
    order, status = waiting[0], waiting[1]
    Command.objects.filter(id=order.id).update(id=status.id + 1)
    world.match()
    assert outcome(world.alice.get(f"/orders/{placed}")) == "1 rejected not_in_auction"


def test_after_a_halt_the_market_may_resume_through_an_auction(auction):
    set_status(auction, "HALTED")
    set_status(auction, "AUCTION")
    set_status(auction, "TRADING")
    assert auction.alice.holds("BTC") == "5 0"
    assert checks(full()) == set()


def test_cancels_work_in_an_auction(auction):
    auction.carol.call("DELETE", "/orders")
    auction.match()
    assert auction.carol.holds("USD") == "10000 0"
    assert book(auction) == ("101", "5")


def test_an_uncrossing_that_fails_again_leaves_the_market_halted(transactional_db, settings, monkeypatch):
    """Were it set to trade after all, its book would be crossed."""
    settings.ENGINE_RETRY_MS = [0]
    auction = in_auction(World.make())
    monkeypatch.setattr("core.market.uncross", None)
    for _ in range(2):
        set_status(auction, "TRADING")
        assert (OrderBook.objects.get().status, read_market(auction.symbol).status) == ("HALTED", "HALTED")
    monkeypatch.undo()
    set_status(auction, "TRADING")
    assert auction.alice.holds("BTC") == "5 0"
    assert checks(full()) == set()
