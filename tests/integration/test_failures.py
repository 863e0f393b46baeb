"""A broken order fails alone; a broken invariant, or one failure after the other, stops the market."""

import pytest
from django.db import DatabaseError, DataError, OperationalError, connection

from audit.models import Mode, Outcome
from audit.run import audit
from balances.models import Balance
from balances.settling import Overdrawn
from base.storage.outages import is_outage
from commands import queue
from core import market as core_market
from core.book import Book
from markets.models import Market
from matching import drain
from matching.bisection import Bisection
from matching.books import BrokenBook
from matching.failure import halt
from matching.models import DeadLetter, OrderBook, StatusChange
from orders.models import Order, OrderEvent
from tests.support.orders import checks, full, quick, replay
from tests.support.world import World, fund, outcome

POISON = 13


@pytest.fixture
def poisoned(transactional_db, monkeypatch, settings) -> World:
    """An exchange whose engine breaks on every order for 13 of anything, with pauses too short to wait for."""
    settings.ENGINE_RETRY_MS, settings.ENGINE_TIME_BOX_SECONDS = [0, 0, 0], 60
    real = core_market.place

    def place(self, taker, max_steps=None):
        if taker.quantity == POISON * 100_000_000:
            raise ZeroDivisionError("an order that nobody thought of")
        return real(self, taker, max_steps)

    monkeypatch.setattr(core_market, "place", place)
    return World.make()


def stories() -> list[str]:
    return [f"{order.side.lower()} {order.status.lower()}" for order in Order.objects.order_by("id")]


def fails_after_a_fill(monkeypatch) -> None:
    real = core_market.place

    def place(self, order, max_steps=None):
        if order.filled:
            raise ZeroDivisionError
        return real(self, order, max_steps)

    monkeypatch.setattr(core_market, "place", place)


def test_a_poison_order_fails_alone(poisoned):
    poisoned.place(poisoned.bob, "sell 1 @ 100")
    poison = poisoned.place(poisoned.alice, "buy 13 @ 100").body["data"]["orderId"]
    poisoned.place(poisoned.alice, "buy 1 @ 100")
    poisoned.match()
    assert stories() == ["sell filled", "buy failed", "buy filled"]
    assert outcome(poisoned.alice.get(f"/orders/{poison}")) == "13 failed internal_error"
    assert poisoned.alice.holds("USD") == "9900 0"
    timeline = poisoned.alice.get(f"/orders/{poison}/events")
    assert [step["status"] for step in timeline] == ["FAILED"]


def test_what_another_worker_dealt_with_is_not_given_up(poisoned, monkeypatch):
    """Two workers found the same culprit; the second finds its neighbour in its place."""
    real = drain.give_up
    monkeypatch.setattr(drain, "give_up", lambda *found: real(*found) and real(*found))
    poisoned.place(poisoned.alice, "buy 13 @ 1")
    poisoned.place(poisoned.alice, "buy 1 @ 1")
    poisoned.match()
    assert stories() == ["buy failed", "buy open"]


def test_it_leaves_a_dead_letter_with_its_traceback(poisoned):
    order_id = poisoned.place(poisoned.alice, "buy 13 @ 100").body["data"]["orderId"]
    poisoned.match()
    letter = DeadLetter.objects.get()
    assert (letter.kind, letter.order_id, letter.market_id, letter.attempts) == ("NEW", order_id, "BTC-USD", 4)
    assert letter.error == "ZeroDivisionError: an order that nobody thought of"
    assert "in place" in letter.traceback
    assert letter.resolution is None


def test_the_order_is_named_by_all_that_is_logged_of_its_end(poisoned, log):
    placed = poisoned.place(poisoned.alice, "buy 13 @ 100").body["data"]
    poisoned.match()
    told = [line for line in log() if "given up" in line["event"] or "dead letter" in line["event"]]
    assert told
    assert {(line["orderId"], line["correlationId"]) for line in told} == {(placed["orderId"], placed["correlationId"])}


def test_it_is_announced_and_counted_and_logged(poisoned, monkeypatch, caplog):
    told = []
    monkeypatch.setattr(queue, "announce", told.append)
    poisoned.place(poisoned.alice, "buy 13 @ 100")
    poisoned.match()
    [letter] = told
    assert (letter["symbol"], letter["error"].partition(":")[0]) == ("BTC-USD", "ZeroDivisionError")
    assert [record.levelname for record in caplog.records if "dead letter" in record.message] == ["ERROR"]


@pytest.mark.parametrize("place", range(7))
def test_wherever_it_stands_its_neighbours_go_on(poisoned, place):
    for number in range(7):
        poisoned.place(poisoned.alice, "buy 13 @ 1" if number == place else "buy 1 @ 1")
    poisoned.match()
    assert stories() == ["buy failed" if number == place else "buy open" for number in range(7)]


def test_the_culprit_is_found_in_few_transactions(poisoned, monkeypatch):
    tries = []
    real = drain.read_inbox
    monkeypatch.setattr(drain, "read_inbox", lambda *arguments: tries.append(arguments[1]) or real(*arguments))
    for number in range(64):
        poisoned.place(poisoned.alice, "buy 13 @ 1" if number == 40 else "buy 1 @ 1")
    poisoned.match()
    assert len(tries) <= 14, tries


def test_an_order_that_the_database_refuses_fails_alone(poisoned, monkeypatch):
    """The core has no objection; its row does not fit."""
    real = drain.store

    def store(row, settlement, failures):
        if any(event.order.quantity == 700_000_000 for event in settlement.batch.events):
            raise DataError(1264, "Out of range value for column 'price'")
        return real(row, settlement, failures)

    monkeypatch.setattr(drain, "store", store)
    for line in ("buy 1 @ 1", "buy 7 @ 1", "buy 1 @ 1"):
        poisoned.place(poisoned.alice, line)
    poisoned.match()
    assert stories() == ["buy open", "buy failed", "buy open"]


def test_a_taker_that_fails_on_its_way_keeps_what_it_traded(poisoned, monkeypatch, settings):
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    for _ in range(3):
        poisoned.play(poisoned.bob, "sell 1 @ 100")
    taker = poisoned.place(poisoned.alice, "buy 3 @ 101").body["data"]["orderId"]
    fails_after_a_fill(monkeypatch)
    poisoned.match()
    assert outcome(poisoned.alice.get(f"/orders/{taker}")) == "2 failed internal_error"
    assert (poisoned.alice.holds("USD"), poisoned.alice.holds("BTC")) == ("9900 0", "1 0")
    assert OrderBook.objects.get().unfinished_order_id is None


def test_a_cancel_that_fails_leaves_its_order_resting(poisoned, monkeypatch):
    order = poisoned.play(poisoned.alice, "buy 1 @ 100")["orderId"]
    poisoned.alice.call("DELETE", f"/orders/{order}")
    with monkeypatch.context() as patch:
        patch.setattr(Book, "cancel", None)
        poisoned.match()
    assert outcome(poisoned.alice.get(f"/orders/{order}")) == "1 open +"
    assert (DeadLetter.objects.get().kind, DeadLetter.objects.get().order_id) == ("CANCEL", order)


def test_a_delisting_that_is_given_up_halts_the_market(poisoned, monkeypatch, settings):
    """Its second transaction fails. What still rests stays, and goes with the next delisting."""
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    for price in (97, 98, 99):
        poisoned.play(poisoned.alice, f"buy 1 @ {price}")
    real = Book.cancel_first

    def cancel_first(self, *given):
        if OrderEvent.objects.filter(reason="MARKET_DELISTED").exists():
            raise ZeroDivisionError
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Book, "cancel_first", cancel_first)
        poisoned.switch("DELISTED")
        poisoned.match()
    assert (Market.objects.get().status, OrderBook.objects.get().status) == ("HALTED", "HALTED")
    assert [change.status for change in StatusChange.objects.order_by("id")] == ["DELISTED", "HALTED"]
    assert poisoned.depth() == "1@97 |"
    assert checks(full(), quick(), replay()) == set()
    poisoned.switch("DELISTED")
    poisoned.match()
    assert (poisoned.depth(), Market.objects.get().status) == ("|", "DELISTED")
    assert checks(full(), quick(), replay()) == set()


def test_five_failures_in_a_row_halt_the_market(poisoned, caplog):
    for _ in range(7):
        poisoned.place(poisoned.alice, "buy 13 @ 1")
    poisoned.match()
    assert stories() == ["buy failed"] * 5 + ["buy rejected"] * 2
    assert poisoned.carol.get("/markets/BTC-USD")["status"] == "HALTED"
    assert "market BTC-USD is halted: 5 orders failed one after the other" in caplog.text
    change = StatusChange.objects.get()
    assert (change.status, change.sequence) == ("HALTED", 6)
    poisoned.switch("TRADING")
    assert outcome(poisoned.play(poisoned.alice, "buy 1 @ 1")) == "1 open +"


def test_failures_with_a_success_between_them_halt_nothing(poisoned):
    for _ in range(6):
        poisoned.place(poisoned.alice, "buy 13 @ 1")
        poisoned.match()
        poisoned.play(poisoned.alice, "buy 1 @ 1")
    assert OrderBook.objects.get().status == "TRADING"


def test_fills_before_a_failure_are_no_success(poisoned, monkeypatch, settings):
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_HALT_AFTER_FAILURES = 1, 2
    fails_after_a_fill(monkeypatch)
    for price in (103, 102, 101):
        poisoned.play(poisoned.alice, f"buy 1 @ {price}")
    for _ in range(2):
        poisoned.play(poisoned.bob, "sell 3 @ 90")
    assert stories() == ["buy filled", "buy filled", "buy open", "sell failed", "sell failed"]
    assert Market.objects.get().status == "HALTED"


def test_failures_are_counted_over_all_workers(poisoned):
    for _ in range(5):
        poisoned.place(poisoned.alice, "buy 13 @ 1")
        poisoned.match()
    assert OrderBook.objects.get().status == "HALTED"


def test_funds_that_cannot_be_released_stop_the_market(poisoned, caplog):
    """Not the order is broken but what is stored: nothing is matched upon it."""
    poisoned.place(poisoned.alice, "buy 13 @ 1")
    mine = Balance.objects.filter(user=poisoned.alice.user, currency="USD")
    mine.update(frozen=5)
    with pytest.raises(Overdrawn, match="frozen would be"):
        poisoned.match()
    assert "an invariant is broken" in caplog.text
    assert (OrderBook.objects.get().status, stories()) == ("HALTED", ["buy pending"])
    mine.update(frozen=13)
    poisoned.match()
    assert stories() == ["buy rejected"]


def test_a_makers_balance_that_lies_stops_the_market_and_fails_no_taker(poisoned):
    poisoned.play(poisoned.bob, "sell 1 @ 100")
    his = Balance.objects.filter(user=poisoned.bob.user, currency="BTC")
    his.update(frozen=0)
    poisoned.place(poisoned.alice, "buy 1 @ 100")
    with pytest.raises(Overdrawn):
        poisoned.match()
    his.update(frozen=1)
    assert (OrderBook.objects.get().status, stories()) == ("HALTED", ["sell open", "buy pending"])


def test_a_row_that_makes_no_order_stops_the_market_and_fails_nobody(poisoned):
    resting = poisoned.play(poisoned.bob, "sell 1 @ 100")["orderId"]
    Order.objects.filter(id=resting).update(price=None)
    OrderBook.objects.update(token="0" * 32)
    poisoned.place(poisoned.alice, "buy 1 @ 1")
    with pytest.raises(BrokenBook):
        poisoned.match()
    Order.objects.filter(id=resting).update(price=100)
    assert (OrderBook.objects.get().status, stories()) == ("HALTED", ["sell open", "buy pending"])


def test_a_market_that_is_resumed_and_still_broken_stays_halted(poisoned, caplog):
    """For intake too: what it took would wait for nobody knows how long."""
    resting = poisoned.play(poisoned.bob, "sell 1 @ 100")["orderId"]
    Order.objects.filter(id=resting).update(price=None)
    OrderBook.objects.update(token="0" * 32)
    poisoned.place(poisoned.alice, "buy 1 @ 1")
    for _ in range(2):
        with pytest.raises(BrokenBook):
            poisoned.match()
        assert poisoned.carol.get("/markets/BTC-USD")["status"] == "HALTED"
        poisoned.switch("TRADING")
    assert [record.levelname for record in caplog.records if "invariant" in record.message] == ["CRITICAL", "ERROR"]
    Order.objects.filter(id=resting).update(price=100)
    poisoned.match()
    assert poisoned.carol.get("/markets/BTC-USD")["status"] == "TRADING"


def test_a_switch_that_fails_is_carried_out_alone(poisoned, monkeypatch):
    """It needs no book; and intake has been told already."""
    poisoned.play(poisoned.bob, "sell 1 @ 100")
    poisoned.switch("HALTED")
    monkeypatch.setattr("matching.drain.prepare", None)
    poisoned.match()
    assert (OrderBook.objects.get().status, DeadLetter.objects.get().kind) == ("HALTED", "HALT")


def test_a_crossed_book_stops_the_market_and_fails_nobody(poisoned, monkeypatch):
    poisoned.play(poisoned.alice, "buy 1 @ 100")
    resting = poisoned.play(poisoned.bob, "sell 1 @ 101")["orderId"]
    Order.objects.filter(id=resting).update(price=99)
    OrderBook.objects.update(token="0" * 32)
    waiting = poisoned.place(poisoned.alice, "buy 1 @ 1").body["data"]["orderId"]
    with pytest.raises(BrokenBook, match="crossed"):
        poisoned.match()
    assert outcome(poisoned.alice.get(f"/orders/{waiting}")) == "1 pending +"
    assert poisoned.carol.get("/markets/BTC-USD")["status"] == "HALTED"
    Order.objects.filter(id=resting).update(price=101)
    poisoned.switch("TRADING")
    poisoned.match()
    assert OrderEvent.objects.count() == 3


@pytest.mark.parametrize(
    ("own", "end"), [(False, "1 cancelled market_halted"), (True, "2 rejected market_halted")], ids=["filled", "not"]
)
def test_a_taker_on_its_way_through_a_broken_market_ends_there(poisoned, settings, own, end):
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    settings.ENGINE_TIME_BOX_SECONDS = -1
    fund(poisoned.alice.user, BTC="2")
    for _ in range(2):
        poisoned.play(poisoned.alice if own else poisoned.bob, "sell 1 @ 100")
    taker = poisoned.place(poisoned.alice, "buy 2 @ 100 expire-maker").body["data"]["orderId"]
    poisoned.match()
    halt(poisoned.symbol, ZeroDivisionError())
    poisoned.switch("TRADING")
    for _ in range(3):
        poisoned.match()
    assert outcome(poisoned.alice.get(f"/orders/{taker}")) == end
    assert audit(Mode.REPLAY, [poisoned.symbol]).outcome == Outcome.CLEAN
    assert OrderBook.objects.get().status == "TRADING"


def test_halving():
    bisection = Bisection()
    assert bisection.limit(500) == 500
    bisection.failed(range(500))
    assert bisection.limit(500) == 250
    bisection.settled(250)
    assert bisection.limit(500) == 125
    bisection.failed(range(250, 375))
    assert bisection.limit(500) == 62
    bisection.failed([7])
    bisection.failed([7])
    assert (bisection.limit(500), bisection.attempts) == (1, 2)
    bisection.failed([6])  # a smaller id, committed meanwhile
    assert bisection.attempts == 1
    bisection.settled(1)
    assert bisection.limit(500) == 500


@pytest.mark.django_db
def test_a_table_that_is_missing_is_an_outage():
    """Whatever class the driver gives it: every order would fail."""
    with pytest.raises(DatabaseError) as caught, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM tomorrows_table")
    assert is_outage(caught.value)


@pytest.mark.parametrize("code", [1205, 1213, 1020, 2002, 2006, 2013, 1040, 1053, 1114, 1290, 1836, 1146, 3024])
def test_an_outage_is_told_from_a_defect(code):
    assert is_outage(OperationalError(code, "whatever"))


@pytest.mark.parametrize(
    "error", [OperationalError(1292, "Incorrect value"), DataError(1264, "Out of range"), ZeroDivisionError()]
)
def test_a_defect_is_told_from_an_outage(error):
    assert not is_outage(error)


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), OperationalError("database is locked")])
def test_sockets_and_locks_are_outages(error):
    assert is_outage(error)
