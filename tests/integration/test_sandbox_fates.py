"""Orders whose fate is in their name: rejected, filled, filled by half, or hanging; with real money, which is counted.

After each test the audit counts and plays the market again (`money_is_counted`); here it also replays all of it.
"""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError, connection

from balances.models import Balance
from commands.held import let_due_go
from commands.models import Command, HeldCommand
from commands.queue import submit_cancels
from core import market as core_market
from markets.counterparty import sandbox_account
from markets.models import Trade
from markets.services import known_market
from matching.models import DeadLetter
from operations.dead_letters import NotSafe, requeue
from orders import fates
from orders.models import Order
from tests.support.orders import all_findings, checks, full, replay
from tests.support.tape import parse
from tests.support.world import Person, World, fund, outcome, stored_rows
from users.acts import Actor

pytestmark = pytest.mark.dialect


@pytest.fixture
def sandbox(settings: Any, db: None) -> World:
    settings.SANDBOX = True
    world = World.make()
    assert world.staff.call("PATCH", f"/markets/{world.symbol}", {"simulatedFates": True}).status_code == 200
    fund(sandbox_account(), USD="100000", BTC="100")
    return world


def play(world: World, who: Person, line: str, name: str) -> str:
    return outcome(world.play(who, line, clientOrderId=name))


def replayed(world: World) -> None:
    reports = full(), replay(world.symbol)
    assert checks(*reports) == set(), all_findings(reports)


def owned() -> dict[str, str]:
    rows = Balance.objects.filter(user=sandbox_account()).order_by("currency_id")
    return {row.currency_id: f"{row.available.normalize():f} {row.frozen.normalize():f}" for row in rows}


def test_reject(sandbox: World) -> None:
    assert play(sandbox, sandbox.alice, "buy 1 @ 100", "sim-reject-1") == "1 rejected simulated"
    assert play(sandbox, sandbox.alice, "buy 1 @ market", "sim-reject-2") == "1 rejected simulated"
    assert sandbox.alice.holds("USD") == "10000 0"
    replayed(sandbox)


def test_fill_whoever_else_is_in_the_book(sandbox: World) -> None:
    sandbox.play(sandbox.bob, "sell 1 @ 103")
    assert sandbox.play(sandbox.bob, "sell 1 @ 100")["active"]
    # Better bids than Alice's, and an older one at her price: nobody of these is met.
    for line in ("buy 1 @ 99", "buy 1 @ 98"):
        sandbox.play(sandbox.alice, line)
    assert play(sandbox, sandbox.alice, "buy 2 @ 98", "sim-fill-1") == "0 filled"
    assert sandbox.depth() == "1@99 1@98 | 1@100 1@103"
    assert sandbox.alice.holds("BTC") == "2 0"
    assert owned() == {"BTC": "98 0", "USD": "100196 0"}
    # Of what others fill before, nothing is left to the sandbox's order.
    assert play(sandbox, sandbox.alice, "buy 1.5 @ 100", "sim-fill-2") == "0 filled"
    assert owned()["BTC"] == "97.5 0"
    assert sandbox.depth() == "1@99 1@98 | 1@103"
    replayed(sandbox)


def test_fill_at_the_reference_price(sandbox: World) -> None:
    assert play(sandbox, sandbox.bob, "sell 1 @ 100", "sim-fill-1") == "0 filled"
    sandbox.play(sandbox.bob, "sell 1 @ 96")
    assert play(sandbox, sandbox.alice, "buy 2 @ market", "sim-fill-2") == "0 filled"
    assert play(sandbox, sandbox.bob, "sell 3 @ market", "sim-partial-3") == "1.5 partially_filled no_liquidity"
    assert [str(each.price.normalize()) for each in trades(sandbox)] == ["1E+2", "1E+2", "95.99"]
    assert Order.objects.filter(user=sandbox_account(), phase="RESTING").count() == 0
    replayed(sandbox)


def test_half_is_filled_and_the_rest_stays_open(sandbox: World) -> None:
    assert play(sandbox, sandbox.alice, "buy 0.0003 @ 100", "sim-partial-1") == "0.0002 partially_filled +"
    assert sandbox.depth() == "0.0002@100 |"
    sandbox.play(sandbox.bob, "sell 0.0002 @ 100")
    assert sandbox.alice.holds("BTC") == "0.0003 0"
    replayed(sandbox)


def test_hang_and_go_on_or_be_cancelled(sandbox: World) -> None:
    sandbox.play(sandbox.bob, "sell 1 @ 100")
    assert play(sandbox, sandbox.alice, "buy 1 @ 100", "sim-hang-1") == "1 pending +"
    replayed(sandbox)
    assert let_due_go() == []
    HeldCommand.objects.update(due_at="2026-01-01T00:00:00Z")
    assert let_due_go() == [sandbox.symbol]
    assert let_due_go() == []
    sandbox.match()
    assert sandbox.alice.holds("BTC") == "1 0"
    # A cancel lets it go first, so the engine knows what it cancels.
    hanging = sandbox.place(sandbox.alice, "buy 1 @ 90", clientOrderId="sim-hang-2").body["data"]["orderId"]
    assert sandbox.alice.call("DELETE", f"/orders/{hanging}").status_code == 202
    assert list(Command.objects.order_by("id").values_list("kind", flat=True)) == ["NEW", "CANCEL"]
    sandbox.match()
    assert outcome(sandbox.alice.get(f"/orders/{hanging}")) == "1 cancelled user_cancelled"
    replayed(sandbox)


@pytest.mark.django_db(transaction=True)
def test_a_held_command_goes_once_and_before_the_cancel(settings: Any) -> None:
    """Whoever comes first, the timers or the cancels of two clients."""
    settings.SANDBOX = True
    world = World.make()
    assert world.staff.call("PATCH", f"/markets/{world.symbol}", {"simulatedFates": True}).status_code == 200

    def ask(what: Callable[[], Any]) -> None:
        try:
            what()
        finally:
            connection.close()

    for number in range(4):
        order = world.place(world.alice, "buy 1 @ 90", clientOrderId=f"sim-hang-{number}").body["data"]["orderId"]
        HeldCommand.objects.update(due_at="2026-01-01T00:00:00Z")
        cancel = partial(submit_cancels, world.symbol, [order])
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(ask, [let_due_go, cancel, cancel]))
        kinds = list(Command.objects.order_by("id").values_list("kind", flat=True))
        assert (kinds[0], kinds.count("NEW"), set(kinds[1:])) == ("NEW", 1, {"CANCEL"})
        world.match()
        assert Order.objects.get(id=order).status == "CANCELLED"


def test_no_hanging_order_outlives_the_kill_switch(sandbox: World) -> None:
    placed = sandbox.place(sandbox.alice, "buy 1 @ 90", clientOrderId="sim-hang-1").body["data"]["orderId"]
    killed = sandbox.staff.call("POST", f"/users/{sandbox.alice.user.id}/kill", {"reason": "test"})
    assert killed.body["data"]["cancelled"] == 1
    sandbox.match()
    assert Order.objects.get(id=placed).status == "CANCELLED"
    assert not HeldCommand.objects.exists()


@pytest.mark.parametrize(
    ("line", "name", "word"),
    [
        ("buy 1 @ 106", "sim-fill-1", "further than 0.05 from 100"),
        ("buy 1 @ 100 ioc", "sim-fill-1", "LIMIT order that rests"),
        ("buy market 10 quote", "sim-fill-1", "MARKET order by quantity"),
        ("buy 0.0001 @ 100", "sim-partial-1", "no whole lot"),
        ("sell 2000 @ 100", "sim-fill-1", "200000 USD needed, 100000 available"),
    ],
)
def test_what_cannot_have_its_fate_is_refused(sandbox: World, line: str, name: str, word: str) -> None:
    sandbox.play(sandbox.bob, "sell 1 @ 100")
    sandbox.play(sandbox.alice, "buy 1 @ 100")
    fund(sandbox.bob.user, BTC="5000")
    who = sandbox.bob if line.startswith("sell") else sandbox.alice
    before = stored_rows()
    refused = sandbox.place(who, line, clientOrderId=name)
    assert (refused.status_code, refused.body["error"]) == (400, "SANDBOX_FATE_IMPOSSIBLE"), refused.body
    assert word in refused.body["message"]
    preview = who.call("POST", "/orders/preview", parse(line).body(sandbox.symbol, clientOrderId=name))
    assert word in str(preview.body)
    assert stored_rows() == before


def test_a_repetition_is_one_order_with_one_fate(sandbox: World) -> None:
    assert play(sandbox, sandbox.alice, "buy 1 @ 100", "sim-fill-1") == "0 filled"
    again = sandbox.place(sandbox.alice, "buy 1 @ 100", clientOrderId="sim-fill-1")
    assert again["Idempotent-Replayed"] == "true"
    assert Order.objects.count() == 2


def test_a_name_means_nothing_without_a_sandbox(sandbox: World, settings: Any) -> None:
    """In a market that a sandbox of before has left, too."""
    settings.SANDBOX = False
    assert sandbox.alice.get(f"/markets/{sandbox.symbol}")["simulatedFates"] is False
    for fate in ("fill", "partial", "reject", "hang"):
        assert play(sandbox, sandbox.alice, "buy 1 @ 100", f"sim-{fate}") == "1 open +"
    refused = sandbox.staff.call("PATCH", f"/markets/{sandbox.symbol}", {"simulatedFates": True})
    assert (refused.status_code, refused.body["error"]) == (400, "FIELD_NOT_ALLOWED")
    pretender = {"username": "s.andbox", "email": "pretender@example.com", "password": "correct horse"}
    assert sandbox.alice.call("POST", "/users", pretender).body["error"] == "USERNAME_RESERVED"


@pytest.mark.parametrize("seed", range(2))
def test_a_stream_with_and_without_fates(sandbox: World, settings: Any, seed: int) -> None:
    """Cut into small transactions, and audited after each ten orders; with fees, rebates and a band the second time."""
    if seed:
        rules = {"makerFeeRate": "-0.0005", "takerFeeRate": "0.001", "feeCurrency": "QUOTE", "priceBand": "0.02"}
        assert sandbox.staff.call("PATCH", f"/markets/{sandbox.symbol}", rules).status_code == 200
        known_market.cache_clear()
    settings.ENGINE_BATCH_SIZE, settings.ENGINE_FILLS_PER_TRANSACTION = 3, 1 + seed
    dice = random.Random(seed)
    fund(sandbox.bob.user, USD="100000", BTC="1000")
    fund(sandbox.alice.user, USD="100000", BTC="1000")
    for number in range(60):
        who, side = dice.choice([sandbox.alice, sandbox.bob]), dice.choice(["buy", "sell"])
        price = dice.choice([f"{100 + dice.randint(-3, 3)}"] * 4 + ["market"])
        fate = dice.choice(["plain", "plain", "sim-fill", "sim-partial", "sim-reject", "sim-hang"])
        sandbox.place(who, f"{side} {dice.randint(1, 5)} @ {price}", clientOrderId=f"{fate}-{number}")
        if dice.random() < 0.2:
            who.call("DELETE", "/orders")
        if dice.random() < 0.5:
            sandbox.match()
        if number % 10 == 9:
            HeldCommand.objects.update(due_at="2026-01-01T00:00:00Z")
            replayed(sandbox)
            fates.let_hanging_go()
    sandbox.match()
    replayed(sandbox)
    house = Order.objects.filter(user=sandbox_account())
    assert house.filter(filled_quantity__gt=0).count() > 5
    assert not house.exclude(phase="CLOSED").exists()


def test_what_a_sandbox_of_before_holds_goes_on(sandbox: World, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much it is, and also where the database fails at the first look."""
    for number in range(3):
        assert play(sandbox, sandbox.alice, f"buy 1 @ {100 - number}", f"sim-hang-{number}") == "1 pending +"
    assert fates.let_hanging_go() == 0
    settings.SANDBOX = False
    monkeypatch.setattr(fates, "_is_over", [])
    monkeypatch.setattr(fates, "let_due_go", Mock(side_effect=OperationalError))
    with pytest.raises(OperationalError):
        fates.let_hanging_go()
    monkeypatch.setattr(fates, "let_due_go", partial(let_due_go, most=2))
    assert [fates.let_hanging_go() for _ in range(4)] == [2, 1, 0, 0]
    sandbox.match()
    assert sandbox.depth() == "1@100 1@99 1@98 |"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("line", "name", "fails"),
    [("buy 1 @ 100", "sim-fill", 1), ("buy 1 @ market", "sim-fill", 0), ("buy 1 @ 100", "sim-reject", 0)],
)
def test_half_of_a_fate_is_not_tried_again(
    sandbox: World, settings: Any, monkeypatch: pytest.MonkeyPatch, line: str, name: str, fails: int
) -> None:
    """The order of the sandbox's account would trade with others, or rest; and what was to be rejected would trade."""
    settings.ENGINE_RETRY_MS, settings.ENGINE_TIME_BOX_SECONDS = [0, 0, 0], 60
    sandbox.play(sandbox.bob, "sell 1 @ 100")
    sandbox.play(sandbox.alice, "buy 1 @ 100")
    real, seen = core_market.Market._apply, dict[int, int]()

    def apply(self: Any, command: Any, *rest: Any) -> Any:
        if command.order is not None:
            seen.setdefault(command.order_id, len(seen))
            if seen[command.order_id] == fails:
                raise ZeroDivisionError
        return real(self, command, *rest)

    monkeypatch.setattr(core_market.Market, "_apply", apply)
    sandbox.place(sandbox.alice, line, clientOrderId=name)
    for _ in range(5):
        sandbox.match()
    letter = DeadLetter.objects.get()
    assert Order.objects.get(id=letter.order_id).status == "FAILED"
    with pytest.raises(NotSafe, match="fate"):
        requeue(letter.pk, Actor(sandbox.staff.user.pk, ""))
    replayed(sandbox)


def test_a_batch_keeps_the_order_of_its_orders(sandbox: World) -> None:
    lines = [("buy 1 @ 100", "sim-fill"), ("buy 1 @ 100", "plain"), ("buy 2 @ 100", "sim-partial")]
    results = batch(sandbox, sandbox.alice, lines)
    assert [each["code"] for each in results] == [202] * 3
    sandbox.match()
    found = [sandbox.alice.get(f"/orders/{each['orderId']}") for each in results]
    assert [outcome(each) for each in found] == ["0 filled", "1 open +", "1 partially_filled +"]
    replayed(sandbox)


def test_what_the_account_cannot_pay_for_is_refused_and_nothing_else_of_a_batch(sandbox: World) -> None:
    """Each order alone would do; together they need more than it owns."""
    lines = [("buy 60 @ 100", "sim-fill-1"), ("buy 60 @ 100", "sim-fill-2"), ("buy 1 @ 99", "plain")]
    fund(sandbox.alice.user, USD="100000")
    results = batch(sandbox, sandbox.alice, lines)
    assert [each["code"] for each in results] == [202, 400, 202], results
    assert (results[1]["error"], "BTC" in results[1]["message"]) == ("SANDBOX_FATE_IMPOSSIBLE", True)
    sandbox.match()
    assert sandbox.alice.holds("BTC") == "60 0"
    replayed(sandbox)


def test_the_account_opens_no_more_orders_than_others_may(sandbox: World) -> None:
    assert sandbox.staff.call("PATCH", f"/markets/{sandbox.symbol}", {"maxOpenOrders": 1}).status_code == 200
    assert sandbox.place(sandbox.alice, "buy 1 @ 100", clientOrderId="sim-fill-1").status_code == 202
    refused = sandbox.place(sandbox.bob, "sell 1 @ 101", clientOrderId="sim-fill-1")
    assert (refused.status_code, refused.body["error"]) == (400, "SANDBOX_FATE_IMPOSSIBLE"), refused.body


@pytest.mark.parametrize(
    ("book", "line"),
    [
        # The last price is 100, and others have gone far away from it.
        (("buy 1 @ 150",), "buy 1 @ market"),
        (("sell 1 @ 60",), "sell 1 @ market"),
        # There is no price below the best ask.
        (("sell 1 @ 0.01",), "sell 1 @ market"),
        # Step by step a user could lead the last price away, but for the others' orders.
        (("buy 1 @ 89", "sell 1 @ 91"), "buy 1 @ 100"),
        (("buy 1 @ 89", "sell 1 @ 91"), "sell 1 @ 100"),
    ],
)
def test_no_fate_trades_far_from_where_the_market_is(sandbox: World, book: tuple[str, ...], line: str) -> None:
    sandbox.play(sandbox.bob, "sell 1 @ 100")
    sandbox.play(sandbox.alice, "buy 1 @ 100")
    for each in book:
        sandbox.play(sandbox.alice if each.startswith("buy") else sandbox.bob, each)
    refused = sandbox.place(sandbox.bob if line.startswith("sell") else sandbox.alice, line, clientOrderId="sim-fill-1")
    assert (refused.status_code, refused.body["error"]) == (400, "SANDBOX_FATE_IMPOSSIBLE"), refused.body


@pytest.mark.parametrize("how", ["kill", "limits"])
def test_an_account_that_operators_have_stopped_fills_nothing(sandbox: World, how: str) -> None:
    path = f"/users/{sandbox_account().pk}/{how}"
    if how == "kill":
        stopped = sandbox.staff.call("POST", path, {"reason": "test"})
    else:
        stopped = sandbox.staff.call("PATCH", path, {"openNotional": {"USD": "50"}})
    assert stopped.status_code == 200, stopped.body
    refused = sandbox.place(sandbox.alice, "buy 1 @ 100", clientOrderId="sim-fill-1")
    assert (refused.status_code, refused.body["error"]) == (400, "SANDBOX_FATE_IMPOSSIBLE"), refused.body
    assert not Order.objects.exists()


def batch(world: World, who: Person, lines: list[tuple[str, str]]) -> Any:
    orders = [parse(line).body(world.symbol, clientOrderId=name) for line, name in lines]
    return who.call("POST", "/orders/batch", {"orders": orders}).body["data"]["results"]


def trades(world: World) -> list[Any]:
    return list(Trade.objects.filter(market=world.symbol).order_by("sequence"))
