"""Snapshots of books: a worker starts from one, and has the same book as from the rows; else it reads the rows."""

import random
from dataclasses import fields

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.checks import Check, Report
from audit.inspect import inspect_full
from core.types import Order as CoreOrder
from core.types import Side
from matching import books, order_rows
from matching.models import BookSnapshot, OrderBook, SnapshotPart
from matching.snapshots import parts, recording, restoring
from matching.snapshots.recording import due_symbols, record
from matching.worker import chores
from orders.models import Order
from orders.representation import INFO_COLUMNS
from tests.support.failpoints import KILL, count, struck
from tests.support.sampling import sample
from tests.support.world import World, fund, outcome

SIZE = 3


@pytest.fixture
def large(transactional_db, settings, monkeypatch) -> World:
    """A book counts as large from three orders on, and a part has two."""
    settings.SNAPSHOT_ORDERS = settings.SNAPSHOT_EVENTS = SIZE
    monkeypatch.setattr(parts, "ORDERS_PER_PART", 2)
    monkeypatch.setattr(parts, "FEW_ORDERS", 1)
    monkeypatch.setattr(restoring, "_distrusted", set())
    world = World.make()
    fund(world.alice.user, USD="100000")
    fund(world.bob.user, BTC="1000")
    for line in ("sell 1 @ 101", "sell 2 @ 102", "sell 3 @ 102", "sell 4 @ 103"):
        world.play(world.bob, line)
    for line in ("buy 1 @ 99", "buy 2 @ 98"):
        world.play(world.alice, line)
    return world


def every_order(market) -> list[tuple[object, ...]]:
    """All that the engine knows of each resting order, in the order in which they would trade."""
    names = [field.name for field in fields(CoreOrder) if field.name != "info"]
    return [
        (*(getattr(order, name) for name in names), *(getattr(order.info, name) for name in INFO_COLUMNS))
        for side in Side
        for order in market.book.ladders[side]
    ]


def restored(world: World):
    return books.load_snapshot(OrderBook.objects.get())


def is_as_the_rows(world: World) -> bool:
    """Whether there is a usable snapshot, which gives the book of the rows."""
    market = restored(world)
    if market is None:
        return False
    stored = books.load_rows(OrderBook.objects.get())
    for side in Side:
        assert market.book.depth(side, 99) == stored.book.depth(side, 99)
    assert every_order(market) == every_order(stored)
    market.book.check()
    return True


@pytest.mark.dialect
def test_a_worker_starts_from_a_snapshot(large, monkeypatch):
    record(large.symbol)
    books.forget(large.symbol)
    monkeypatch.setattr(books, "load_rows", None)
    assert outcome(large.play(large.alice, "buy 4 @ 102")) == "0 filled"
    large.alice.call("DELETE", f"/orders?symbol={large.symbol}")
    large.match()
    assert large.depth() == "| 2@102 4@103"


@pytest.mark.dialect
def test_an_older_one_is_brought_forward(large):
    record(large.symbol)
    assert is_as_the_rows(large)
    large.play(large.alice, "buy 1.5 @ 102")
    assert is_as_the_rows(large)
    large.play(large.bob, "sell 7 @ 102")
    large.play(large.bob, "sell 1 @ 104")
    large.alice.call("DELETE", f"/orders?symbol={large.symbol}")
    large.match()
    assert is_as_the_rows(large)


def test_amended_orders_are_brought_forward(large):
    """One that keeps its place, one that goes to the end of another level, and one that had gone there before."""
    first, second, third, fourth = (each["orderId"] for each in reversed(large.bob.get("/orders")))
    for order_id, terms in ((third, {"price": "103"}), (first, {"quantity": "0.5"})):
        large.bob.call("PATCH", f"/orders/{order_id}", terms)
    large.match()
    record(large.symbol)
    assert is_as_the_rows(large)
    for order_id, terms in ((fourth, {"quantity": "5"}), (second, {"quantity": "1"}), (first, {"price": "102"})):
        large.bob.call("PATCH", f"/orders/{order_id}", terms)
    large.match()
    assert is_as_the_rows(large)
    assert [order.id for order in restored(large).book.ladders[Side.SELL]] == [second, first, third, fourth]
    record(large.symbol)
    assert is_as_the_rows(large)


def test_what_icebergs_hide_is_in_it(large):
    large.play(large.bob, "sell 9 @ 102", displayQuantity="0.5")
    record(large.symbol)
    assert is_as_the_rows(large)
    books.forget(large.symbol)
    # More than is visible, so it counts on what is hidden before the level is read.
    assert outcome(large.play(large.alice, "buy 12 @ 102 fok")) == "0 filled"
    assert is_as_the_rows(large)


@pytest.mark.parametrize("seed", sample(range(6), 2))
def test_snapshots_of_snapshots(large, seed):
    """Orders come and go at random; each snapshot begins with the one before it."""
    dice = random.Random(seed)
    for step in range(80):
        side, who = dice.choice((("buy", large.alice), ("sell", large.bob)))
        away = dice.randint(-1, 8)
        large.place(who, f"{side} {dice.randint(1, 30) / 10} @ {100 - away if side == 'buy' else 100 + away}")
        if dice.random() < 0.25:
            orders = Order.objects.filter(phase="RESTING").order_by("?")
            for order in orders[:2]:
                person = large.alice if order.user_id == large.alice.user.id else large.bob
                person.call("DELETE", f"/orders/{order.id}")
        if step % 4 == 0:
            large.match()
            if dice.random() < 0.5:
                record(large.symbol)
            if dice.random() < 0.5:
                books.forget(large.symbol)
            assert is_as_the_rows(large) or not BookSnapshot.objects.exists()
    large.match()
    record(large.symbol)
    assert is_as_the_rows(large)
    assert BookSnapshot.objects.count() <= recording.KEPT
    needed = {digest for snapshot in BookSnapshot.objects.all() for digest in snapshot.parts}
    assert set(SnapshotPart.objects.values_list("digest", flat=True)) == needed


def test_parts_that_did_not_change_are_not_stored_again(large):
    first = record(large.symbol)
    large.play(large.bob, "sell 1 @ 103")
    second = record(large.symbol)
    assert (first.order_count, second.order_count) == (6, 7)
    assert len(set(first.parts) & set(second.parts)) == len(first.parts) - 1


def lose_a_part(world):
    SnapshotPart.objects.order_by("id").first().delete()


def break_a_part(world):
    part = SnapshotPart.objects.order_by("id").first()
    SnapshotPart.objects.filter(id=part.id).update(rows=bytes(part.rows)[:-1])


def close_an_order_behind_its_back(world):
    Order.objects.filter(side="BUY", price=98).update(phase="CLOSED", frozen=0)


def go_back_in_time(world):
    OrderBook.objects.update(next_sequence=2)


def come_from_another_version(world):
    BookSnapshot.objects.update(form="0" * 32)


@pytest.mark.dialect
@pytest.mark.parametrize(
    "harm",
    [lose_a_part, break_a_part, close_an_order_behind_its_back, go_back_in_time, come_from_another_version],
    ids=lambda harm: harm.__name__,
)
def test_what_does_not_fit_is_left_out(large, harm):
    record(large.symbol)
    row, order = OrderBook.objects.get(), Order.objects.get(side="BUY", price=98)
    harm(large)
    assert restored(large) is None
    row.save()
    order.save()
    BookSnapshot.objects.all().delete()


def test_a_part_that_makes_no_orders_fails_none(large, monkeypatch, caplog):
    """It is found out when an order is on its way through the book: the batch is done again, from the rows."""
    record(large.symbol)
    books.forget(large.symbol)
    row = OrderBook.objects.get()
    market = books.load(row)
    monkeypatch.setattr(market.book.store, "_form", parts.Form(order_rows.CORE_COLUMNS, None))
    books.remember(large.symbol, row.token, market)
    assert outcome(large.play(large.alice, "buy 1 @ 101")) == "0 filled"
    assert "its book was from a snapshot" in caplog.text


def test_the_audit_compares_it_with_the_rows(large):
    record(large.symbol)
    harmed = Order.objects.get(price=103)
    for change in ({"user": large.alice.user}, {"filled_quantity": 1}):
        Order.objects.filter(id=harmed.id).update(**change)
        report = Report()
        inspect_full(report, timezone.now())
        assert any(finding.check is Check.SNAPSHOT for finding in report.findings)
        harmed.save()
    SnapshotPart.objects.update(rows=b"")
    report = Report()
    inspect_full(report, timezone.now())
    assert [finding.check for finding in report.findings] == [Check.SNAPSHOT]
    SnapshotPart.objects.all().delete()
    BookSnapshot.objects.all().delete()


def test_an_unfinished_taker_waits_for_no_snapshot(large):
    OrderBook.objects.update(unfinished_order_id=1)
    assert record(large.symbol) is None
    OrderBook.objects.update(unfinished_order_id=None)


@pytest.mark.parametrize("is_second", [False, True], ids=["first", "second"])
def test_a_process_killed_at_any_statement_leaves_a_book_to_start_from(large, is_second):
    if is_second:
        record(large.symbol)
        large.play(large.alice, "buy 1.5 @ 102")
    points = count(lambda: record(large.symbol))
    large.play(large.alice, "buy 0.5 @ 102")
    for turn in sample(range(1, points + 1), 3):
        struck(lambda: record(large.symbol), turn, KILL)
        assert is_as_the_rows(large)
    books.forget(large.symbol)
    assert outcome(large.play(large.alice, "buy 1 @ 102")) == "0 filled"


def test_a_delisting_cancels_what_was_not_read_yet(large, settings):
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    call_command("record_snapshots")
    books.forget(large.symbol)
    large.switch("DELISTED")
    assert (large.match().batches, large.depth()) == (3, "|")


def test_a_worker_killed_at_any_statement_is_followed_by_one_that_starts_from_the_snapshot(large, monkeypatch):
    record(large.symbol)
    monkeypatch.setattr(books, "load_rows", None)

    def start_and_match():
        books.forget(large.symbol)
        large.match()

    # Twice, because the first time her balance is made.
    for _ in range(2):
        large.place(large.alice, "buy 0.1 @ 102")
        points = count(start_and_match)
    for turn in sample(range(1, points + 1), 6):
        order = large.place(large.alice, "buy 0.1 @ 102").body["data"]["orderId"]
        struck(start_and_match, turn, KILL)
        start_and_match()
        assert outcome(large.alice.get(f"/orders/{order}")) == "0 filled"
    monkeypatch.undo()
    assert is_as_the_rows(large)


def test_it_is_due_when_the_book_is_large_and_has_changed(large, settings, monkeypatch):
    assert due_symbols([large.symbol, "NO-BOOK"]) == [large.symbol]
    started = []
    monkeypatch.setattr(chores.subprocess, "Popen", lambda command, **_: started.append(command))
    chores.record_snapshots()
    chores._children.clear()
    assert started[0][-3:] == ["record_snapshots", "--background", large.symbol]
    call_command("record_snapshots")
    assert due_symbols([large.symbol]) == []
    for _ in range(SIZE):
        large.play(large.bob, "sell 1 @ 105")
    assert due_symbols([large.symbol]) == [large.symbol]
    settings.SNAPSHOT_ORDERS = 20
    assert due_symbols([large.symbol]) == []
    with pytest.raises(CommandError, match="no market NOPE"):
        call_command("record_snapshots", "NOPE")
