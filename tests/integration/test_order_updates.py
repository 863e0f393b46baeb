"""What the worker tells from memory is what a stream replays from the rows, and it is told in time and in order."""

import random
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection, transaction
from django.test import override_settings
from django.utils import timezone

from commands.models import Command
from core.market import Market
from markets.models import Trade
from matching import books, drain, prepare
from matching.models import OrderBook
from orders import catch_up
from orders.models import Order, OrderEvent
from orders.representation import from_rows
from tests.integration.test_properties import ENGINES, MARKETS, Deposit, Drain, play, random_step
from tests.support.sampling import sample
from tests.support.world import World, fund


@pytest.fixture
def told(monkeypatch) -> list[dict]:
    steps: list[dict] = []
    monkeypatch.setattr(prepare, "publish_updates", lambda batch, **_: steps.extend(message.data for message in batch))
    return steps


@pytest.mark.django_db
@pytest.mark.parametrize("is_backlog", [False, True], ids=["in turns", "backlog"])
@pytest.mark.parametrize("engine", sample(ENGINES, 3, "updates"), ids=str)
def test_told_is_what_is_replayed(engine, is_backlog, told):
    dice = random.Random(3)
    stream = [random_step(dice) for _ in range(200)]
    if is_backlog:
        stream = [step for step in stream if not isinstance(step, Drain | Deposit)]
    symbol = play(MARKETS[2], engine, stream, count_money=False).database.market.symbol
    trades = {(trade.market_id, trade.sequence): trade for trade in Trade.objects.filter(market_id=symbol)}
    events = OrderEvent.objects.filter(market_id=symbol).order_by("sequence")
    assert len(told) > 20
    assert told == [message.data for message in from_rows(events, trades)]


def test_what_was_paid_is_told_and_answered_exactly(transactional_db, told):
    """Two prices of which eight digits cannot show the average."""
    world = World.make(tick_size=Decimal("0.00000001"), lot_size=Decimal(1))
    fund(world.bob.user, BTC="1000000000")
    for price in ("0.00000001", "0.00000002"):
        world.play(world.bob, f"sell 500000000 @ {price}")
    answered = world.play(world.alice, "buy 1000000000 @ market")
    for shown in (answered, told[-2]):
        assert (shown["filledQuote"], shown["averagePrice"]) == ("15", "0.000000015")
    assert [step["filledQuote"] for step in told] == ["0", "0", "5", "5", "15", "10"]


def backlog(settings, orders: int, line: str = "buy 1 @ 100") -> World:
    settings.ENGINE_BATCH_SIZE = 2
    settings.ENGINE_TIME_BOX_SECONDS = 60
    world = World.make()
    for _ in range(orders):
        world.place(world.alice, line)
    return world


def test_all_is_told_when_the_run_ends(transactional_db, settings, told):
    assert backlog(settings, 6).match().commands == len(told) == 6


def test_what_was_not_committed_is_not_told(transactional_db, settings, monkeypatch, told):
    """A commit that fails has told nobody; done again, the batch is told once."""
    world = backlog(settings, 2)
    real, turns = connection.commit, iter(range(100))

    def commit():
        if next(turns) == 0:
            raise OperationalError(1213, "Deadlock found")
        real()

    monkeypatch.setattr(drain, "BACKOFF_SECONDS", 0)
    with monkeypatch.context() as patch:
        patch.setattr(connection, "commit", commit)
        world.match()
    assert len(told) == OrderEvent.objects.count() == 2


@pytest.mark.parametrize("slow", [1, 99], ids=["one", "all"])
def test_a_slow_telling_turns_no_clock_back(transactional_db, settings, monkeypatch, slow):
    """Redis does not answer: who resumes after any of the events is told all that come after it."""
    world = backlog(settings, 12)
    real, turns = prepare.publish_updates, iter(range(100))

    def publish(steps, ahead=(), writes=()):
        if next(turns) < slow:
            time.sleep(0.25)
        real(steps, ahead, writes)

    monkeypatch.setattr(prepare, "publish_updates", publish)
    world.match()
    events = list(OrderEvent.objects.order_by("sequence"))
    instants = [event.created_at for event in events]
    assert instants == sorted(instants)
    for event in events:
        missed = catch_up.missed_events(world.alice.user.id, event.event_id)
        assert [other.sequence for other in missed] == list(range(event.sequence + 1, 13))


def test_nothing_happens_to_an_order_before_it_was_placed(transactional_db, settings, monkeypatch):
    """It is committed while a batch takes long to be decided, and read with those after that."""
    world = backlog(settings, 2)
    decide, clear, placed = Market.decide, drain.clear_inbox, []

    def slow(*arguments, **named):
        if not placed:
            time.sleep(0.2)
        return decide(*arguments, **named)

    def place_another(commands):
        if not placed:
            placed.append(world.place(world.alice, "buy 1 @ 101"))
        clear(commands)

    monkeypatch.setattr(Market, "decide", slow)
    monkeypatch.setattr(drain, "clear_inbox", place_another)
    world.match()
    order = Order.objects.latest("id")
    assert order.status == "OPEN"
    assert timedelta(0) <= order.updated_at - order.created_at < timedelta(seconds=5)


@pytest.mark.parametrize("broken", ["orders_applied", "publish_updates", "count"])
def test_a_defect_while_publishing_is_logged_and_stops_nothing_else(
    transactional_db, settings, monkeypatch, caplog, broken
):
    """The log lines, the messages and the counters of a batch are published each on its own."""
    done = []
    for name in ("orders_applied", "publish_updates", "count"):
        monkeypatch.setattr(prepare, name, lambda *_arguments, _name=name, **_named: done.append(_name))

    def fail(*_arguments, **_named):
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr(prepare, broken, fail)
    assert backlog(settings, 1).match().commands == 1
    assert sorted([*done, broken]) == ["count", "orders_applied", "publish_updates"]
    assert "a defect of ours" in caplog.text
    assert Order.objects.get().status == "OPEN"


def test_market_buyers_do_not_cost_the_book(transactional_db, settings, monkeypatch):
    world = backlog(settings, 0)
    for _ in range(6):
        world.place(world.alice, "buy 0.1 @ 100")
        world.place(world.alice, "buy 0.1 @ market")
    loads = []
    real = books.load
    monkeypatch.setattr(books, "load", lambda row: loads.append(row) or real(row))
    assert world.match().commands == 12
    assert len(loads) == 1


def in_between(monkeypatch, world: World, late: Command) -> None:
    """Another worker applies a command that was committed late, before the second batch of this one."""
    real, first = drain.run_in_background, [True]

    def another_worker(function, *arguments):
        if getattr(function, "__name__", "") == "publish" and first and first.pop():
            with transaction.atomic():
                late.save(force_insert=True)
            limits = override_settings(ENGINE_BATCH_SIZE=1, ENGINE_TIME_BOX_SECONDS=-1)
            with monkeypatch.context() as other, limits:
                other.setattr(books, "_markets", {})
                assert drain._Drain(world.symbol).run().commands == 1
        return real(function, *arguments)

    monkeypatch.setattr(drain, "run_in_background", another_worker)


def two_batches(settings) -> tuple[World, Command]:
    """Bob's two offers, then Alice, who takes one and a half of them; and a command whose id is smaller than theirs."""
    world = backlog(settings, 1)
    early = Command.objects.get()
    world.alice.call("DELETE", f"/orders/{early.order_id}")
    world.match()
    for line in ("sell 1 @ 100", "sell 1 @ 101"):
        world.place(world.bob, line)
    for line in ("buy 1 @ 100", "buy 0.5 @ 101"):
        world.place(world.alice, line)
    return world, early


@pytest.mark.dialect
def test_a_second_worker_really_matches_in_between(transactional_db, settings, monkeypatch):
    """It applies a better offer that was committed late; what was decided ahead must not trade past it."""
    world, early = two_batches(settings)
    late = Command.objects.get(order_id=world.place(world.bob, "sell 1 @ 99").body["data"]["orderId"])
    late.delete()
    late.id = early.id
    in_between(monkeypatch, world, late)
    world.match()
    assert [trade.price for trade in Trade.objects.order_by("sequence")] == [99, 100]


@pytest.mark.dialect
def test_a_second_worker_halts_the_market_in_between(transactional_db, settings, monkeypatch):
    """A halt makes no event, so no number tells: what was decided ahead must not trade after it, nor undo it."""
    world, early = two_batches(settings)
    in_between(monkeypatch, world, Command(id=early.id, market_id=world.symbol, kind="HALT", created_at=timezone.now()))
    world.match()
    assert not Trade.objects.exists()
    assert [order.status for order in Order.objects.filter(user=world.alice.user).order_by("id")[1:]] == [
        "REJECTED"
    ] * 2
    assert OrderBook.objects.get().status == "HALTED"
