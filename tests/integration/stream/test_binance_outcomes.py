"""Orders of `/api/v3` through the server of asynchronous requests: answered with what became of them."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from commands.models import Command
from tests.integration.stream.cast import until_true
from tests.support.binance import FORM, Bot, order
from tests.support.world import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db: None) -> World:
    return World.make()


class Desk:
    """A bot behind the server, and a worker that matches when it is told to."""

    def __init__(self, world: World, bot: Bot, port: int, threads: ThreadPoolExecutor) -> None:
        self.world, self._bot, self._threads = world, bot, threads
        self._url = f"http://127.0.0.1:{port}/api/v3/"

    def _send(self, method: str, path: str, parameters: dict[str, Any]) -> httpx.Response:
        text, headers = self._bot.signed(parameters), {"X-MBX-APIKEY": self._bot.key.key_id}
        if method == "POST":
            return httpx.post(self._url + path, content=text, headers={**headers, "Content-Type": FORM}, timeout=10)
        return httpx.request(method, f"{self._url}{path}?{text}", headers=headers, timeout=10)

    def ask(self, method: str, path: str, **parameters: Any) -> Any:
        """The answer of a request whose command is matched once it is stored: status and body."""
        before = Command.objects.count()
        coming: Future[httpx.Response] = self._threads.submit(self._send, method, path, parameters)
        assert until_true(lambda: Command.objects.count() > before or coming.done())
        assert not coming.done(), coming.result().text
        self.world.match()
        answer = coming.result()
        return answer.status_code, answer.json()

    def place(self, line: str, **more: Any) -> Any:
        return self.ask("POST", "order", **{**order(line), **more})


@pytest.fixture
def desk(world: World, port: int) -> Any:
    with ThreadPoolExecutor(4) as threads:
        yield Desk(world, Bot.of(world.alice), port, threads)


def test_full_brings_the_fills(world: World, desk: Desk) -> None:
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.bob, "sell 1 @ 101")
    status, filled = desk.place("buy 2 @ 101 gtc", newClientOrderId="full")
    assert (status, filled["status"], filled["executedQty"], filled["cummulativeQuoteQty"]) == (
        200,
        "FILLED",
        "2.00000000",
        "201.00000000",
    )
    assert [(fill["price"], fill["qty"], fill["commissionAsset"]) for fill in filled["fills"]] == [
        ("100.00000000", "1.00000000", "BTC"),
        ("101.00000000", "1.00000000", "BTC"),
    ]
    status, result = desk.place("buy 1 @ 99", newOrderRespType="RESULT")
    assert (status, result["status"], "fills" in result) == (200, "NEW", False)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("buy 1 market", (200, "EXPIRED")),
        ("buy 1 @ 99 ioc", (200, "EXPIRED")),
        ("buy 1 @ 99 fok", (200, "EXPIRED")),
        ("sell 1 @ 90 maker", (400, "Order would immediately match and take.")),
    ],
)
def test_what_the_engine_does_not_take(world: World, desk: Desk, line: str, expected: tuple[int, str]) -> None:
    if "sell" in line:
        world.play(world.alice, "buy 1 @ 95")
        world.play(world.bob, "sell 1 @ 95")
    world.play(world.alice, "buy 1 @ 95")
    status, body = desk.place(line)
    assert (status, body.get("status", body.get("msg"))) == expected


def test_a_cancel_is_answered_once_it_is_done(world: World, desk: Desk) -> None:
    first, second = (world.play(world.alice, f"buy 1 @ {price}")["orderId"] for price in (98, 99))
    status, cancelled = desk.ask("DELETE", "order", symbol="BTCUSD", orderId=first, newClientOrderId="gone")
    assert (status, cancelled["status"], cancelled["origClientOrderId"], cancelled["clientOrderId"]) == (
        200,
        "CANCELED",
        f"id-{first}",
        "gone",
    )
    third = world.play(world.alice, "buy 1 @ 97")["orderId"]
    status, both = desk.ask("DELETE", "openOrders", symbol="BTCUSD")
    assert (status, {each["orderId"]: each["status"] for each in both}) == (
        200,
        {second: "CANCELED", third: "CANCELED"},
    )


def test_a_cancel_that_comes_too_late_is_refused(world: World, desk: Desk) -> None:
    late = world.play(world.alice, "buy 1 @ 98")["orderId"]
    world.place(world.bob, "sell 1 @ 98")
    assert desk.ask("DELETE", "order", symbol="BTCUSD", orderId=late) == (
        400,
        {"code": -2011, "msg": "Unknown order sent."},
    )


def test_an_order_is_replaced(world: World, desk: Desk) -> None:
    old = world.play(world.alice, "buy 1 @ 98")["orderId"]
    new = {**order("buy 1 @ 99"), "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": old}
    status, both = desk.ask("POST", "order/cancelReplace", **new)
    assert (status, both["cancelResult"], both["newOrderResult"]) == (200, "SUCCESS", "SUCCESS")
    assert both["cancelResponse"]["status"] == "CANCELED"
    assert (both["newOrderResponse"]["status"], both["newOrderResponse"]["price"]) == ("NEW", "99.00000000")
    filled = both["newOrderResponse"]["orderId"]
    world.place(world.bob, "sell 1 @ 99")
    status, failed = desk.ask("POST", "order/cancelReplace", **{**new, "cancelOrderId": filled})
    assert (status, failed["code"], failed["data"]["cancelResult"], failed["data"]["newOrderResult"]) == (
        400,
        -2022,
        "FAILURE",
        "NOT_ATTEMPTED",
    )


def test_a_group_is_placed_and_cancelled(world: World, desk: Desk) -> None:
    world.play(world.bob, "sell 3 @ 100")
    world.play(world.alice, "buy 2 @ 100")
    fields = {"symbol": "BTCUSD", "side": "SELL", "quantity": "1", "price": "110", "stopPrice": "90"}
    status, group = desk.ask("POST", "order/oco", **fields, listClientOrderId="pair")
    assert (status, group["listOrderStatus"], group["listClientOrderId"]) == (200, "EXECUTING", "pair")
    assert [(leg["type"], leg["status"]) for leg in group["orderReports"]] == [("LIMIT", "NEW"), ("STOP_LOSS", "NEW")]
    status, ended = desk.ask("DELETE", "orderList", symbol="BTCUSD", orderListId=group["orderListId"])
    assert (status, ended["listOrderStatus"]) == (200, "ALL_DONE")
    assert [leg["status"] for leg in ended["orderReports"]] == ["CANCELED", "CANCELED"]
