"""A market limits each user's open orders: exactly, also for a batch and for requests that run in parallel."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from markets.services import change_market, read_market
from orders import services
from orders.models import OpenOrders, Order
from tests.integration.test_batch import in_threads
from tests.support.live import Live
from tests.support.tape import parse
from tests.support.world import Person, World, fund, stored_rows


@pytest.fixture
def narrow(world: World) -> World:
    """Three open orders each."""
    change_market(read_market(world.symbol), max_open_orders=3)
    return world


def number(world: World, who: Person) -> int:
    return OpenOrders.objects.get(market=world.symbol, user=who.user).number


@pytest.mark.dialect
def test_a_fourth_is_refused_until_one_is_closed(narrow):
    for line in ("buy 1 @ 10", "buy 1 @ 11"):
        narrow.play(narrow.alice, line)
    # It waits for its worker, and counts too.
    narrow.place(narrow.alice, "buy 1 @ 12")
    before = stored_rows()
    refused = narrow.place(narrow.alice, "buy 1 @ market")
    assert (refused.status_code, refused.body.get("error")) == (400, "TOO_MANY_OPEN_ORDERS")
    assert refused.body["data"] == {"symbol": "BTC-USD", "openOrders": 3, "maxOpenOrders": 3}
    assert stored_rows() == before
    assert narrow.place(narrow.bob, "sell 1 @ 100").status_code == 202, "it is a limit for each user"
    narrow.match()
    assert narrow.play(narrow.bob, "sell 2 @ 11")["status"] == "FILLED"
    assert number(narrow, narrow.alice) == 1
    assert narrow.place(narrow.alice, "buy 1 @ 13").status_code == 202


@pytest.mark.parametrize("ending", ["buy 1 @ 1 ioc", "buy 9 @ 100 fok", "buy 1 @ market", "buy market 5 quote"])
def test_whatever_closes_an_order_takes_it_off(narrow, ending):
    for _ in range(4):
        narrow.play(narrow.alice, ending)
    assert number(narrow, narrow.alice) == 0


@pytest.mark.dialect
def test_a_batch_takes_what_is_left(narrow):
    narrow.play(narrow.alice, "buy 1 @ 10")
    lines = ["buy 1 @ 11", "buy 900 @ 90", "buy 1 @ 12", "buy 1 @ 13"]
    answer = narrow.alice.call("POST", "/orders/batch", {"orders": [parse(line).body("BTC-USD") for line in lines]})
    told = [result.get("error") for result in answer.body["data"]["results"]]
    assert told == [None, "INSUFFICIENT_FUNDS", None, "TOO_MANY_OPEN_ORDERS"]
    assert number(narrow, narrow.alice) == 3


def test_a_repeat_has_its_answer_though_no_more_may_be_open(narrow):
    first = narrow.place(narrow.alice, "buy 1 @ 10", clientOrderId="first")
    for line in ("buy 1 @ 11", "buy 1 @ 12"):
        narrow.place(narrow.alice, line)
    again = narrow.place(narrow.alice, "buy 1 @ 10", clientOrderId="first")
    assert (again.status_code, again.body["data"]) == (202, first.body["data"])


@pytest.mark.dialect
def test_a_number_that_is_too_small_holds_up_no_order(narrow, log):
    """It limits what a user may do. To fail an order for it would cost them more than it keeps from anybody."""
    for line in ("buy 1 @ 10", "buy 1 @ 11"):
        narrow.play(narrow.alice, line)
    OpenOrders.objects.filter(user=narrow.alice.user).delete()
    assert narrow.play(narrow.bob, "sell 1 @ 11")["status"] == "FILLED"
    assert number(narrow, narrow.alice) == 1
    assert any("counted anew" in entry["event"] for entry in log())


@pytest.mark.dialect
def test_a_number_that_is_too_large_refuses_no_order(narrow, log):
    narrow.play(narrow.alice, "buy 1 @ 10")
    OpenOrders.objects.filter(user=narrow.alice.user).update(number=3)
    assert narrow.place(narrow.alice, "buy 1 @ 11").status_code == 202
    assert number(narrow, narrow.alice) == 2
    assert any("counted anew" in entry["event"] for entry in log())


def test_in_parallel(exchange: Live):
    """Both sides at once, which reserve different balances, and nothing of it trades."""
    symbol = exchange.market(maxOpenOrders=20)
    alice = exchange.trader("alice", USD="10000", BTC="100")
    lines = [f"{side} 1 @ {price}" for side, price in (("buy", 10), ("sell", 20))] * 30

    def place(line: str) -> int:
        return alice.call("POST", "/orders", parse(line).body(symbol)).status_code

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(place, lines))
    assert {status: answers.count(status) for status in set(answers)} == {202: 20, 400: 40}
    assert len(alice.get(f"/orders?symbol={symbol}&active=true")) == 20


@pytest.mark.dialect
def test_batches_that_race_fill_the_limit_exactly_and_a_cancel_makes_room_once_it_is_applied(transactional_db):
    world = World.make(max_open_orders=25)
    orders = [parse(f"{side} 0.01 @ {price}").body("BTC-USD") for side, price in (("buy", 10), ("sell", 20))] * 10
    fund(world.alice.user, BTC="10")

    def place(_: int = 0) -> int:
        answer = world.alice.call("POST", "/orders/batch", {"orders": orders})
        return sum("error" not in result for result in answer.body["data"]["results"])

    assert sum(in_threads(4, place)) == 25
    world.match()
    for order in Order.objects.order_by("id")[:3]:
        world.alice.call("DELETE", f"/orders/{order.id}")
    assert place() == 0, "they may still trade"
    world.match()
    assert sum(in_threads(2, place)) == 3
    world.match()
    assert number(world, world.alice) == Order.objects.filter(phase="RESTING").count() == 25


def test_balances_are_locked_before_the_numbers_that_intake_locks_last(world):
    """Also the one that the worker makes for who holds nothing yet: else the two could wait for each other."""
    world.place(world.bob, "sell 1 @ 10")
    world.place(world.alice, "buy 1 @ 10")
    sent = []
    with connection.execute_wrapper(lambda execute, sql, *rest: sent.append(sql) or execute(sql, *rest)):
        world.match()
    balances = [at for at, sql in enumerate(sent) if "balances" in sql and not sql.startswith("SELECT")]
    numbers = [at for at, sql in enumerate(sent) if "open_orders" in sql]
    assert len(balances) > 1 and max(balances) < min(numbers)


@pytest.mark.dialect
def test_a_users_closed_orders_are_not_read_for_the_open_ones(world):
    """Cancel-all must be as fast after a million orders as after one."""
    if connection.vendor != "mysql":
        pytest.skip("only MySQL and MariaDB tell how many rows a statement read")
    world.play(world.alice, "buy 1 @ 10")
    closed = Order.objects.get()
    closed.phase, closed.status, closed.frozen, closed.closed_at = "CLOSED", "CANCELLED", 0, timezone.now()
    open_id, closed.client_order_id = closed.pk, None
    past = []
    for _ in range(2_000):
        closed.pk = None
        past.append(Order(**{field.attname: getattr(closed, field.attname) for field in Order._meta.fields}))
    Order.objects.bulk_create(past)
    for call in (
        lambda: services.cancel_orders(world.alice.user.id),
        lambda: services.cancel_orders(world.alice.user.id, "BTC-USD"),
        lambda: world.alice.get("/orders?active=true"),
        lambda: world.alice.get("/orders?status=OPEN"),
        lambda: world.alice.get("/orders?status=REJECTED"),
    ):
        before = rows_read()
        call()
        assert rows_read() - before < 300
    Order.objects.filter(pk__gt=open_id).delete()


def rows_read() -> int:
    """How many rows and entries of indexes this session has read."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(number) for _, number in cursor.fetchall())
