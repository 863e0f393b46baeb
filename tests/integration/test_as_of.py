"""`asOf`: each private answer names an event of each market that it concerns, and certainly includes it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db import connection

from markets.models import Market
from markets.services import create_market
from tests.support.world import Person, World

# Those that concern one market, and those that concern all; with the table of their rows.
OF_ORDER = ("/orders/{order}", "/orders/client/mine", "/orders/{order}/trades", "/orders/{order}/events")
ROWS = {
    "/orders/{order}": "orders",
    "/orders/client/mine": "orders",
    "/orders/{order}/trades": "trades",
    "/orders/{order}/events": "order_events",
    "/orders": "orders",
    "/balances/{user}": "balances",
    "/balances/{user}/USD": "balances",
    "/balances/{user}/USD/ledger": "ledger_entries",
}


def as_of(who: Person, path: str, order: int = 0) -> dict[str, int]:
    answer = who.call("GET", path.format(order=order, user=who.user.id))
    assert answer.status_code == 200, answer.body
    return answer.body["asOf"]


def second_market() -> Market:
    return create_market(symbol="ETH-EUR", base="ETH", quote="EUR", tick_size=Decimal(1), lot_size=Decimal(1))


@pytest.fixture
def order(world: World) -> int:
    """An order of Alice's that Bob's rests for; two events: Bob's opened, and theirs filled."""
    world.play(world.bob, "sell 2 @ 100")
    return world.play(world.alice, "buy 1 @ 100", clientOrderId="mine")["orderId"]


@pytest.mark.parametrize("path", ROWS)
def test_every_private_answer_names_the_newest_event(world, order, path):
    [newest] = [event["sequence"] for event in world.alice.get(f"/orders/{order}/events")]
    other = second_market().symbol
    expected = {world.symbol: newest + 1}
    # Bob's half of the trade comes after Alice's.
    if "USD" not in path and path not in OF_ORDER:
        expected |= {other: 0}
    assert as_of(world.alice, path, order) == expected


def test_a_filter_narrows_it(world, order):
    second_market()
    assert as_of(world.alice, f"/orders?symbol={world.symbol}").keys() == {world.symbol}
    assert as_of(world.alice, "/balances/{user}/EUR") == {"ETH-EUR": 0}


def test_staff_read_it_of_others(world, order):
    assert as_of(world.staff, "/orders/{order}", order) == as_of(world.alice, "/orders/{order}", order)


@contextmanager
def matching_after(world: World, table: str) -> Iterator[list[str]]:
    """Match what waits as soon as rows of the table were read, as another process would between two statements."""
    done: list[str] = []

    def look(execute, sql, params, many, context):
        found = execute(sql, params, many, context)
        if not done and re.search(rf"SELECT.* FROM [`\"]{table}[`\"]", sql):
            done.append(sql)
            world.match()
        return found

    with connection.execute_wrapper(look):
        yield done


@pytest.mark.dialect
@pytest.mark.parametrize("path", ROWS)
def test_it_is_read_before_the_rows(world, order, path):
    """An event that is committed after the rows were read is not named."""
    before = as_of(world.alice, path, order)
    world.place(world.alice, "buy 1 @ 100")
    with matching_after(world, ROWS[path]) as done:
        named = as_of(world.alice, path, order)
    assert done and named == before
    assert as_of(world.alice, path, order)[world.symbol] > before[world.symbol]


@pytest.mark.parametrize(
    ("path", "queries"), [("/orders/{order}", 1), ("/orders", 2), ("/balances/{user}", 2), ("/balances/{user}/USD", 2)]
)
def test_it_costs_a_query_at_the_most(world, order, path, queries, django_assert_num_queries):
    as_of(world.alice, path, order)
    with django_assert_num_queries(queries):
        as_of(world.alice, path, order)
