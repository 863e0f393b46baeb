"""Cancels by key, by side and in batches, over HTTP."""

from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from base.storage.breakers import forget_breakers
from base.web.ratelimit import meter
from base.web.ratelimit.windows import LocalWindow
from commands.models import Command
from tests.support.signing import Signer
from tests.support.world import Person, World, outcome, stored_rows
from users.models import StaffAct

pytestmark = pytest.mark.dialect


def told(answer: Any) -> str:
    return f"{answer.status_code} {answer.body.get('error', '')}".strip()


def batch(who: Person, *order_ids: Any, keys: tuple[Any, ...] = ()) -> Any:
    return who.call("POST", "/orders/batch-cancel", {"orderIds": list(order_ids), "clientOrderIds": list(keys)})


def results(answer: Any) -> list[str]:
    """What became of each: "17 202", or with the error "bot-1 409 ORDER_CLOSED"."""
    assert answer.status_code == 202, answer.body
    found = answer.body["data"]["results"]
    return [
        " ".join(map(str, (each.get("orderId") or each["clientOrderId"], each["code"], each.get("error", "")))).strip()
        for each in found
    ]


def test_an_order_is_cancelled_by_its_key(world: World) -> None:
    world.play(world.alice, "buy 1 @ 90", clientOrderId="mine")
    assert told(world.bob.call("DELETE", "/orders/client/mine")) == "404 ORDER_NOT_FOUND"
    accepted = world.alice.call("DELETE", "/orders/client/mine")
    assert told(accepted) == "202"
    assert accepted.body["data"] == {
        "orderId": world.alice.get("/orders/client/mine")["orderId"],
        "status": "OPEN",
        "message": "Cancel accepted for processing",
    }
    world.match()
    assert outcome(world.alice.get("/orders/client/mine")) == "1 cancelled user_cancelled"
    assert told(world.alice.call("DELETE", "/orders/client/mine")) == "409 ORDER_CLOSED"
    assert told(world.alice.call("DELETE", "/orders/client/other")) == "404 ORDER_NOT_FOUND"


def test_staff_name_the_user_and_leave_an_act(world: World) -> None:
    order_id = world.play(world.alice, "buy 1 @ 90", clientOrderId="mine")["orderId"]
    clerk, path = world.clerk("orders.cancel_for_others"), f"/orders/client/mine?userId={world.alice.user.id}"
    assert told(clerk.call("DELETE", "/orders/client/mine")) == "404 ORDER_NOT_FOUND"
    assert told(clerk.call("DELETE", path)) == "202"
    [act] = StaffAct.objects.all()
    assert (act.kind, act.user_id, act.details) == ("ORDERS_CANCELLED", world.alice.user.id, {"orderId": order_id})


def test_one_side_is_cancelled(world: World) -> None:
    world.play(world.bob, "sell 1 @ 110")
    bought = world.play(world.alice, "buy 1 @ 110")
    assert outcome(bought) == "0 filled"
    world.play(world.alice, "buy 1 @ 90")
    world.play(world.alice, "sell 0.5 @ 120")
    assert told(world.alice.call("DELETE", "/orders?side=sell")) == "400 INVALID_CHOICE"
    sold = world.alice.call("DELETE", f"/orders?symbol={world.symbol}&side=SELL")
    assert sold.body["data"] == {"cancelled": 1}
    world.match()
    assert world.depth() == "1@90 |"
    assert world.alice.call("DELETE", "/orders?side=BUY").body["data"] == {"cancelled": 1}
    world.match()
    assert world.depth() == "|"


def test_a_batch_of_cancels_has_a_result_for_each(world: World) -> None:
    first, second = (world.play(world.alice, f"buy 1 @ {price}")["orderId"] for price in (90, 91))
    closed = world.play(world.alice, "buy 1 @ 89 ioc")["orderId"]
    keyed = world.play(world.alice, "buy 1 @ 88", clientOrderId="k")["orderId"]
    others = world.play(world.bob, "sell 1 @ 120", clientOrderId="b")["orderId"]
    answer = batch(world.alice, second, others, str(first), closed, 999, keys=("k", "b", "k"))
    assert results(answer) == [
        f"{second} 202",
        f"{others} 404 ORDER_NOT_FOUND",
        f"{first} 202",
        f"{closed} 409 ORDER_CLOSED",
        "999 404 ORDER_NOT_FOUND",
        "k 202",
        "b 404 ORDER_NOT_FOUND",
        "k 202",
    ]
    assert sorted(Command.objects.values_list("order_id", flat=True)) == [first, second, keyed]
    assert results(batch(world.alice, first)) == [f"{first} 202"], "it waits already"
    assert Command.objects.count() == 3
    world.match()
    assert world.depth() == "| 1@120"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "LIST_EMPTY"),
        ({"orderIds": [], "clientOrderIds": None}, "LIST_EMPTY"),
        ({"orderIds": [1], "userId": 1}, "FIELD_UNKNOWN"),
        ({"orderIds": 1}, "LIST_REQUIRED"),
        ({"orderIds": ["x"]}, "INVALID_ID"),
        ({"clientOrderIds": ["a b"]}, "INVALID_FORMAT"),
        ({"clientOrderIds": [17]}, "STRING_REQUIRED"),
        ({"orderIds": list(range(1, 102))}, "LIST_TOO_LONG"),
        ({"orderIds": list(range(1, 61)), "clientOrderIds": [f"k{number}" for number in range(41)]}, "LIST_TOO_LONG"),
    ],
    ids=str,
)
def test_a_batch_that_is_none_is_refused_as_a_whole(world: World, body: dict[str, Any], error: str) -> None:
    world.play(world.alice, "buy 1 @ 90")
    before = stored_rows()
    assert told(world.alice.call("POST", "/orders/batch-cancel", body)) == f"400 {error}"
    assert stored_rows() == before


def test_a_hundred_cancels_are_few_statements(world: World) -> None:
    ids = [world.play(world.alice, "buy 0.01 @ 90")["orderId"] for _ in range(3)]
    world.alice.call("GET", "/time")
    with CaptureQueriesContext(
        connection,
    ) as few:
        batch(world.alice, *ids[:1], *range(900, 950), keys=("a",))
    with CaptureQueriesContext(connection) as many:
        batch(world.alice, *ids[1:], *range(900, 997), keys=("a",))
    assert len(many) == len(few) <= 8


def test_a_batch_is_one_cancel_and_no_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_window", LocalWindow(lambda: 0.0))
    ids = [world.place(world.alice, "buy 0.01 @ 90").body["data"]["orderId"] for _ in range(2)]
    with override_settings(RATE_LIMIT=1):
        assert told(world.alice.call("GET", "/orders")) == "200"
        assert told(batch(world.alice, *ids)) == "202"
        refused = batch(world.alice, *ids)
        assert (told(refused), refused.body["data"]["bucket"]) == ("429 TOO_MANY_REQUESTS", "cancels")


def test_a_key_cancels_while_redis_is_away(world: World) -> None:
    order_id = world.play(world.alice, "buy 1 @ 90")["orderId"]
    key = Signer.of(world.alice, "read", "trade")
    with override_settings(REDIS_URL="redis://127.0.0.1:1/1"):
        forget_breakers()
        assert key.told("POST", "/orders", {}) == "503 UNAVAILABLE"
        assert key.told("POST", "/orders/batch-cancel", {"orderIds": [order_id]}) == "202"
        assert key.told("DELETE", "/orders?side=BUY") == "202"
    world.match()
    assert world.depth() == "|"
