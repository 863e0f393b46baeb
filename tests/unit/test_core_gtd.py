"""GTD in the core, which reads no clock: an order rests until it is told that its time is over."""

from datetime import UTC, datetime, timedelta

import pytest

from core.cascade import wait
from core.closing import expire
from core.market import Market
from core.outcome import Outcome
from core.taker import place
from core.types import Order, PendingCommand
from tests.support.tape import Desk

DUE = datetime(2026, 1, 1, tzinfo=UTC)


def gtd(desk: Desk, line: str) -> Order:
    order = desk.order(line)
    order.is_extended, order.expires_at = True, DUE
    return order


def rests(desk: Desk, line: str) -> Order:
    order = gtd(desk, line)
    desk.step(place(desk.book, order))
    assert order.phase == "RESTING"
    return order


def end(order: Order) -> tuple[str, str | None, str]:
    return order.status, order.reason, order.phase


@pytest.mark.parametrize(("taker", "status"), [("", "EXPIRED"), ("sell 3 @ 100", "PARTIALLY_FILLED")])
def test_its_time_is_over_with_and_without_fills(taker: str, status: str) -> None:
    desk = Desk()
    order = rests(desk, "buy 5 @ 100 gtd")
    if taker:
        desk.play(taker)
    outcome = desk.step(expire(desk.book, order.id, DUE))
    [event] = outcome.events
    assert end(order) == (status, "GTD_EXPIRED", "CLOSED")
    assert (event.active, event.released) == (False, 500 * 10**8 if not taker else 200 * 10**8)
    assert desk.step(expire(desk.book, order.id, DUE)).events == []


def test_one_that_waits_for_its_stop_price() -> None:
    desk = Desk()
    order = gtd(desk, "sell 5 @ 89 stop 90 gtd")
    desk.step(Outcome([wait(desk.book, order)], []))
    assert order.phase == "WAITING"
    desk.step(expire(desk.book, order.id, DUE))
    assert (end(order), desk.book.stops.orders) == (("EXPIRED", "GTD_EXPIRED", "CLOSED"), {})


def test_what_an_amend_gave_more_time_stays() -> None:
    desk = Desk()
    order = rests(desk, "buy 5 @ 100 gtd")
    order.expires_at = DUE + timedelta(microseconds=1)
    assert desk.step(expire(desk.book, order.id, DUE)).events == []
    assert end(order) == ("OPEN", None, "RESTING")


@pytest.mark.parametrize("status", ["TRADING", "HALTED"])
def test_an_order_that_is_overdue_when_it_is_taken_up_never_trades(status: str) -> None:
    desk = Desk()
    market = Market(desk.book.rules, status)
    rests, late = desk.order("sell 1 @ 100"), gtd(desk, "buy 1 @ 100 gtd")
    commands = [PendingCommand(1, "NEW", rests.id, rests), PendingCommand(2, "EXPIRE", late.id, late)]
    batch = market.decide(commands, spendable={}, most_fills=10)
    assert (batch.trades, batch.done, late.frozen) == ([], commands, 0)
    assert end(late) == ("EXPIRED", "GTD_EXPIRED", "CLOSED")
