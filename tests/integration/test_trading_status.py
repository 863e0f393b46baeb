"""Halting and resuming are commands in the market's own sequence: no trade after a halt, cancels work, orders stay."""

from decimal import Decimal

import pytest
from django.db import OperationalError

from commands.models import Command
from commands.queue import submit_trading_status
from markets import services
from markets.models import Market
from markets.services import find_market
from matching.models import OrderBook, StatusChange
from tests.support.world import World, outcome, remember, stored_rows

pytestmark = pytest.mark.dialect


@pytest.fixture
def quiet(world: World) -> World:
    """Bob offers one at 100."""
    world.play(world.bob, "sell 1 @ 100")
    return world


def place_unaware(world: World, who, line: str) -> int:
    """An order that was accepted by a process that has not heard of the halt yet."""
    trading = find_market(world.symbol)
    trading.status = "TRADING"
    remember(trading)
    return world.place(who, line).body["data"]["orderId"]


@pytest.mark.parametrize("status", ["HALTED", "CANCEL_ONLY"])
def test_no_trade_after_a_halt(quiet, status):
    before = quiet.place(quiet.alice, "buy 0.4 @ 100").body["data"]["orderId"]
    quiet.switch(status)
    after = place_unaware(quiet, quiet.alice, "buy 0.6 @ 100")
    quiet.match()
    assert outcome(quiet.alice.get(f"/orders/{before}")) == "0 filled"
    assert outcome(quiet.alice.get(f"/orders/{after}")) == "0.6 rejected market_halted"
    assert quiet.depth() == "| 0.6@100"
    assert quiet.alice.holds("USD") == "9960 0"


def test_cancels_work_while_halted(quiet):
    quiet.switch("HALTED")
    quiet.match()
    quiet.bob.call("DELETE", "/orders")
    quiet.match()
    assert quiet.depth() == "|"
    assert quiet.bob.holds("BTC") == "10 0"


def test_resuming_takes_orders_again(quiet):
    for status in ("HALTED", "TRADING"):
        quiet.switch(status)
    assert outcome(quiet.play(quiet.alice, "buy 1 @ 100")) == "0 filled"
    assert [change.status for change in StatusChange.objects.order_by("id")] == ["HALTED", "TRADING"]


def test_a_change_stands_in_the_sequence(quiet):
    quiet.switch("HALTED")
    rejected = place_unaware(quiet, quiet.alice, "buy 1 @ 100")
    quiet.switch("TRADING")
    quiet.match()
    halted, resumed = StatusChange.objects.order_by("id")
    assert (halted.sequence, resumed.sequence) == (2, 3)
    assert quiet.alice.get(f"/orders/{rejected}/events")[0]["sequence"] == 2


def test_what_a_market_is_already_makes_no_change(quiet):
    quiet.switch("TRADING")
    quiet.match()
    assert not StatusChange.objects.exists()
    assert not Command.objects.exists()


def test_the_last_of_several_operators_counts(quiet):
    """The engine applied the first one after the second had changed the market's row already."""
    quiet.switch("HALTED")
    late = Command.objects.get()
    quiet.switch("TRADING")
    Command.objects.exclude(id=late.id).delete()
    quiet.match()
    assert Market.objects.get().status == "HALTED"
    submit_trading_status(quiet.symbol, "TRADING")
    quiet.match()
    assert (Market.objects.get().status, OrderBook.objects.get().status) == ("TRADING", "TRADING")


def test_a_market_may_be_opened_halted(db):
    world = World.make()
    halted = services.create_market(
        symbol="ETH-USD", base="ETH", quote="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.1"), status="HALTED"
    )
    assert halted.status == "HALTED"
    assert Command.objects.get().kind == "HALT"
    world.staff.call("PATCH", "/markets/ETH-USD", {"status": "TRADING"})
    assert [command.kind for command in Command.objects.order_by("id")] == ["HALT", "RESUME"]


def test_a_change_that_is_refused_is_no_command(quiet):
    before = stored_rows()
    answer = quiet.staff.call("PATCH", "/markets/BTC-USD", {"status": "HALTED", "minQuantity": "0.00005"})
    assert answer.status_code == 400
    assert stored_rows() == before


@pytest.mark.parametrize("code", [1205, 1213])
def test_a_halt_that_met_a_lock_is_tried_again(transactional_db, monkeypatch, code):
    """Whoever holds the market's row, such as a worker that applies the status of before, must not undo a halt."""
    market = World.make().market
    failures = [OperationalError(code, "no lock")] * 2

    def submit_later(*arguments) -> None:
        if failures:
            raise failures.pop()
        submit_trading_status(*arguments)

    monkeypatch.setattr(services, "submit_trading_status", submit_later)
    services.change_market(market, status="HALTED")
    assert Market.objects.get().status == "HALTED"
    assert [each.kind for each in Command.objects.all()] == ["HALT"]
