"""What makes the engine right when it is not alone, not first, or interrupted."""

import threading
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from base.storage.checks import database_faults
from commands import queue
from commands.models import Command
from markets.models import Market, Trade
from matching import books, drain
from matching.models import DeadLetter, OrderBook, StatusChange
from orders.models import Order, OrderEvent
from tests.support.world import World, outcome

pytestmark = pytest.mark.dialect


def test_sessions_are_read_committed_and_strict(db):
    assert database_faults() == []


def test_events_carry_the_databases_clock(world):
    order = world.play(world.alice, "buy 1 @ 100")
    event = OrderEvent.objects.get()
    assert abs(event.created_at - timezone.now()) < timedelta(seconds=5)
    assert order["updatedAt"] == world.alice.get(f"/orders/{order['orderId']}/events")[0]["createdAt"]


def test_a_session_that_is_not_is_refused(db):
    if connection.vendor != "mysql":
        assert database_faults() == []
        return
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET SESSION sql_mode=''")
        faults = database_faults()
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("SET SESSION sql_mode='STRICT_ALL_TABLES'")
    assert len(faults) == 2


def test_the_books_lock_is_the_transactions_first_statement(world, django_assert_num_queries):
    world.place(world.alice, "buy 1 @ 100")
    world.match()
    world.place(world.alice, "buy 1 @ 100")
    with django_assert_num_queries(14, exact=False) as captured:
        world.match()
    statements = [query["sql"] for query in captured.captured_queries]
    begin = next(index for index, sql in enumerate(statements) if sql.startswith("SAVEPOINT"))
    assert "order_books" in statements[begin + 1]
    if connection.vendor == "mysql":
        assert "FOR UPDATE" in statements[begin + 1]


def test_a_book_with_another_token_is_read_again(world):
    """Another worker matched in between: the memory of this one holds an order that is gone."""
    world.play(world.bob, "sell 1 @ 100")
    stale = books._markets[world.symbol]
    copy = books._Cached(stale.token, books.load(OrderBook.objects.get()))
    world.play(world.alice, "buy 1 @ 100")
    books._markets[world.symbol] = copy
    assert outcome(world.play(world.alice, "buy 1 @ 100")) == "1 open +"


def test_a_history_that_was_lost_is_not_matched_upon(world):
    """After a failover another worker wrote as many events as were lost. No count tells one history from the other."""
    world.play(world.bob, "sell 1 @ 100")
    before = transaction.savepoint()
    world.play(world.alice, "buy 1 @ 50")
    transaction.savepoint_rollback(before)
    lost = books._markets.pop(world.symbol)
    world.play(world.bob, "sell 1 @ 99")
    books._markets[world.symbol] = lost
    world.play(world.alice, "buy 1 @ 100")
    assert Trade.objects.get().price == 99


def test_a_book_in_memory_that_lies_is_caught_by_the_guards(transactional_db, world, settings):
    """Were the token ever trusted wrongly, no row would be written over what somebody else did."""
    settings.ENGINE_RETRY_MS = [0]
    world.play(world.bob, "sell 1 @ 100")
    row = OrderBook.objects.get()
    lie = books.load(row)
    world.play(world.alice, "buy 1 @ 100")
    row = OrderBook.objects.get()
    lie.book.next_sequence = row.next_sequence
    books.remember(world.symbol, row.token, lie)
    waiting = world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"]
    # The book that lies is thrown away with the batch.
    world.match()
    assert OrderEvent.objects.count() == 4
    assert outcome(world.alice.get(f"/orders/{waiting}")) == "1 open +"


def test_a_book_in_memory_with_another_sequence_than_its_row_is_read_again(world, caplog):
    """The row is the truth: no order is to blame, and no batch is halved."""
    world.play(world.bob, "sell 1 @ 100")
    books._markets[world.symbol].market.book.next_sequence += 1
    assert outcome(world.play(world.alice, "buy 1 @ 100")) == "0 filled"
    assert "it is read again" in caplog.text
    assert not DeadLetter.objects.exists()


def test_a_row_behind_its_orders_halts_the_market(transactional_db, world, settings):
    """A row whose next event has been written already contradicts the orders: nothing is matched upon it."""
    settings.ENGINE_RETRY_MS = [0]
    world.play(world.bob, "sell 1 @ 100")
    right = OrderBook.objects.get().next_sequence
    OrderBook.objects.update(next_sequence=1)
    books.forget(world.symbol)
    world.place(world.alice, "buy 1 @ 100")
    with pytest.raises(books.BrokenBook, match="rests since event 1"):
        world.match()
    assert (Market.objects.get().status, DeadLetter.objects.count()) == ("HALTED", 0)
    OrderBook.objects.update(next_sequence=right)
    StatusChange.objects.update(sequence=right)


def test_a_token_that_moved_throws_the_batch_away(transactional_db, world, monkeypatch, caplog, settings):
    settings.ENGINE_RETRY_MS = [0]
    world.place(world.alice, "buy 1 @ 100")
    real = drain.clear_inbox

    moves = iter([OrderBook.objects.update])

    def meanwhile(commands):
        real(commands)
        for move in moves:
            move(token="0" * 32)

    monkeypatch.setattr(drain, "clear_inbox", meanwhile)
    world.match()
    assert "no longer carries the token" in caplog.text
    assert Order.objects.get().status == "OPEN"


def test_an_interrupted_batch_is_done_again_from_the_start(transactional_db, world, monkeypatch):
    world.play(world.bob, "sell 1 @ 100")
    order_id = world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"]
    failures = iter([OperationalError(1213, "Deadlock found"), OperationalError(1205, "Lock wait timeout")])
    real = drain.clear_inbox

    def sometimes(commands):
        for error in failures:
            raise error
        real(commands)

    monkeypatch.setattr(drain, "clear_inbox", sometimes)
    monkeypatch.setattr(drain, "BACKOFF_SECONDS", 0)
    world.match()
    assert outcome(world.alice.get(f"/orders/{order_id}")) == "0 filled"


def test_a_database_that_stays_away_fails_no_order(transactional_db, world, monkeypatch):
    world.place(world.alice, "buy 1 @ 100")

    def away(_commands):
        raise OperationalError(2006, "Server has gone away")

    with monkeypatch.context() as patch:
        patch.setattr(drain, "clear_inbox", away)
        patch.setattr(drain, "BACKOFF_SECONDS", 0)
        with pytest.raises(OperationalError):
            world.match()
    assert Order.objects.get().status == "PENDING"
    world.match()
    assert Order.objects.get().status == "OPEN"


def test_the_bells_flag_is_deleted_before_the_inbox_is_read(world, monkeypatch):
    """A command that is stored while the worker works must be able to ring."""
    cache.set(queue._bell(world.symbol), 1, 60)
    world.place(world.alice, "buy 1 @ 100")
    seen = []
    real = drain.read_inbox

    def look(*arguments):
        seen.append(cache.get(queue._bell(world.symbol)))
        return real(*arguments)

    monkeypatch.setattr(drain, "read_inbox", look)
    world.match()
    assert seen == [None]


def test_one_bell_serves_many_orders(world, monkeypatch):
    sent = []
    monkeypatch.setattr("commands.queue.current_app.send_task", lambda name, **options: sent.append(options["queue"]))
    queue.clear_bell(world.symbol)
    for _ in range(5):
        queue.ring_now(world.symbol)
    assert sent == ["orders.BTC-USD"]
    queue.clear_bell(world.symbol)
    queue.ring_now(world.symbol)
    assert len(sent) == 2


def test_a_broker_that_fails_costs_nothing_but_the_bell(world, monkeypatch):
    def fail(*_args, **_options):
        raise ConnectionError("no broker")

    monkeypatch.setattr("commands.queue.current_app.send_task", fail)
    monkeypatch.setattr("commands.queue.cache.add", lambda *_args, **_options: True)
    queue.ring_now(world.symbol)
    assert world.place(world.alice, "buy 1 @ 100").status_code == 202


def test_a_run_without_commands_takes_no_lock(world, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert world.match().batches == 0


@pytest.mark.parametrize("size", [1, 2, 7, 500])
def test_batches_of_any_size_trade_the_same(world, settings, size):
    settings.ENGINE_BATCH_SIZE = size
    for line in ("sell 1 @ 100", "sell 1 @ 99", "sell 1 @ 101"):
        world.place(world.bob, line)
    orders = [
        world.place(world.alice, line).body["data"]["orderId"]
        for line in ("buy 1.5 @ 100", "buy 5 @ market", "buy 1 @ 98", "buy 1 @ 97")
    ]
    world.alice.call("DELETE", f"/orders/{orders[2]}")
    world.match()
    assert [outcome(world.alice.get(f"/orders/{order_id}")) for order_id in orders] == [
        "0 filled",
        "3.5 partially_filled no_liquidity",
        "1 cancelled user_cancelled",
        "1 open +",
    ]
    assert [trade["price"] for trade in world.carol.get("/trades/BTC-USD")] == ["101", "100", "100", "99"]


def test_two_workers_on_one_market_are_safe(transactional_db):
    """Each finds the other's token and reads the book again; what they write together is one market."""
    world = World.make()
    errors: list[BaseException] = []
    stop = threading.Event()

    def match() -> None:
        try:
            while not stop.is_set():
                drain.drain(world.symbol)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    # Threads share this module's memory, as processes do not: each must come with books of its own.
    own = threading.local()
    patch = pytest.MonkeyPatch()
    patch.setattr(books, "_markets", _PerThread(own))
    workers = [threading.Thread(target=match) for _ in range(2)]
    for thread in workers:
        thread.start()
    try:
        for number in range(40):
            world.place(world.bob, f"sell 0.1 @ {100 + number % 3}")
            world.place(world.alice, f"buy 0.1 @ {100 + number % 4}")
    finally:
        deadline = threading.Event()
        while Command.objects.exists() and not errors:
            deadline.wait(0.02)
        stop.set()
        for thread in workers:
            thread.join()
        patch.undo()
    assert errors == []
    assert not Order.objects.filter(status="PENDING").exists()


class _PerThread(dict):
    def __init__(self, own: threading.local) -> None:
        self.own = own

    def _books(self) -> dict:
        return self.own.__dict__.setdefault("books", {})

    def get(self, symbol, default=None):
        return self._books().get(symbol, default)

    def __setitem__(self, symbol, cached):
        self._books()[symbol] = cached

    def pop(self, symbol, default=None):
        return self._books().pop(symbol, default)

    def clear(self):
        self._books().clear()


def test_time_box(world, settings, monkeypatch):
    """A worker that serves several markets leaves one whose backlog is long, and is rung back."""
    settings.ENGINE_BATCH_SIZE = 1
    settings.ENGINE_TIME_BOX_SECONDS = -1
    rung = []
    monkeypatch.setattr(queue, "ring", rung.append)
    for _ in range(3):
        world.place(world.alice, "buy 1 @ 100")
    rung.clear()
    assert world.match().commands == 1
    assert rung == [world.symbol]
