"""Faults that an account orders for itself: the same seed, the same run; each is told; what was lost is stored once."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from base.web.accounts import Credential
from base.web.authentication import Caller
from exchange.socket_calls import SocketUsers
from orders.models import Order
from orders.waiting import Place
from sandbox.middleware import DELAYS_AT_ONCE, _delays
from tests.support.binance import Bot, summary_of
from tests.support.signing import Signer
from tests.support.tape import parse
from tests.support.world import World, stored_rows
from users.models import StaffAct


@pytest.fixture
def sandbox(settings: Any, db: None) -> World:
    settings.SANDBOX = True
    return World.make()


def order_faults(world: World, **plan: int) -> None:
    assert world.alice.call("PUT", "/sandbox/faults", {"seed": 7, **plan}).status_code == 200


def run_of(world: World, number: int = 12) -> list[tuple[int, str]]:
    answers = [world.alice.call("DELETE", "/orders/1") for _ in range(number)]
    assert [answer["X-Sandbox-Request"] for answer in answers] == [str(each + 1) for each in range(number)]
    return [(answer.status_code, answer.headers.get("X-Sandbox-Fault", "")) for answer in answers]


def test_the_same_seed_gives_the_same_run_and_another_one_another(sandbox: World) -> None:
    plan = {"tooManyPercent": 30, "lostAnswerPercent": 30, "delayPercent": 30, "delayMs": 1}
    runs = []
    for seed in (7, 7, 8):
        order_faults(sandbox, **{**plan, "seed": seed})
        runs.append(run_of(sandbox))
    assert runs[0] == runs[1] != runs[2]
    assert {(429, "too-many"), (503, "lost-answer"), (404, "")} <= set(runs[0])
    assert sandbox.alice.get("/sandbox/faults") == {
        "seed": 8, "delayMs": 1, "delayPercent": 30, "tooManyPercent": 30, "lostAnswerPercent": 30, "rejectPercent": 0,
        "cutPercent": 0, "duplicatePercent": 0, "lateMs": 0, "latePercent": 0,
    }  # fmt: skip


def test_a_lost_answer_is_of_an_order_that_is_stored_once(sandbox: World) -> None:
    order_faults(sandbox, lostAnswerPercent=100, rejectPercent=0)
    lost = [sandbox.place(sandbox.alice, "buy 1 @ 100", clientOrderId="mine") for _ in range(3)]
    assert {(each.status_code, each.body["error"], each["X-Sandbox-Fault"]) for each in lost} == {
        (503, "UNAVAILABLE", "lost-answer")
    }
    assert Order.objects.count() == 1
    # Of a repetition the sandbox does not say that nothing was stored.
    order_faults(sandbox, rejectPercent=100)
    repeated = sandbox.place(sandbox.alice, "buy 1 @ 100", clientOrderId="mine")
    assert (repeated.status_code, repeated["Idempotent-Replayed"]) == (202, "true")
    assert sandbox.alice.holds("USD") == "9900 100"


@pytest.mark.parametrize("percent", [0, 100])
def test_a_lost_answer_is_not_found_again_by_waiting_for_the_outcome(sandbox: World, percent: int) -> None:
    order_faults(sandbox, lostAnswerPercent=percent)
    place, order = Place(), json.dumps(parse("buy 1 @ 100").body(sandbox.symbol))
    scope = {"asgi.scope": place.scope()}
    sandbox.alice.client.generic("POST", "/api/v1/orders?wait=500", order, "application/json", **scope)
    assert Order.objects.count() == 1
    assert (place.order_id is None) is bool(percent)


def test_what_is_no_name_is_refused_with_or_without_faults(sandbox: World) -> None:
    order_faults(sandbox, rejectPercent=100)
    for key in ("\ud800", "\x00", "x" * 65, 7, ["a"], {}):
        refused = sandbox.place(sandbox.alice, "buy 1 @ 100", clientOrderId=key)
        assert (refused.status_code, refused.body["error"]) == (400, "SANDBOX_REJECT")


def test_a_refusal_stores_nothing_and_reading_is_not_lost(sandbox: World) -> None:
    order_faults(sandbox, rejectPercent=100, lostAnswerPercent=100)
    before = stored_rows()
    refused = sandbox.place(sandbox.alice, "buy 1 @ 100", clientOrderId="mine")
    assert (refused.status_code, refused.body["error"], refused["X-Sandbox-Fault"]) == (400, "SANDBOX_REJECT", "reject")
    assert stored_rows() == before
    order_faults(sandbox, tooManyPercent=100)
    refused = sandbox.place(sandbox.alice, "buy 1 @ 100")
    assert (refused.status_code, refused["Retry-After"]) == (429, "1")
    assert stored_rows() == before
    # Others are left alone, and so is who ends it.
    assert sandbox.place(sandbox.bob, "sell 1 @ 100").status_code == 202
    assert sandbox.alice.call("DELETE", "/sandbox/faults").status_code == 204
    assert sandbox.place(sandbox.alice, "buy 1 @ 100").status_code == 202


def test_a_key_has_faults_of_its_own_and_staff_order_them_for_others(sandbox: World) -> None:
    bot = Signer.of(sandbox.alice, "read", "trade")
    assert bot.call("PUT", "/sandbox/faults", {"seed": 1, "tooManyPercent": 100}).status_code == 200
    assert bot.call("GET", "/orders").status_code == 429
    assert sandbox.alice.call("GET", "/orders").status_code == 200
    bobs = f"/sandbox/faults/{sandbox.bob.user.id}"
    assert sandbox.alice.call("PUT", bobs, {"seed": 1}).status_code == 403
    clerk = sandbox.clerk("sandbox.set_faults")
    assert clerk.call("PUT", bobs, {"seed": 1, "tooManyPercent": 100}).status_code == 200
    assert sandbox.bob.call("GET", "/orders").status_code == 429
    act = StaffAct.objects.get(kind="FAULTS_CHANGED")
    assert (act.user_id, act.after["too_many_percent"]) == (sandbox.bob.user.id, 100)


def test_clients_of_binance_are_told_in_their_words(sandbox: World) -> None:
    bot = Bot.of(sandbox.alice)
    order_faults(sandbox, lostAnswerPercent=100)
    placed = {"newClientOrderId": "mine", "newOrderRespType": "ACK"}
    lost = bot.place("buy 1 @ 100", **placed)
    assert (summary_of(lost)[:9], lost["X-Sandbox-Fault"]) == ("503 -1007", "lost-answer")
    assert Order.objects.get().client_order_id == "mine"
    order_faults(sandbox, rejectPercent=100)
    assert bot.place("buy 1 @ 100", **placed).status_code == 200
    assert summary_of(bot.place("buy 1 @ 100", newOrderRespType="ACK"))[:9] == "400 -2010"
    order_faults(sandbox, tooManyPercent=100)
    assert summary_of(bot.call("GET", "account"))[:9] == "429 -1003"
    assert Order.objects.count() == 1


@pytest.mark.parametrize("path", ["order/oco", "orderList/oco"])
def test_a_repetition_by_the_names_of_its_legs_has_its_first_answer(sandbox: World, path: str) -> None:
    bot = Bot.of(sandbox.bob)
    shared = {"symbol": "BTCUSD", "side": "SELL", "quantity": "1", "newOrderRespType": "ACK"}
    group = {"limitClientOrderId": "a", "price": "110", "stopClientOrderId": "b", "stopPrice": "90"}
    if path == "orderList/oco":
        above = {"aboveType": "LIMIT_MAKER", "abovePrice": "110", "aboveClientOrderId": "a"}
        group = {**above, "belowType": "STOP_LOSS", "belowStopPrice": "90", "belowClientOrderId": "b"}
    assert bot.call("POST", path, **shared, **group).status_code == 200
    assert sandbox.bob.call("PUT", "/sandbox/faults", {"seed": 7, "rejectPercent": 100}).status_code == 200
    repeated = bot.call("POST", path, **shared, **group)
    assert repeated.status_code == 200, repeated.body
    assert Order.objects.count() == 2


def test_operations_of_a_websocket_are_told_in_the_answer() -> None:
    def wsgi(_environ: Any, start: Any) -> list[bytes]:
        start("503 Service Unavailable", [("X-Sandbox-Fault", "lost-answer")])
        return [b'{"code": 503}']

    request: Any = SimpleNamespace(meter=SimpleNamespace(origin=("127.0.0.1", "")), headers={})
    socket: Any = SimpleNamespace(request=request)
    answer = SocketUsers(wsgi).call(Caller(Credential(1), None), socket, "POST", "/api/v1/orders", {})
    assert answer == {"code": 503, "sandboxFault": "lost-answer"}


def test_a_delay_is_bounded_and_few_wait_at_once(sandbox: World) -> None:
    refused = sandbox.alice.call("PUT", "/sandbox/faults", {"seed": 1, "delayMs": 2001})
    assert (refused.status_code, refused.body["error"]) == (400, "OUT_OF_RANGE")
    order_faults(sandbox, delayMs=150, delayPercent=100)
    started = time.perf_counter()
    assert sandbox.alice.call("GET", "/orders")["X-Sandbox-Fault"] == "delay=150"
    assert time.perf_counter() - started > 0.15
    for _ in range(DELAYS_AT_ONCE):
        _delays.acquire()
    try:
        assert "X-Sandbox-Fault" not in sandbox.alice.call("GET", "/orders").headers
    finally:
        for _ in range(DELAYS_AT_ONCE):
            _delays.release()


def test_without_a_sandbox_nothing_is_there(world: World, settings: Any) -> None:
    settings.SANDBOX = False
    answers: list[Any] = [world.alice.call(method, "/sandbox/faults", {}) for method in ("GET", "PUT", "DELETE")]
    answers.append(world.staff.call("PUT", f"/sandbox/faults/{world.bob.user.id}", {"seed": 1}))
    assert [each.status_code for each in answers] == [404] * 4
    placed = world.alice.call("POST", "/orders", parse("buy 1 @ 100").body(world.symbol))
    assert placed.status_code == 202
    assert "X-Sandbox-Request" not in placed.headers


def test_the_admin_shows_who_ordered_which_faults_in_a_sandbox_alone(world: World, operator: Client, settings: Any):
    settings.SANDBOX = True
    order_faults(world, lostAnswerPercent=50, tooManyPercent=5)
    listed = operator.get("/admin/sandbox/faults/", {"q": "alice"}).content.decode()
    assert "too many 5 %, lost answer 50 %" in listed and "the whole account" in listed
    assert "Simulated fates" in operator.get(f"/admin/markets/market/{world.symbol}/change/").content.decode()
    settings.SANDBOX = False
    assert operator.get("/admin/sandbox/faults/").status_code == 403
    assert "imulated fates" not in operator.get(f"/admin/markets/market/{world.symbol}/change/").content.decode()
