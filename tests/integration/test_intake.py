"""What placing an order costs the database, and what a process remembers between two requests."""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from cachetools import TTLCache, cached
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from base.web import accounts
from base.web.accounts import ACTIVE_SECONDS
from commands import queue
from commands.models import Command
from markets import services as markets
from markets.models import Market
from orders import share
from orders.models import Order
from tests.support.tape import parse
from tests.support.world import World, allow, outcome, remember
from users.models import User

pytestmark = pytest.mark.dialect

_STATEMENT = re.compile(r"(INSERT) INTO [`\"]?(\w+)|(UPDATE) [`\"]?(\w+)|(SELECT) .*? FROM [`\"]?(\w+)", re.DOTALL)
_BRACKETS = re.compile(r"\((?:[^()]|\([^()]*\))*\)")


@contextmanager
def statements() -> Iterator[list[str]]:
    """Verb and table of each statement, also of one that fails, but for those that begin and end transactions."""
    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        # Without what is in brackets: a query within a statement is none of its own.
        match = _STATEMENT.match(_BRACKETS.sub("()", sql))
        if match or not re.match(r"SAVEPOINT|RELEASE|ROLLBACK", sql):
            seen.append(" ".join(filter(None, match.groups())) if match else sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield seen


@pytest.fixture
def warm(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Everybody and the market were asked for a moment ago."""
    # On a busy machine the half second for which a backlog is remembered may be over.
    remembered = functools.cache(queue.find_backlog.__wrapped__)
    for asks in (queue, share):
        monkeypatch.setattr(asks, "find_backlog", remembered)
    for who, line in ((world.alice, "buy 1 @ 1"), (world.bob, "sell 1 @ 9000")):
        assert world.place(who, line).status_code == 202
    return world


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("buy 1 @ 100", {}),
        ("buy 1 @ 100 fok", {"clientOrderId": "k"}),
        ("buy market 100 quote", {}),
    ],
)
def test_an_order_is_four_statements(warm, line, more):
    with statements() as seen:
        assert warm.place(warm.alice, line, **more).status_code == 202
    assert seen == ["INSERT orders", "INSERT commands", "UPDATE balances", "UPDATE open_orders"]


def test_an_order_pays_for_no_column_of_the_sandbox(warm):
    with CaptureQueriesContext(connection) as seen:
        assert warm.place(warm.alice, "buy 1 @ 100").status_code == 202
    assert [each["sql"] for each in seen if "meets_id" in each["sql"] or "held_commands" in each["sql"]] == []


def test_a_market_buy_by_quantity_changes_no_balance(warm):
    with statements() as seen:
        assert warm.place(warm.alice, "buy 1 @ market").status_code == 202
    assert seen == ["SELECT balances", "INSERT orders", "INSERT commands", "UPDATE open_orders"]


@pytest.mark.parametrize("count", [2, 10, 100])
def test_a_batch_costs_the_same_however_long(warm, count):
    orders = [parse(f"buy 0.1 @ {1 + n}").body(warm.symbol, clientOrderId=f"k-{n}") for n in range(count)]
    with statements() as seen:
        assert warm.alice.call("POST", "/orders/batch", {"orders": orders}).status_code == 202
    # MySQL does not return them.
    read_back = [] if connection.features.can_return_rows_from_bulk_insert else ["SELECT orders"]
    assert seen == [
        "INSERT orders",
        *read_back,
        "INSERT commands",
        "UPDATE balances",
        "UPDATE open_orders",
    ]


def test_a_batch_that_is_refused_or_sent_again(warm):
    """A key is looked up where it could answer in place of a refusal, and where the insert says that it is taken."""
    order = parse("buy 1 @ 100").body(warm.symbol, clientOrderId="k")
    refused = parse("buy 1 @ 0.001").body(warm.symbol, clientOrderId="l")
    warm.alice.call("POST", "/orders/batch", {"orders": [order]})
    with statements() as seen:
        warm.alice.call("POST", "/orders/batch", {"orders": [refused]})
    assert seen == ["SELECT orders"]
    with statements() as seen:
        warm.alice.call("POST", "/orders/batch", {"orders": [order]})
    assert seen == ["INSERT orders", "SELECT orders"]


def test_a_repeated_order_is_an_insert_and_a_look(warm):
    warm.place(warm.alice, "buy 1 @ 100", clientOrderId="k")
    with statements() as seen:
        assert warm.place(warm.alice, "buy 1 @ 100", clientOrderId="k")["Idempotent-Replayed"] == "true"
    assert seen == ["INSERT orders", "SELECT orders"]


def test_a_cancel_is_three_statements(warm):
    order_id = warm.place(warm.alice, "buy 1 @ 100").body["data"]["orderId"]
    with statements() as seen:
        assert warm.alice.call("DELETE", f"/orders/{order_id}").status_code == 202
    assert seen == ["SELECT orders", "SELECT commands", "INSERT commands"]


def test_a_refused_order_asks_for_nothing(warm):
    with statements() as seen:
        assert warm.place(warm.alice, "buy 1 @ 100.001").status_code == 400
    assert seen == []


def test_a_known_key_answers_when_the_funds_are_gone(world):
    first = world.place(world.alice, "buy 100 @ 100", clientOrderId="k")
    again = world.place(world.alice, "buy 100 @ 100", clientOrderId="k")
    other = world.place(world.alice, "buy 99 @ 100", clientOrderId="k")
    assert (again.status_code, again.body["data"]) == (202, first.body["data"])
    assert (other.status_code, other.body["error"]) == (422, "CLIENT_ORDER_ID_REUSED")


def test_a_fingerprint_is_what_it_was(world):
    """Orders that are stored must go on answering for their keys."""
    world.place(world.alice, "buy 1.50 @ 100.00 ioc expire-maker", clientOrderId="k")
    assert Order.objects.get().fingerprint == "1a4d14fdc9f2d79899bb9cad33c84ac6"


def test_a_deactivated_user_is_refused_within_seconds(world, monkeypatch):
    seconds = [0.0]
    limits = TTLCache(9, ACTIVE_SECONDS, timer=lambda: seconds[0])
    monkeypatch.setattr(accounts, "known_account", cached(limits)(accounts.known_account.__wrapped__))
    assert world.alice.call("GET", "/orders").status_code == 200
    User.objects.filter(id=world.alice.user.id).update(is_active=False)
    told = []
    for seconds[0] in (1, 2, 4):
        told.append(world.alice.call("GET", "/orders").status_code)
    assert told == [200, 200, 401]


def test_a_refusal_is_not_remembered(world):
    mine = User.objects.filter(id=world.alice.user.id)
    mine.update(is_active=False)
    assert world.alice.call("GET", "/orders").status_code == 401
    mine.update(is_active=True)
    assert world.alice.call("GET", "/orders").status_code == 200


def test_powers_are_never_remembered(world):
    """Whoever was staff a moment ago is not now, in every place that asks."""
    alice = world.alice.user.id
    calls = [
        ("POST", "/orders", {**parse("buy 1 @ 1").body(world.symbol), "userId": alice}, 403),
        ("POST", "/markets", {}, 403),
        ("POST", "/balances/update", {}, 403),
        ("GET", f"/orders?userId={alice}", None, 403),
        ("DELETE", f"/orders?userId={alice}", None, 403),
        ("GET", "/stream/order-status/stats", None, 403),
        ("GET", f"/balances/{alice}", None, 404),
        ("GET", f"/users/{alice}", None, 404),
    ]
    order_id = world.place(world.alice, "buy 1 @ 1").body["data"]["orderId"]
    calls.append(("GET", f"/orders/{order_id}", None, 404))
    allowed = [world.staff.call(method, path, sent).status_code for method, path, sent, _ in calls]
    assert allowed == [202, 400, 400, 200, 202, 200, 200, 200, 200]
    staff = User.objects.filter(id=world.staff.user.id)
    for change in ({"is_staff": False}, {"is_staff": True, "is_active": False}):
        staff.update(**change)
        refused = [world.staff.call(method, path, sent).status_code for method, path, sent, _ in calls]
        assert refused == [status for *_, status in calls]


def test_who_becomes_staff_is_staff_at_once(world):
    assert world.carol.call("GET", f"/balances/{world.alice.user.id}").status_code == 404
    User.objects.filter(id=world.carol.user.id).update(is_staff=True)
    assert world.carol.call("GET", f"/balances/{world.alice.user.id}").body["error"] == "PERMISSION_REQUIRED"
    allow(world.carol, "balances.view_balance")
    assert world.carol.call("GET", f"/balances/{world.alice.user.id}").status_code == 200


def test_a_market_that_another_process_halted_rejects(world):
    """Intake may accept for another second; the command is in the market's own sequence."""
    world.place(world.alice, "buy 1 @ 1")
    before = markets.find_market(world.symbol)
    world.switch("HALTED")
    remember(before)
    accepted = world.place(world.alice, "buy 1 @ 100")
    assert accepted.status_code == 202
    assert world.carol.get("/markets/BTC-USD")["status"] == "HALTED"
    world.match()
    assert outcome(world.alice.get(f"/orders/{accepted.body['data']['orderId']}")) == "1 rejected market_halted"
    markets.known_market.cache_clear()
    assert world.place(world.alice, "buy 1 @ 100").body["error"] == "MARKET_NOT_TRADING"


def test_a_change_is_seen_at_once_where_it_was_made(world):
    assert world.place(world.alice, "buy 1 @ 1").status_code == 202
    world.staff.call("PATCH", "/markets/BTC-USD", {"minQuantity": "2"})
    assert world.place(world.alice, "buy 1 @ 1").body["error"] == "QUANTITY_TOO_SMALL"


def test_what_others_remember_until_the_commit_is_forgotten_with_it(transactional_db, world):
    """A request in another thread reads the market as it still is, after the change and before its commit."""
    before = markets.read_market(world.symbol)
    with transaction.atomic():
        markets.change_market(markets.read_market(world.symbol), status="HALTED")
        remember(before)
    assert markets.find_market(world.symbol).status == "HALTED"


def test_a_change_that_is_refused_changes_nothing_that_is_remembered(world):
    assert world.place(world.alice, "buy 1 @ 1").status_code == 202
    remembered = markets.find_market(world.symbol)
    assert world.staff.call("PATCH", "/markets/BTC-USD", {"minQuantity": "0.00005"}).status_code == 400
    assert remembered.min_quantity == Decimal("0.0001")
    assert markets.find_market(world.symbol) is remembered


def test_a_market_that_is_new_is_found_at_once(world):
    order = parse("buy 1 @ 1").body("ETH-USD")
    assert world.alice.call("POST", "/orders", order).body["error"] == "MARKET_NOT_FOUND"
    Market.objects.create(
        symbol="ETH-USD",
        base=world.market.base,
        quote=world.market.quote,
        tick_size=Decimal(1),
        lot_size=Decimal(1),
        min_quantity=Decimal(1),
    )
    assert world.alice.call("POST", "/orders", order).status_code == 202
    assert Command.objects.filter(market_id="ETH-USD").exists()
