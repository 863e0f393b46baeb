"""The rows of docs/security.md for the streams and the WebSocket, which the URL configuration does not have."""

import pytest

from exchange.asgi import MARKET_PATH, ORDER_STATUS_PATH, SOCKET_PATH
from tests.integration.stream.client import StreamClient
from tests.integration.stream.trader import SocketTrader, socket
from tests.support.powers import CALLERS, Callers, row, table, verdict
from tests.support.signing import FIELDS
from tests.support.world import World

pytestmark = pytest.mark.django_db(transaction=True)
OF_A_TOKEN = {"Authorization": "token"}


def test_who_may_listen_is_what_the_table_says(transactional_db: None, port: int) -> None:
    world = World.make()
    callers = Callers(world)
    of_owner = f"{ORDER_STATUS_PATH}?userId={world.alice.user.id}"
    targets = {
        f"GET {ORDER_STATUS_PATH}": ORDER_STATUS_PATH,
        f"GET {ORDER_STATUS_PATH}, of the owner": of_owner,
        f"GET {MARKET_PATH}{{symbol}}": MARKET_PATH + world.symbol,
    }
    found = {
        name: row(name, [_listens(port, target, callers.headers(who, "GET", target)) for who in CALLERS])
        for name, target in targets.items()
    }
    socket_row = f"GET {SOCKET_PATH}, the channel of orders"
    found[socket_row] = row(socket_row, [_follows(port, callers.headers(who, "GET", SOCKET_PATH)) for who in CALLERS])
    written = table()
    differing = [line for name, line in found.items() if written.get(name) != line]
    assert not differing, "docs/security.md has to say:\n" + "\n".join(differing)


def _listens(port: int, target: str, headers: dict[str, str]) -> str:
    with StreamClient(port, target, **{name.replace("-", "_"): value for name, value in headers.items()}) as stream:
        return verdict(stream.status, "" if stream.status == 200 else stream.body()["error"])


def _follows(port: int, headers: dict[str, str]) -> str:
    with socket(port) as trader:
        fields = {(FIELDS | OF_A_TOKEN)[name]: value.removeprefix("Bearer ") for name, value in headers.items()}
        return verdict(*_answer(trader, fields))


def _answer(trader: SocketTrader, fields: dict[str, str]) -> tuple[int, str]:
    if fields:
        answer = trader.ask("auth", **fields)
        if answer["code"] != 200:
            return answer["code"], answer["error"]
    answer = trader.follow("orders")
    return answer["code"], answer.get("error", "")
