"""A demo of its own for the stock clients, with its traders at work, and who they are there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from tools.clients.programs import OURS, Client
from tools.demo import cast
from tools.rig.exchange import Exchange
from tools.rig.process import HOST, Process
from tools.rig.servers import free_port
from tools.rig.trader import Trader, connect

MONEY = {"USD": "100000"}
FEES = {"makerFeeRate": "0.0005", "takerFeeRate": "0.001"}
READY_SECONDS = 120


class Stage(Exchange):
    """The demo, whose staff makes users and markets."""

    @cached_property
    def staff(self) -> Trader:
        body = {"username": "admin", "password": cast.PASSWORD}
        token = connect(self.url).post("/auth/token", json=body).raise_for_status().json()["data"]["accessToken"]
        return Trader.with_token(self.url, 0, "admin", token)

    def place(self, client: Client) -> dict[str, str]:
        """What the client's program finds in its environment."""
        if client.market is None:
            return place(self.url, "BTC-USD", *(self.trader(client.name, **MONEY) for _ in range(2)))
        symbol = self.market(f"{client.market}-USD", **FEES)
        funds = {**MONEY, client.market: "1000"}
        return place(self.url, symbol, *(self.trader(client.name, **funds) for _ in range(2)))


def place(url: str, symbol: str, mine: Trader, other: Trader) -> dict[str, str]:
    """What a program of tests/clients/stock finds in its environment: the address, a market, and both users' keys."""
    found = {"CLEARBELL_URL": url, "CLEARBELL_MARKET": symbol}
    for prefix, trader in (("CLEARBELL", mine), ("CLEARBELL_OTHER", other)):
        answer = trader.call("POST", "/keys", {"label": "a stock client", "scopes": ["read", "trade"]})
        made = answer.raise_for_status().json()["data"]
        found |= {f"{prefix}_KEY": made["keyId"], f"{prefix}_SECRET": made["secret"]}
    return found


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Returns once its traders trade."""
    port = free_port()
    variables = {**os.environ, "DATA_DIR": str(folder / "demo")}
    command = (sys.executable, "-m", "tools.demo", "--port", str(port))
    log = folder / "demo.log"
    demo = Process("demo", command, log, variables, lambda process: process.has_logged("Ctrl-C stops"), READY_SECONDS)
    demo.start()
    try:
        yield Stage(variables, folder, port)
    finally:
        demo.stop()


def words_of(client: Client, place: dict[str, str], python: Path | str) -> tuple[list[str], dict[str, str]]:
    """The command of a program, and its environment: nothing of this one's packages."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DJANGO_"))}
    own |= {**place, "PYTHONPATH": str(OURS), "PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": HOST, "no_proxy": HOST}
    return [str(python), str(client.program), *client.arguments], own
