"""Many orders in one call: each is accepted or refused on its own, as if they had come one after the other."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from balances import services as balances
from base.web.answers import MAX_BYTES
from commands import queue
from commands.models import Command
from markets.services import create_market
from orders import placing
from orders.models import Order
from tests.support.tape import parse
from tests.support.world import Person, World, fund, stored_rows

pytestmark = pytest.mark.dialect


def send(world: World, who: Person, *orders: Any) -> Any:
    """POST /orders/batch of lines of the tape, or of bodies as they are."""
    bodies = [parse(order).body(world.symbol) if isinstance(order, str) else order for order in orders]
    return who.call("POST", "/orders/batch", {"orders": bodies})


def body(world: World, line: str, **more: Any) -> dict[str, Any]:
    return {**parse(line).body(world.symbol), **more}


def told(answer: Any) -> list[str]:
    """What became of each: "accepted", "replayed", or the code of its refusal."""
    assert answer.status_code == 202, answer.body
    return [_told(result) for result in answer.body["data"]["results"]]


def _told(result: dict[str, Any]) -> str:
    if "error" in result:
        assert set(result) == {"code", "error", "message", "data"}
        assert 400 <= result["code"] < 500
        return str(result["error"])
    assert set(result) == {"code", "orderId", "clientOrderId", "status", "message", "correlationId", "replayed"}
    assert (result["code"], result["status"]) == (202, "PENDING")
    return "replayed" if result["replayed"] else "accepted"


def ids(answer: Any) -> list[int | None]:
    return [result.get("orderId") for result in answer.body["data"]["results"]]


def in_threads(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Call it that often at the same moment."""
    start = Barrier(count)

    def run(number: int) -> Any:
        try:
            start.wait()
            return call(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_accepted_and_refused_side_by_side(world):
    answer = send(
        world,
        world.alice,
        "buy 1 @ 100",
        "sell 1 @ 100",
        "buy 1 @ 100.001",
        body(world, "buy 1 @ 100", symbol="DOGE-USD"),
        body(world, "buy 1 @ 100", side="UP", quantity=1),
        17,
        body(world, "buy 1 @ 100", userId=world.bob.user.id),
        body(world, "buy 1 @ 100", userId=world.alice.user.id),
        "buy 2 @ 99 post-only",
    )
    assert told(answer) == [
        "accepted",
        "INSUFFICIENT_FUNDS",
        "PRICE_OFF_TICK",
        "MARKET_NOT_FOUND",
        "VALIDATION_FAILED",
        "OBJECT_REQUIRED",
        "NOT_YOUR_ACCOUNT",
        "accepted",
        "accepted",
    ]
    assert world.alice.holds("USD") == "9602 398"
    world.match()
    assert world.depth() == "2@100 2@99 |"


def test_a_refusal_is_told_as_the_single_call_tells_it(world):
    for line in ("buy 1 @ 100.001", "buy 101 @ 100"):
        single, (result,) = world.place(world.alice, line).body, send(world, world.alice, line).body["data"]["results"]
        assert result == {name: single[name] for name in ("code", "error", "message", "data")}


@pytest.mark.parametrize("count", [1, 2, 100])
def test_ids_are_those_of_the_stored_orders(world, count):
    placed = ids(send(world, world.alice, *[f"buy 0.01 @ {100 + number}" for number in range(count)]))
    prices = dict(Order.objects.values_list("id", "price"))
    assert [prices[order_id] for order_id in placed] == [100 + number for number in range(count)]
    assert placed == sorted(placed)
    assert list(Command.objects.order_by("id").values_list("order_id", flat=True)) == placed


def test_ids_that_the_server_gives_by_other_steps(world):
    if connection.vendor != "mysql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION auto_increment_increment = 7, auto_increment_offset = 3")
        try:
            placed = ids(send(world, world.alice, "buy 1 @ 7", "buy 1 @ 5", "buy 1 @ 9"))
        finally:
            cursor.execute("SET SESSION auto_increment_increment = 1, auto_increment_offset = 1")
    prices = dict(Order.objects.values_list("id", "price"))
    assert [prices[order_id] for order_id in placed] == [7, 5, 9]


def test_funds_that_run_out_in_the_middle(world):
    """A MARKET BUY is refused where nothing is left in its turn, and accepted where something is."""
    lines = ["buy 60 @ 100", "buy 41 @ 100", "buy 1 @ market", "buy 40 @ 100", "buy 1 @ 1", "buy 1 @ market"]
    answer = send(world, world.alice, *lines)
    refused = "INSUFFICIENT_FUNDS"
    assert told(answer) == ["accepted", refused, "accepted", "accepted", refused, refused]
    assert answer.body["data"]["results"][-1]["data"] == {"currency": "USD", "available": "0"}
    assert world.alice.holds("USD") == "0 10000"


def test_each_pays_out_of_its_own_balance(world):
    fund(world.alice.user, BTC="1")
    answer = send(world, world.alice, "buy 100 @ 100", "sell 1 @ 100", "sell 0.0001 @ 100", "buy market 1 quote")
    assert told(answer) == ["accepted", "accepted", "INSUFFICIENT_FUNDS", "INSUFFICIENT_FUNDS"]
    assert (world.alice.holds("USD"), world.alice.holds("BTC")) == ("0 10000", "0 1")


def test_the_same_key_twice_in_one_batch(world):
    answer = send(
        world,
        world.alice,
        body(world, "buy 1 @ 100", clientOrderId="k"),
        body(world, "buy 1.0 @ 100.00", clientOrderId="k"),
        body(world, "buy 2 @ 100", clientOrderId="k"),
        body(world, "buy 2 @ 100", clientOrderId="K"),
    )
    assert told(answer) == ["accepted", "replayed", "CLIENT_ORDER_ID_REUSED", "accepted"]
    first, again, other, _ = answer.body["data"]["results"]
    assert {**again, "replayed": False} == first
    assert other["data"] == {"field": "clientOrderId", "orderId": first["orderId"]}
    assert Order.objects.count() == Command.objects.count() == 2


def test_a_key_that_was_refused_is_still_free(world):
    answer = send(
        world,
        world.alice,
        body(world, "buy 1 @ 100.001", clientOrderId="k"),
        body(world, "buy 101 @ 100", clientOrderId="k"),
        body(world, "buy 1 @ 100", clientOrderId="k"),
    )
    assert told(answer) == ["PRICE_OFF_TICK", "INSUFFICIENT_FUNDS", "accepted"]


def test_a_whole_batch_sent_again(world):
    orders = [body(world, f"buy 1 @ {100 + number}", clientOrderId=f"k-{number}") for number in range(5)]
    first = send(world, world.alice, *orders)
    before = stored_rows()
    again = send(world, world.alice, *orders)
    assert (told(first), told(again)) == (["accepted"] * 5, ["replayed"] * 5)
    assert ids(first) == ids(again)
    assert stored_rows() == before
    assert world.alice.holds("USD") == "9490 510"


def test_known_keys_among_new_ones(world):
    single = world.place(world.alice, "buy 1 @ 100", clientOrderId="k-1").body["data"]
    answer = send(
        world,
        world.alice,
        body(world, "buy 1 @ 99", clientOrderId="k-0"),
        body(world, "buy 1 @ 100", clientOrderId="k-1"),
        body(world, "buy 3 @ 100", clientOrderId="k-1"),
        "buy 1 @ 98",
    )
    assert told(answer) == ["accepted", "replayed", "CLIENT_ORDER_ID_REUSED", "accepted"]
    assert ids(answer)[1] == single["orderId"]
    assert world.alice.holds("USD") == "9703 297"


def test_a_known_key_answers_though_nothing_could_be_placed_now(world):
    """Neither the funds nor the market's rules are asked for what is stored already."""
    order = body(world, "buy 100 @ 100", clientOrderId="k")
    first = send(world, world.alice, order)
    poor = send(world, world.alice, order, "buy 1 @ 1")
    world.staff.call("PATCH", "/markets/BTC-USD", {"status": "CANCEL_ONLY"})
    halted = send(world, world.alice, "buy 1 @ 1", order)
    single = world.place(world.alice, "buy 100 @ 100", clientOrderId="k")
    assert told(poor) == ["replayed", "INSUFFICIENT_FUNDS"]
    assert told(halted) == ["MARKET_NOT_TRADING", "replayed"]
    assert ids(first) == ids(poor)[:1] == ids(halted)[1:] == [single.body["data"]["orderId"]]


def test_nothing_is_stored_and_nobody_rung_when_all_are_refused(world, monkeypatch, django_capture_on_commit_callbacks):
    rung = []
    monkeypatch.setattr(queue, "ring_now", rung.append)
    before = stored_rows()
    with django_capture_on_commit_callbacks(execute=True):
        answer = send(world, world.carol, "buy 1 @ 100", "sell 1 @ 100", body(world, "buy 1 @ 1", clientOrderId="k"))
    assert told(answer) == ["INSUFFICIENT_FUNDS"] * 3
    assert stored_rows() == before
    assert rung == []


def test_one_bell_for_each_market(world, monkeypatch, django_capture_on_commit_callbacks):
    create_market(symbol="ETH-USD", base="ETH", quote="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
    rung = []
    monkeypatch.setattr(queue, "ring_now", rung.append)
    orders = [body(world, f"buy 1 @ {1 + number}", symbol=("ETH-USD", "BTC-USD")[number % 2]) for number in range(10)]
    with django_capture_on_commit_callbacks(execute=True):
        answer = send(world, world.alice, *orders)
    assert told(answer) == ["accepted"] * 10
    assert rung == ["BTC-USD", "ETH-USD"]
    assert list(Order.objects.order_by("id").values_list("market_id", flat=True)) == ["ETH-USD", "BTC-USD"] * 5


def test_staff_place_for_others(world):
    alice, bob = world.alice.user.id, world.bob.user.id
    answer = send(
        world,
        world.staff,
        body(world, "sell 1 @ 100", userId=bob),
        body(world, "buy 1 @ 100", userId=alice),
        body(world, "buy 1 @ 100", userId=987654),
        body(world, "buy 1 @ 100", userId=bob),
    )
    assert told(answer) == ["accepted", "accepted", "USER_NOT_FOUND", "INSUFFICIENT_FUNDS"]
    world.match()
    assert world.alice.holds("BTC") == "1 0"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({}, "FIELD_REQUIRED"),
        ({"orders": None}, "FIELD_REQUIRED"),
        ({"orders": {}}, "LIST_REQUIRED"),
        ({"orders": "buy"}, "LIST_REQUIRED"),
        ({"orders": []}, "LIST_EMPTY"),
        ({"orders": [{}] * 101}, "LIST_TOO_LONG"),
        ({"orders": [{}], "symbol": "BTC-USD"}, "FIELD_UNKNOWN"),
        ([], "MALFORMED_BODY"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_no_batch(world, sent, error):
    before = stored_rows()
    answer = world.alice.call("POST", "/orders/batch", sent)
    assert (answer.status_code, answer.body["error"]) == (400, error)
    assert stored_rows() == before


@pytest.mark.parametrize("item", [None, 1, "x", [], [[]], True])
def test_items_that_are_no_objects(world, item):
    answer = world.alice.call("POST", "/orders/batch", {"orders": [body(world, "buy 1 @ 1"), item]})
    assert told(answer) == ["accepted", "OBJECT_REQUIRED"]
    assert answer.body["data"]["results"][1]["data"] == {"field": "orders[1]"}


def test_the_longest_batch_fits(world):
    """A hundred orders with every field as long as it may be, printed for people to read."""
    longest = {"symbol": "X" * 33, "side": "SELL", "type": "MARKET", "timeInForce": "GTC", "postOnly": False}
    longest |= dict.fromkeys(("price", "quantity", "quoteQuantity"), "123456789012.12345678")
    longest |= {"clientOrderId": "k" * 64, "selfTradePrevention": "EXPIRE_TAKER", "userId": 2**63 - 1}
    text = json.dumps({"orders": [longest] * 100}, indent=2)
    assert len(text) < MAX_BYTES
    assert told(world.alice.call("POST", "/orders/batch", text)) == ["VALIDATION_FAILED"] * 100


def test_funds_that_do_not_suffice_for_all(world, monkeypatch):
    """The guard of the balance's update finds it, and the second decision is made on locked balances."""
    calls = []
    real = placing.lock_available
    monkeypatch.setattr(placing, "lock_available", lambda keys: calls.append(keys) or real(keys))
    answer = send(world, world.alice, "buy 60 @ 100", "buy 60 @ 100", "buy 40 @ 100")
    assert told(answer) == ["accepted", "INSUFFICIENT_FUNDS", "accepted"]
    assert calls == [{(world.alice.user.id, "USD")}]
    placed = [order_id for order_id in ids(answer) if order_id]
    assert sorted(Order.objects.values_list("id", flat=True)) == placed


def test_a_guard_that_never_holds_ends(world, monkeypatch):
    monkeypatch.setattr(placing, "lock_available", lambda keys: dict.fromkeys(keys, Decimal(1_000_000)))
    before = stored_rows()
    answer = world.alice.call("POST", "/orders/batch", {"orders": [body(world, "buy 101 @ 100")]})
    assert (answer.status_code, answer.body["error"]) == (503, "UNAVAILABLE")
    assert stored_rows() == before


def test_batches_that_race_for_the_same_funds(transactional_db):
    """Six batches of 4000 each for 10000: all of it is reserved, and not a cent more."""
    world = World.make()
    answers = in_threads(6, lambda _: told(send(world, world.alice, *["buy 1 @ 100"] * 40)))
    results = [result for answer in answers for result in answer]
    assert set(results) == {"accepted", "INSUFFICIENT_FUNDS"}
    assert results.count("accepted") == Order.objects.count() == Command.objects.count() == 100
    assert world.alice.holds("USD") == "0 10000"


def test_balances_are_changed_in_one_order_whatever_was_asked_first(world, monkeypatch):
    """Of two batches that lock the same balances one waits for the other, and never each for each."""
    fund(world.alice.user, BTC="2")
    changed = []
    real = balances.freeze
    monkeypatch.setattr(balances, "freeze", lambda *one: changed.append(one[1]) or real(*one))
    send(world, world.alice, "buy 1 @ 1", "sell 1 @ 9")
    send(world, world.alice, "sell 1 @ 9", "buy 1 @ 1")
    assert changed == ["BTC", "USD"] * 2


def test_the_same_batch_sent_by_several_at_once(transactional_db):
    world = World.make()
    orders = [body(world, f"buy 1 @ {100 + number}", clientOrderId=f"k-{number}") for number in range(10)]

    def call(number: int) -> Any:
        # Half of them in another order, which is what a deadlock needs.
        return number, send(world, world.alice, *(orders if number % 2 else orders[::-1]))

    answers = [ids(answer) if number % 2 else ids(answer)[::-1] for number, answer in in_threads(6, call)]
    assert all(answer == answers[0] for answer in answers)
    assert Order.objects.count() == Command.objects.count() == 10


def test_who_is_not_signed_in_places_nothing(world):
    world.carol.client.credentials()
    assert send(world, world.carol, "buy 1 @ 1").body["error"] == "NOT_AUTHENTICATED"
