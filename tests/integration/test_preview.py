"""What would become of an order, over HTTP: compared with what then becomes of it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from base.web.errors import MarketBusy
from matching import preview as previews
from orders import terms
from orders.models import Order
from tests.support.signing import Signer
from tests.support.tape import parse
from tests.support.world import Person, World, fund, outcome, stored_rows

pytestmark = pytest.mark.dialect


def preview(world: World, who: Person, line: str, **more: Any) -> dict[str, Any]:
    before = stored_rows()
    answer = who.call("POST", "/orders/preview", {**parse(line).body(world.symbol), **more})
    assert (answer.status_code, stored_rows()) == (200, before), answer.body
    told: dict[str, Any] = answer.body["data"]
    return told


def errors(told: dict[str, Any]) -> str:
    assert (told["status"], told["fills"], told["balancesAfter"]) == (None, [], [])
    return ", ".join(f"{each['field']} {each['error']}" for each in told["errors"])


def owned(who: Person) -> list[str]:
    return [f"{code} {who.holds(code)}" for code in ("BTC", "USD")]


LINES = (
    "buy 1.5 @ 101",
    "buy 1 @ 90",
    "buy 2 @ market",
    "buy market 150 quote",
    "buy 9 @ 101 ioc",
    "buy 3 @ 101 fok",
    "buy 2 @ 101 fok",
    "buy 1 @ 100 post-only",
    "buy 4 @ 110 none",
    "buy 4 @ 110 expire-maker",
    "buy 4 @ 110 decrement",
    "sell 0.5 @ market",
    "buy 1 @ market stop 120",
    "buy 1 @ market stop 95",
    "buy 4 @ 99 show 1",
)


@pytest.mark.django_db
@pytest.mark.parametrize("line", LINES)
def test_it_tells_what_becomes_of_the_order(line: str) -> None:
    """In a market with fees and a last price, where the caller has orders of their own."""
    world = World.make(taker_fee_rate=Decimal("0.002"), maker_fee_rate=Decimal("0.001"), price_band=Decimal("0.3"))
    fund(world.alice.user, BTC="3")
    for who, made in (
        (world.bob, "sell 1 @ 100"),
        (world.bob, "sell 1.25 @ 101"),
        (world.alice, "sell 1 @ 102"),
        (world.bob, "sell 5 @ 103"),
        (world.alice, "buy 1 @ 98"),
        (world.bob, "sell 0.1 @ 98"),
    ):
        world.play(who, made)
    told = preview(world, world.alice, line)
    order = world.play(world.alice, line)
    names = ("status", "reason", "filledQuantity", "averagePrice", "filledQuote")
    assert {name: told[name] for name in names} == {name: order[name] for name in names}
    fills = world.alice.get(f"/orders/{order['orderId']}/trades")
    taken = [fill for fill in fills if fill["role"] == "TAKER"]
    shown = ("price", "quantity", "fee", "feeCurrency", "role")
    assert told["fills"] == [{name: fill[name] for name in shown} for fill in taken]
    after = {each["currency"]: each for each in told["balancesAfter"]}
    assert [
        f"{code} {after[code]['availableBalance']} {after[code]['frozenBalance']}" for code in ("BTC", "USD")
    ] == owned(world.alice)
    assert told["errors"] == []


def test_what_would_be_refused_is_told_as_errors(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.play(world.alice, "buy 1 @ 90", clientOrderId="mine")
    alice, bob = world.alice, world.bob
    assert errors(preview(world, alice, "buy 1 @ 90.001")) == "price PRICE_OFF_TICK"
    assert (
        errors(preview(world, alice, "buy 1 @ 90", postOnly=1, side="x"))
        == "side INVALID_CHOICE, postOnly BOOLEAN_REQUIRED"
    )
    assert errors(preview(world, alice, "buy 1 @ 90", symbol="XRP-USD")) == "symbol MARKET_NOT_FOUND"
    assert errors(preview(world, alice, "buy 1000 @ 90")) == "quantity INSUFFICIENT_FUNDS"
    assert errors(preview(world, bob, "buy 1 @ market")) == "quantity INSUFFICIENT_FUNDS"
    assert errors(preview(world, alice, "buy 1 @ 90", clientOrderId="mine")) == "clientOrderId CLIENT_ORDER_ID_REUSED"
    assert (
        errors(preview(world, alice, "buy 1 @ 90 gtd", expiresAt="2026-01-01T00:00:00Z")) == "expiresAt EXPIRY_TOO_SOON"
    )
    alice.user.is_blocked = True
    alice.user.save()
    assert errors(preview(world, alice, "buy 1 @ 90")) == "userId ACCOUNT_BLOCKED"

    def busy(_: str) -> None:
        raise MarketBusy("busy")

    monkeypatch.setattr(terms, "refuse_when_busy", busy)
    assert errors(preview(world, bob, "sell 1 @ 90")) == "symbol MARKET_BUSY"
    world.switch("HALTED")
    world.match()
    assert errors(preview(world, bob, "sell 1 @ 90")) == "symbol MARKET_NOT_TRADING"


def test_nobody_looks_into_anothers_account(world: World) -> None:
    body = parse("buy 1 @ 90").body(world.symbol, userId=world.alice.user.id)
    assert world.alice.call("POST", "/orders/preview", body).status_code == 200
    for who in (world.bob, world.staff):
        assert who.call("POST", "/orders/preview", body).body["error"] == "NOT_YOUR_ACCOUNT"
    reader = Signer.of(world.alice, "read")
    assert reader.told("POST", "/orders/preview", body) == "200"


def test_no_more_is_read_than_it_needs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "READINGS", (2, 4))
    for price in (100, 101, 101, 102, 103, 104):
        world.play(world.bob, f"sell 0.5 @ {price}")
    assert preview(world, world.alice, "buy 0.5 @ market")["filledQuantity"] == "0.5"
    assert preview(world, world.alice, "buy 1.5 @ market")["filledQuote"] == "151"
    assert errors(preview(world, world.alice, "buy 3 @ market")) == "quantity TOO_MANY_FILLS"
    assert preview(world, world.alice, "buy 2 @ market")["filledQuote"] == "202"
    assert errors(preview(world, world.alice, "buy 2.5 @ 105 fok")) == "quantity TOO_MANY_FILLS"
    assert preview(world, world.alice, "buy 3 @ 101")["status"] == "PARTIALLY_FILLED"
    with CaptureQueriesContext(connection) as statements:
        preview(world, world.alice, "buy 1 @ 90")
    assert not [each for each in statements if "FOR UPDATE" in each["sql"] or "INSERT" in each["sql"]]
    assert outcome(world.play(world.alice, "buy 0.5 @ market")) == "0 filled"
    assert Order.objects.filter(status="OPEN").count() == 5


def test_many_orders_at_the_best_price_are_met_in_their_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are read: those that came first are the ones that a small order meets."""
    monkeypatch.setattr(previews, "READINGS", (2, 4))
    fund(world.bob.user, BTC="20")
    first = world.play(world.bob, "sell 1 @ 100")["orderId"]
    world.play(world.bob, "sell 2 @ 100", displayQuantity="1")
    for _ in range(4):
        world.play(world.bob, "sell 1 @ 100")
    # It goes to the end of the level.
    world.bob.call("PATCH", f"/orders/{first}", {"quantity": "1.5"})
    world.match()
    for line, filled in (("buy 1 @ market", "1"), ("buy 2 @ 100 ioc", "2")):
        assert preview(world, world.alice, line)["filledQuantity"] == filled
    # What the iceberg hides stands behind orders that are not read.
    for line in ("buy 3.5 @ market", "buy 5 @ market", "buy 4 @ 100 fok"):
        assert errors(preview(world, world.alice, line)) == "quantity TOO_MANY_FILLS"
    world.play(world.alice, "buy 2 @ market")
    assert preview(world, world.alice, "buy 1 @ market")["filledQuantity"] == "1"


def test_the_book_may_change_between_its_two_readings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders at the last price that was read leave it, or come to it from a better one."""
    monkeypatch.setattr(previews, "READINGS", (3, 5))
    read, meanwhile = previews._values, list[Callable[[], Any]]()

    def values(orders: Any) -> Any:
        rows = list(read(orders))
        if meanwhile:
            meanwhile.pop()()
        return rows

    def amended() -> None:
        world.bob.call("PATCH", f"/orders/{first}", {"price": "101"})
        world.match()
        world.play(world.bob, "sell 0.5 @ 101")

    def cancelled() -> None:
        world.bob.call("DELETE", f"/orders?symbol={world.symbol}")
        world.match()

    monkeypatch.setattr(previews, "_values", values)
    first, *_ = (world.play(world.bob, f"sell 0.5 @ {price}")["orderId"] for price in (100, 100, 100, 101))
    for change, filled in ((amended, "2.5"), (cancelled, "0")):
        meanwhile.append(change)
        answer = world.alice.call("POST", "/orders/preview", parse("buy 2.5 @ market").body(world.symbol))
        assert (answer.status_code, answer.body["data"]["filledQuantity"]) == (200, filled), answer.body
