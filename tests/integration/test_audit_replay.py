"""Markets played again from their rows: whatever happened and wherever it was cut off, the naive twin agrees."""

import random
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from audit.checks import Check
from audit.inspect import Positions
from balances.models import Balance
from base.storage.fields import amount as stored
from commands.models import Command
from core import market as core_market
from markets.models import Market
from markets.services import known_market
from matching import books, drain
from matching.drain import _Drain
from matching.inbox import is_waiting
from matching.models import DeadLetter, OrderBook, StatusChange
from orders.models import OpenOrders, Order, OrderEvent
from tests.integration.test_properties import DatabaseAndTwin, Drain, Engine, play, random_step
from tests.support.commands import MARKETS
from tests.support.orders import PlayedExchange, all_findings, checks, full, quick, replay
from tests.support.sampling import sample
from tests.support.world import World, fund, outcome

pytestmark = pytest.mark.django_db


STREAMS = (
    (11, MARKETS[0], Engine(500, 500)),
    (12, MARKETS[1], Engine(7, 2)),
    (13, MARKETS[2], Engine(2, 500)),
    (14, MARKETS[1], Engine(500, 500, False)),
)


@pytest.mark.parametrize(("seed", "grain", "engine"), sample(STREAMS, 4, "replay"), ids=str)
def test_a_random_stream(seed, grain, engine):
    dice = random.Random(seed)
    both = play(grain, engine, [random_step(dice) for _ in range(250)], count_money=False)
    assert len(both.twin.trades) > 20
    report = replay(both.database.market.symbol)
    assert checks(report) == set(), all_findings([report])
    assert report.counted[Check.REPLAY_TRADES] == len(both.twin.trades)
    assert checks(quick()) == set()
    last = OrderBook.objects.get(market=both.database.market).next_sequence
    for first in range(2, last, last // 10):
        part = quick(Positions({both.database.market.symbol: first}, 0, timezone.now().isoformat()))
        assert checks(part) == set(), (first, all_findings([part]))


@override_settings(ENGINE_BATCH_SIZE=3, ENGINE_FILLS_PER_TRANSACTION=1, ENGINE_TIME_BOX_SECONDS=60)
def test_between_any_two_transactions():
    """A taker that is on its way through the book has done what it has done so far, and no audit is alarmed."""
    dice, both = random.Random(15), DatabaseAndTwin(MARKETS[1], count_money=False)
    stream = [step for step in (random_step(dice) for _ in range(90)) if not isinstance(step, Drain)]
    symbol, unfinished = both.database.market.symbol, 0
    for step in stream:
        both.play(step)
    run = _Drain(symbol)
    while run._settle_next():
        unfinished += OrderBook.objects.get(market=symbol).unfinished_order_id is not None
        reports = full(), quick(), replay(symbol)
        assert checks(*reports) == set(), all_findings(reports)
    assert unfinished > 3


def test_what_the_engine_does_in_a_market_that_stops(world: World):
    """Orders before, behind and after the halt, as the engine itself writes them."""
    world.place(world.bob, "sell 1 @ 100")
    world.place(world.alice, "buy 0.5 @ 100")
    world.switch("HALTED")
    # Intake has not noticed yet.
    Market.objects.update(status="TRADING")
    known_market.cache_clear()
    world.place(world.alice, "buy 0.5 @ 100")
    world.match()
    assert list(Order.objects.order_by("id").values_list("status", flat=True))[1:] == ["FILLED", "REJECTED"]
    world.switch("TRADING")
    world.match()
    world.play(world.alice, "buy 0.5 @ 100")
    reports = full(), quick(), replay()
    assert checks(*reports) == set(), all_findings(reports)
    assert StatusChange.objects.count() == 2


def test_what_the_engine_gives_up(transactional_db, world, monkeypatch, settings):
    settings.ENGINE_RETRY_MS = [0, 0]
    real = core_market.place

    def place(self, taker, max_steps=None):
        if taker.quantity == 13 * 100_000_000:
            raise ZeroDivisionError("an order that nobody thought of")
        return real(self, taker, max_steps)

    monkeypatch.setattr(core_market, "place", place)
    for line in ("buy 1 @ 90", "buy 13 @ 91", "buy 1 @ 92"):
        world.place(world.alice, line)
    world.match()
    world.play(world.bob, "sell 2 @ 90")
    assert Order.objects.filter(status="FAILED").count() == DeadLetter.objects.count() == 1
    reports = full(), quick(), replay()
    assert checks(*reports) == set(), all_findings(reports)


@pytest.fixture
def on_its_way(world: World) -> Order:
    """Alice's taker has removed one resting order of her own and met one of Bob's; another one is still ahead."""
    fund(world.alice.user, BTC="3")
    world.play(world.alice, "sell 1 @ 99")
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.bob, "sell 1 @ 100")
    world.place(world.alice, "buy 3 @ 100 expire-maker", clientOrderId="taker")
    return Order.objects.get(client_order_id="taker")


@pytest.mark.parametrize("steps", [1, 2])
def test_a_taker_that_failed_on_its_way(world, on_its_way, steps):
    """After its first step it has no event of its own yet."""
    with override_settings(ENGINE_FILLS_PER_TRANSACTION=1):
        run = _Drain(world.symbol)
        for _ in range(steps):
            run._settle_next()
    on_its_way.refresh_from_db()
    assert on_its_way.status == ("PENDING" if steps == 1 else "PARTIALLY_FILLED")
    assert checks(full(), quick(), replay()) == set()
    give_up(on_its_way)
    reports = full(), quick(), replay()
    assert checks(*reports) == set(), all_findings(reports)


def give_up(order: Order) -> None:
    """Fail an order by hand, in every row that says so."""
    book, now = OrderBook.objects.get(market=order.market), timezone.now()
    Command.objects.filter(order_id=order.id).delete()
    mine = Balance.objects.filter(user=order.user_id, currency="USD")
    mine.update(available=F("available") + stored(order.frozen), frozen=F("frozen") - stored(order.frozen))
    OpenOrders.objects.filter(user=order.user_id).update(number=F("number") - 1)
    end = {"status": "FAILED", "reason": "INTERNAL_ERROR"}
    sequence = order.sequence or book.next_sequence
    Order.objects.filter(id=order.id).update(**end, phase="CLOSED", frozen=Decimal(0), sequence=sequence, closed_at=now)
    filled = {"filled_quantity": order.filled_quantity, "filled_notional": order.filled_notional}
    fields = {"market_id": order.market_id, "sequence": book.next_sequence, "order": order, "user_id": order.user_id}
    OrderEvent.objects.create(**fields, **end, active=False, **filled, created_at=now)
    state = {"next_sequence": book.next_sequence + 1, "unfinished_order_id": None, "unfinished_command_id": None}
    OrderBook.objects.filter(market=order.market).update(**state)
    books.forget(order.market_id)
    letter = {"error": "by hand", "traceback": "", "attempts": 4, "created_at": now}
    DeadLetter.objects.create(market_id=order.market_id, kind="NEW", order_id=order.id, **letter)


def test_an_order_whose_budget_was_forgotten(db):
    """What it was allowed to spend is the one thing that the rows must remember for a replay."""
    world = World.make()
    world.play(world.bob, "sell 5 @ 3000")
    order = world.play(world.alice, "buy 5 @ market")
    assert (order["status"], order["reason"]) == ("PARTIALLY_FILLED", "INSUFFICIENT_FUNDS")
    assert checks(replay()) == set()
    with transaction.atomic():
        Order.objects.filter(id=order["orderId"]).update(spend_limit=None)
        assert checks(replay()) == {Check.REPLAY_EVENTS}
        transaction.set_rollback(True)


def test_a_balance_is_what_the_twins_trades_leave(db):
    traded = PlayedExchange()
    with transaction.atomic():
        mine = Balance.objects.filter(user=traded.world.carol.user, currency="USD")
        mine.update(available=F("available") + stored(Decimal("0.00000001")))
        assert checks(replay()) == {Check.REPLAY_BALANCES}
        transaction.set_rollback(True)


def test_the_book_stands_in_the_twins_order(db):
    world = World.make()
    for _ in range(2):
        world.play(world.alice, "buy 1 @ 90")
    first, second = Order.objects.order_by("id")
    with transaction.atomic():
        for order, sequence in ((first, 2), (second, 1)):
            Order.objects.filter(id=order.id).update(sequence=sequence)
        assert checks(replay()) == {Check.REPLAY_BOOK}
        transaction.set_rollback(True)


def test_an_iceberg_that_an_amend_ends_shows_nothing_any_more(world):
    fund(world.bob.user, USD="100")
    iceberg = world.play(world.bob, "sell 2 @ 105", displayQuantity="1")["orderId"]
    world.play(world.bob, "buy 1 @ 96")
    world.bob.call("PATCH", f"/orders/{iceberg}", {"price": "96"})
    world.match()
    assert world.bob.get(f"/orders/{iceberg}")["reason"] == "SELF_TRADE"
    assert checks(replay(), full()) == set()


def test_a_quote_quantity_that_had_nothing_to_replace(world):
    """Its spend limit does not say that it has been matched."""
    world.play(world.bob, "sell 1 @ 100")
    old = world.play(world.alice, "buy 1 @ 90")["orderId"]
    world.alice.call("DELETE", f"/orders/{old}")
    body = {"symbol": world.symbol, "side": "BUY", "type": "MARKET", "quoteQuantity": "100"}
    new = world.alice.call("POST", f"/orders/{old}/replace", body).body["data"]["orderId"]
    world.match()
    assert world.alice.get(f"/orders/{new}")["reason"] == "NOTHING_TO_REPLACE"
    assert checks(replay(), full()) == set()


def test_what_a_failed_order_made_due_fires_at_once(transactional_db, settings, monkeypatch):
    """The transaction that gives the order up knows no book: the next one looks, and no command is needed for that."""
    world = World.make()
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_RETRY_MS, settings.ENGINE_TIME_BOX_SECONDS = 1, [], 60
    for line in ("buy 1 @ 100", "buy 1 @ 95", "buy 1 @ 90"):
        world.play(world.alice, line)
    stop = world.play(world.bob, "sell 1 @ market stop 98")["orderId"]
    real = core_market.place

    def place(book, taker, max_steps=None):
        if taker.filled == 200_000_000:
            raise ZeroDivisionError("nobody thought of this")
        return real(book, taker, max_steps)

    monkeypatch.setattr(core_market, "place", place)
    found = []
    monkeypatch.setattr(
        drain, "is_waiting", lambda symbol: found.append(checks(replay(), full())) or is_waiting(symbol)
    )
    world.place(world.bob, "sell 3 @ 80")
    world.match()
    assert world.bob.get(f"/orders/{stop}")["status"] == "FILLED"
    # One for each transaction: two of the order's, where it fails, and two of the stop's.
    assert found == [set()] * 6
    assert not OrderBook.objects.get().is_cascading


@pytest.mark.parametrize("fills_before", [0, 1])
def test_an_amend_of_an_order_that_failed_meanwhile(transactional_db, settings, monkeypatch, fills_before):
    """The event that refuses it shows the status FAILED too, and is not the failure."""
    world = World.make()
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_RETRY_MS = 1, []
    world.play(world.alice, "buy 1 @ 100")
    world.play(world.alice, "buy 1 @ 95")
    real = core_market.place

    def place(book, taker, max_steps=None):
        if taker.filled == fills_before * 100_000_000:
            raise ZeroDivisionError("nobody thought of this")
        return real(book, taker, max_steps)

    monkeypatch.setattr(core_market, "place", place)
    order = world.place(world.bob, "sell 3 @ 90").body["data"]["orderId"]
    assert world.bob.call("PATCH", f"/orders/{order}", {"quantity": "2"}).status_code == 202
    world.match()
    reasons = [event["reason"] for event in world.bob.get(f"/orders/{order}/events")]
    assert reasons == [None] * fills_before + ["INTERNAL_ERROR", "AMEND_REFUSED"]
    assert checks(replay(), full()) == set()


def test_a_quote_quantity_that_replaces_and_is_not_paid_for(world):
    """It has not been matched, though what it may spend is known and the book would have given it something."""
    world.play(world.bob, "sell 1 @ 100")
    old = world.play(world.alice, "buy 9 @ 99")["orderId"]
    body = {"symbol": world.symbol, "side": "BUY", "type": "MARKET", "quoteQuantity": "9990"}
    world.place(world.bob, "sell 5 @ 99")
    new = world.alice.call("POST", f"/orders/{old}/replace", body).body["data"]["orderId"]
    world.match()
    assert outcome(world.alice.get(f"/orders/{new}")) == "- rejected insufficient_funds"
    assert checks(replay(), full()) == set()
