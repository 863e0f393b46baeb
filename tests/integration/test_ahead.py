"""The next batch is decided while one is written; what no longer holds by then is never applied."""

import contextlib

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from balances.models import LedgerEntry
from commands.models import Command
from markets.models import Trade
from markets.services import find_market
from matching import drain
from matching.models import OrderBook
from orders.models import Order
from tests.support.world import World, fund, outcome, remember


@pytest.fixture
def pairs(transactional_db, settings) -> World:
    """Batches of two, and four orders waiting: Bob's two offers, then Alice takes one and a half of them."""
    settings.ENGINE_BATCH_SIZE, settings.ENGINE_TIME_BOX_SECONDS = 2, 60
    world = World.make()
    # So that there is an id before theirs.
    Command.objects.create(market_id=world.symbol, kind="RESUME", created_at=timezone.now()).delete()
    for line in ("sell 1 @ 100", "sell 1 @ 101"):
        world.place(world.bob, line)
    for line in ("buy 1 @ 100", "buy 0.5 @ 101"):
        world.place(world.alice, line)
    return world


@pytest.fixture
def decided_ahead(monkeypatch) -> list[int]:
    """How many commands each batch had that was decided ahead; 0 for one that had to be left to its turn."""
    sizes: list[int] = []
    real = drain.prepare_ahead

    def prepare(*arguments):
        prepared = real(*arguments)
        sizes.append(0 if prepared is None else len(prepared.batch.done))
        return prepared

    monkeypatch.setattr(drain, "prepare_ahead", prepare)
    return sizes


def before_lock(monkeypatch, turn: int, happen) -> None:
    """Let something happen before the worker's n-th transaction has its lock."""
    real, turns = drain.lock_book, iter(range(1, 100))

    def lock(symbol):
        if next(turns) == turn:
            happen()
        return real(symbol)

    monkeypatch.setattr(drain, "lock_book", lock)


def outcomes() -> list[str]:
    return [f"{order.filled_quantity.normalize():f} {order.status.lower()}" for order in Order.objects.order_by("id")]


AS_USUAL = ["1 filled", "0.5 partially_filled", "1 filled", "0.5 filled"]


def test_a_backlog_is_decided_ahead(pairs, decided_ahead):
    run = pairs.match()
    assert (run.commands, run.trades, run.batches) == (4, 2, 2)
    assert decided_ahead == [2]
    assert outcomes() == AS_USUAL


def test_a_trades_entries_follow_each_other_in_the_ledger(pairs):
    """A statement that is read by id tells one trade after the other, each amount before its fee."""
    Order.objects.update(maker_fee_rate="0.001", taker_fee_rate="0.002")
    pairs.match()
    entries = LedgerEntry.objects.filter(reference__startswith="trade:").order_by("id").values_list("reference", "kind")
    first, second = Trade.objects.order_by("sequence").values_list("sequence", flat=True)
    kinds = ["TRADE"] * 4 + ["FEE"] * 4
    assert list(entries) == [(f"trade:BTC-USD-{trade}", kind) for trade in (first, second) for kind in kinds]


def test_the_book_of_a_run_serves_the_next(pairs, monkeypatch):
    pairs.match()
    monkeypatch.setattr("matching.books.load", None)
    assert outcome(pairs.play(pairs.alice, "buy 0.5 @ 101")) == "0 filled"


def test_without_a_book_in_memory_nothing_is_decided_ahead(pairs, decided_ahead, settings):
    settings.ENGINE_BOOK_CACHE = False
    pairs.match()
    assert decided_ahead == []
    assert outcomes() == AS_USUAL


@pytest.mark.parametrize("turn", [1, 2])
def test_an_interruption_throws_away_what_was_decided(pairs, monkeypatch, turn):
    real, turns = drain.store, iter(range(1, 100))

    def interrupted(*arguments):
        if next(turns) == turn:
            raise OperationalError(1213, "Deadlock found")
        return real(*arguments)

    monkeypatch.setattr(drain, "store", interrupted)
    monkeypatch.setattr(drain, "BACKOFF_SECONDS", 0)
    pairs.match()
    assert outcomes() == AS_USUAL


@pytest.mark.parametrize("interruption", [OperationalError(2013, "Lost connection"), KeyboardInterrupt(), SystemExit()])
@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("turn", [1, 2])
def test_an_interrupted_commit(pairs, monkeypatch, turn, committed, interruption):
    """Whether it took place or not, the next look at the database tells; nothing is applied twice."""
    real, turns = connection.commit, iter(range(1, 100))

    def commit():
        is_struck = next(turns) == turn
        if committed or not is_struck:
            real()
        if is_struck:
            raise interruption

    monkeypatch.setattr(drain, "BACKOFF_SECONDS", 0)
    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt, SystemExit):
        patch.setattr(connection, "commit", commit)
        pairs.match()
    pairs.match()
    assert outcomes() == AS_USUAL


def test_a_defect_in_the_other_thread_is_found_out_in_this_one(pairs, monkeypatch):
    """What was decided there is decided again here, in smaller batches; nothing is wrong with them."""
    monkeypatch.setattr(drain, "prepare_ahead", None)
    pairs.match()
    assert outcomes() == AS_USUAL


def test_another_worker_in_between(pairs, monkeypatch):
    before_lock(monkeypatch, 2, lambda: OrderBook.objects.update(token="0" * 32))
    pairs.match()
    assert outcomes() == AS_USUAL


def test_a_market_halted_in_between(pairs, monkeypatch):
    """What came before the halt is matched, what came after it is not, wherever the batches are divided."""
    before = find_market(pairs.symbol)
    pairs.switch("HALTED")
    remember(before)
    for line in ("buy 1 @ 101", "buy 1 @ 101"):
        pairs.place(pairs.alice, line)
    pairs.match()
    assert outcomes() == [*AS_USUAL, "0 rejected", "0 rejected"]
    assert pairs.alice.get("/orders?limit=1")[0]["reason"] == "MARKET_HALTED"


def test_a_command_gone_in_between(pairs, monkeypatch):
    """Nobody takes a command away but with the token: the guard is the second line of defence."""
    before_lock(monkeypatch, 2, lambda: Command.objects.order_by("-id").first().delete())
    # It goes inside of the transaction that finds out, and comes back with it.
    pairs.match()
    assert outcomes() == AS_USUAL


def test_a_smaller_id_that_is_committed_late(pairs, monkeypatch):
    late = pairs.place(pairs.bob, "sell 1 @ 99").body["data"]["orderId"]
    command = Command.objects.get(order_id=late)
    first = Command.objects.order_by("id").first()
    assert first is not None
    missing = Command(
        id=first.id - 1, market_id=command.market_id, kind="NEW", order_id=late, created_at=command.created_at
    )
    command.delete()
    before_lock(monkeypatch, 2, lambda: missing.save(force_insert=True))
    assert pairs.match().commands == 5
    assert outcomes() == [*AS_USUAL, "0 open"]


def test_market_buyers_wait_for_their_funds_to_be_locked(pairs, decided_ahead):
    fund(pairs.carol.user, USD="50.6")
    bought = pairs.place(pairs.carol, "buy 1 @ market").body["data"]["orderId"]
    pairs.place(pairs.carol, "buy 0.1 @ 1")
    pairs.match()
    # Of the two that are left the first is such a buyer.
    assert decided_ahead == [2, 0]
    assert outcome(pairs.carol.get(f"/orders/{bought}")) == "0.5 partially_filled no_liquidity"


def test_a_taker_that_is_not_finished_goes_on_first(pairs, settings):
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    pairs.place(pairs.alice, "buy 3 @ 102")
    pairs.place(pairs.bob, "sell 1 @ 102")
    pairs.match()
    assert outcomes() == ["1 filled", "1 filled", "1 filled", "0.5 filled", "1.5 partially_filled", "1 filled"]


def test_a_halt_lets_a_taker_finish_that_has_only_removed_its_own_orders(pairs, settings, monkeypatch):
    """It has no fill yet, and its status is that of an order that was never applied."""
    pairs.match()
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    for line in ("sell 0.5 @ 100.5", "sell 0.5 @ 100.6"):
        pairs.play(pairs.alice, line)
    taker = pairs.place(pairs.alice, "buy 1 @ 100.7", selfTradePrevention="EXPIRE_MAKER").body["data"]["orderId"]
    before_lock(monkeypatch, 2, lambda: pairs.switch("HALTED"))
    pairs.match()
    assert outcome(pairs.alice.get(f"/orders/{taker}")) == "1 open +"


def test_an_amend_that_was_read_too_early_names_the_order_as_it_ended(pairs, decided_ahead, monkeypatch):
    """Its row is read while the batch that closes the order is being stored."""
    sent = []
    monkeypatch.setattr("matching.prepare.publish_updates", lambda made, **_: sent.extend(m.data for m in made))
    bid = pairs.alice.get("/orders?limit=1")[0]["orderId"]
    assert pairs.alice.call("PATCH", f"/orders/{bid}", {"price": "102"}).status_code == 202
    for line in ("sell 1 @ 100", "sell 1 @ 101"):
        pairs.place(pairs.bob, line)
    pairs.match()
    assert decided_ahead == [2, 2, 1]
    events = pairs.alice.get(f"/orders/{bid}/events")
    assert [(event["status"], event["reason"]) for event in events] == [("FILLED", None), ("FILLED", "AMEND_REFUSED")]
    refused, order = [each for each in sent if each["orderId"] == bid][-1], pairs.alice.get(f"/orders/{bid}")
    assert (refused["closedAt"], refused["price"]) == (order["closedAt"], "101")
    assert pairs.alice.holds("USD") == "9849.5 0"
