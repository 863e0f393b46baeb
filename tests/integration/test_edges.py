"""Defects that were found by thinking of what could come between, and at the ends of the numbers."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import OperationalError, connection, transaction

from balances.services import transfer
from base.storage.bulk import update_rows
from base.storage.outages import again_on_deadlock
from base.storage.statements import GuardFailed
from base.web.errors import InsufficientFunds
from commands import queue
from commands.models import Command
from core.types import CommandKind
from markets.models import Asset
from matching import books, drain
from matching.models import OrderBook
from orders.models import Order
from tests.support.world import World, fund, outcome

pytestmark = pytest.mark.dialect


def commit_late(kind: CommandKind, symbol: str, order_id: int) -> None:
    """A command whose id is smaller than those that were committed before it."""
    smallest = Command.objects.order_by("id").values_list("id", flat=True).first()
    assert smallest
    Command.objects.create(
        id=smallest - 1, market_id=symbol, kind=kind, order_id=order_id, created_at="2026-01-01T00:00:00Z"
    )


def test_nothing_overtakes_a_taker_that_is_not_finished(world, settings):
    """A cancel that began before the FOK, and was committed while it was on its way, comes after it."""
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_TIME_BOX_SECONDS = 2, -1
    makers = [world.play(world.bob, "sell 1 @ 100")["orderId"] for _ in range(5)]
    taker = world.place(world.alice, "buy 5 @ 100 fok").body["data"]["orderId"]
    world.match()
    assert OrderBook.objects.get().unfinished_order_id == taker
    assert world.depth() == "| 3@100"
    commit_late(CommandKind.CANCEL, world.symbol, makers[-1])
    for _ in range(3):
        world.match()
    assert outcome(world.alice.get(f"/orders/{taker}")) == "0 filled"
    assert outcome(world.bob.get(f"/orders/{makers[-1]}")) == "0 filled"
    assert OrderBook.objects.get().unfinished_order_id is None


def test_the_limit_of_fills_is_shared_by_a_batch(world, settings):
    """Each taker of two fills may be done at once; a batch ends at four, so the third taker is in the next one."""
    settings.ENGINE_FILLS_PER_TRANSACTION = 2
    for _ in range(6):
        world.play(world.bob, "sell 1 @ 100")
    for _ in range(3):
        world.place(world.alice, "buy 2 @ 100")
    assert (world.match().batches, Order.objects.filter(status="FILLED").count()) == (2, 9)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, MemoryError])
def test_a_book_in_memory_never_outlives_an_interruption(transactional_db, world, monkeypatch, interruption):
    world.play(world.bob, "sell 1 @ 100")
    world.place(world.alice, "buy 1 @ 100")

    def interrupt(_commands):
        raise interruption

    with monkeypatch.context() as patch:
        patch.setattr(drain, "clear_inbox", interrupt)
        with pytest.raises(interruption):
            world.match()
    assert books._markets == {}
    world.match()
    assert Order.objects.filter(status="FILLED").count() == 2


def test_a_row_that_somebody_else_changed_is_not_written_over(transactional_db, world):
    """Enough money is frozen and the token is right: only the order's own guard can tell."""
    resting = world.play(world.alice, "buy 1 @ 100")["orderId"]
    Order.objects.filter(id=resting).update(status="CANCELLED", phase="CLOSED")
    asked = world.place(world.bob, "sell 1 @ 100").body["data"]["orderId"]
    world.match()
    # The book was read again, and there is nothing to trade with.
    assert outcome(world.bob.get(f"/orders/{asked}")) == "1 open +"
    assert Order.objects.get(id=resting).status == "CANCELLED"
    world.bob.call("DELETE", f"/orders/{asked}")
    world.match()
    Order.objects.filter(id=resting).update(status="OPEN", phase="RESTING")


def test_guards_are_asked_row_by_row(world):
    first, second = (world.play(world.alice, f"buy 1 @ {price}")["orderId"] for price in (10, 11))
    rows = [(first, "OPEN", "x"), (second, "FILLED", "x")]
    with pytest.raises(GuardFailed, match="1 of 2"):
        update_rows(Order, key="id", guards=["status"], fields=["correlation_id"], rows=rows)
    assert Order.objects.filter(correlation_id="x").count() == 1


def test_a_statement_that_reaches_further_than_meant_is_refused(world):
    """Its key finds two rows where it was to find one."""
    for price in (10, 11):
        world.play(world.alice, f"buy 1 @ {price}")
    with pytest.raises(GuardFailed, match="2 of 1"):
        update_rows(Order, key="user", guards=[], fields=["correlation_id"], rows=[(world.alice.user.id, "x")])


def test_a_host_whose_clock_is_behind_overtakes_nobody(world):
    """The cancel came after its order, though the clock of the host that took it says otherwise."""
    order_id = world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"]
    world.alice.call("DELETE", f"/orders/{order_id}")
    Command.objects.filter(kind="CANCEL").update(created_at="2026-01-01T00:00:00Z")
    world.match()
    assert outcome(world.alice.get(f"/orders/{order_id}")) == "1 cancelled user_cancelled"


def test_a_command_that_is_gone_throws_the_batch_away(transactional_db, world, monkeypatch, caplog):
    world.place(world.alice, "buy 1 @ 100")
    real = drain.clear_inbox

    times = iter([1])

    def somebody_was_faster(commands):
        for _ in times:
            Command.objects.all().delete()
        real(commands)

    monkeypatch.setattr(drain, "clear_inbox", somebody_was_faster)
    world.match()
    assert "`commands`: 0 of 1 rows" in caplog.text
    assert Order.objects.get().status == "OPEN"


def test_placing_and_cancelling_ring_once_they_are_committed(world, monkeypatch, django_capture_on_commit_callbacks):
    rung = []
    monkeypatch.setattr(queue, "ring_now", rung.append)
    with django_capture_on_commit_callbacks(execute=True):
        order_id = world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"]
        assert rung == []
    assert rung == [world.symbol]
    with django_capture_on_commit_callbacks(execute=True):
        world.alice.call("DELETE", f"/orders/{order_id}")
        world.alice.call("DELETE", "/orders")
    assert rung == [world.symbol] * 3


def test_a_refused_order_rings_nobody(world, monkeypatch, django_capture_on_commit_callbacks):
    rung = []
    monkeypatch.setattr(queue, "ring_now", rung.append)
    with django_capture_on_commit_callbacks(execute=True):
        world.place(world.carol, "buy 1 @ 100")
    assert rung == []


def test_a_bell_is_rung_where_the_cache_cannot_tell(world, monkeypatch, settings):
    """And is a server of its own: one that serves as the broker too is away with it."""
    settings.CACHE_URL = "redis://127.0.0.1:1/1"
    sent = []
    monkeypatch.setattr("commands.queue.current_app.send_task", lambda *_args, **options: sent.append(options["queue"]))

    def away(*_args, **_options):
        raise ConnectionError("no cache")

    monkeypatch.setattr("commands.queue.cache.add", away)
    queue.ring_now(world.symbol)
    assert sent == ["orders.BTC-USD"]


@pytest.mark.parametrize(("code", "calls"), [(1213, 3), (1205, 3), (1020, 3), (2006, 1)])
def test_a_lost_deadlock_is_tried_again(transactional_db, code, calls):
    made = []

    @again_on_deadlock
    def lose_twice() -> str:
        made.append(1)
        if len(made) < 3:
            raise OperationalError(code, "lost")
        return "won"

    if code == 2006:
        with pytest.raises(OperationalError):
            lose_twice()
    else:
        assert lose_twice() == "won"
    assert len(made) == calls


def test_a_deadlock_inside_a_transaction_is_its_owners(transactional_db):
    """What the owner did before it is gone as well: only the owner can do all of it again."""
    made = []

    @again_on_deadlock
    def lose() -> None:
        made.append(1)
        raise OperationalError(1213, "lost")

    with pytest.raises(OperationalError), transaction.atomic():
        lose()
    assert len(made) == 1


def test_a_cancel_that_waits_is_not_stored_again(world):
    order_id = world.play(world.alice, "buy 1 @ 100")["orderId"]
    for path in (f"/orders/{order_id}", f"/orders/{order_id}", "/orders", "/orders"):
        assert world.alice.call("DELETE", path).status_code == 202
    assert Command.objects.count() == 1


@pytest.mark.parametrize("query", ["Symbol=ETH-USD", "symbol=BTC-USD&type=LIMIT"])
def test_a_filter_that_is_misspelled_cancels_nothing(world, query):
    world.play(world.alice, "buy 1 @ 100")
    refused = world.alice.call("DELETE", f"/orders?{query}")
    assert (refused.status_code, refused.body["error"]) == (400, "PARAMETER_UNKNOWN")
    assert not Command.objects.exists()


def test_a_known_key_answers_though_the_market_has_changed(world):
    first = world.place(world.alice, "buy 1 @ 100", clientOrderId="k")
    world.staff.call("PATCH", "/markets/BTC-USD", {"minQuantity": "2", "status": "CANCEL_ONLY"})
    again = world.place(world.alice, "buy 1 @ 100", clientOrderId="k")
    assert (again.status_code, again.body["data"]) == (202, first.body["data"])


def test_a_withdrawal_sent_by_several_at_once_succeeds_for_all(transactional_db):
    world = World.make()

    def withdraw(_: int) -> str:
        try:
            made, _ = transfer(
                user_id=world.alice.user.id,
                currency="USD",
                amount=Decimal(-10_000),
                reason="all of it",
                reference="once",
                operator_id=None,
            )
        except InsufficientFunds:
            return "refused"
        finally:
            connection.close()
        return str(made.available_after)

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(withdraw, range(8)))
    assert {Decimal(answer) for answer in answers} == {Decimal(0)}


def test_a_large_withdrawal(world):
    fund(world.alice.user, USD="80000000000")
    fund(world.alice.user, USD="-80000000000")
    assert world.alice.holds("USD") == "10000 0"


def test_a_level_whose_sum_exceeds_64_bits(db):
    world = World.make(tick_size=Decimal("0.00000001"), lot_size=Decimal(1))
    for _ in range(93):
        assert world.place(world.alice, "buy 1000000000 @ 0.00000001").status_code == 202
    world.place(world.bob, "sell 1 @ 0.00000001")
    world.match()
    assert world.depth() == "92999999999@0.00000001 |"


def test_an_order_may_turn_over_more_than_there_is(db):
    """Filled at a better price first, then at its own limit with the same money again."""
    world = World.make(lot_size=Decimal(1))
    fund(world.alice.user, USD="80000000000")
    world.play(world.alice, "buy 1 @ 80000000000")
    order_id = world.play(world.bob, "sell 2 @ 40000000000")["orderId"]
    fund(world.bob.user, USD="-80000000000")
    fund(world.alice.user, USD="40000000000")
    world.play(world.alice, "buy 1 @ 40000000000")
    order = world.bob.get(f"/orders/{order_id}")
    assert (outcome(order), order["averagePrice"]) == ("0 filled", "60000000000")


@pytest.mark.parametrize("lot", ["3", "0.3", "2000000000"])
def test_any_lot_has_a_market(world, lot):
    body = {"symbol": "X-USD", "base": "X", "quote": "USD", "tickSize": "1", "lotSize": lot}
    made = world.staff.call("POST", "/markets", body)
    assert made.status_code == 201, made.body
    assert Decimal(made.body["data"]["maxQuantity"]) % Decimal(lot) == 0


def test_a_refused_market_makes_no_assets(world):
    body = {"symbol": "A-B", "base": "A", "quote": "B", "tickSize": "0.00001", "lotSize": "0.00001"}
    assert world.staff.call("POST", "/markets", body).status_code == 400
    assert not Asset.objects.filter(code__in=["A", "B"]).exists()


def test_staff_cannot_act_for_nobody(world):
    refused = world.place(world.staff, "buy 1 @ market", userId=987654)
    assert (refused.status_code, refused.body["error"]) == (404, "USER_NOT_FOUND")


def test_fills_are_read_in_pages(world):
    for _ in range(3):
        world.play(world.bob, "sell 1 @ 100")
    order_id = world.play(world.alice, "buy 3 @ 100")["orderId"]
    first = world.alice.call("GET", f"/orders/{order_id}/trades?limit=2").body
    rest = world.alice.call("GET", f"/orders/{order_id}/trades?limit=2&cursor={first['nextCursor']}").body
    sequences = [int(fill["tradeId"].rpartition("-")[2]) for fill in first["data"] + rest["data"]]
    assert sequences == sorted(sequences)
    assert (len(sequences), rest["nextCursor"]) == (3, None)
