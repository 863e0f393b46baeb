"""Stock clients against a running exchange: those that need no environment of their own. `make clients` has all."""

import json
import subprocess
import sys

from tests.support.live import Live
from tools.clients.programs import CLIENTS, Client
from tools.clients.stage import FEES, place, words_of

BY_NAME = {client.name: client for client in CLIENTS}


def counts(exchange: Live, client: Client, base: str, *arguments: str) -> dict:
    """What the client's program counted, on a new market."""
    symbol = exchange.market(f"{base}-USD", **FEES)
    funds = {"USD": "100000", base: "1000"}
    mine, other = (exchange.trader("bot", **funds) for _ in range(2))
    command, environment = words_of(client, place(exchange.url, symbol, mine, other), sys.executable)
    done = subprocess.run(
        [*command, *arguments],
        env={**environment, "CLEARBELL_UNLIMITED": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout, done.stderr
    counted: dict = json.loads(done.stdout.splitlines()[-1])
    return counted


def test_our_own_class_for_ccxt(exchange: Live) -> None:
    counted = counts(exchange, BY_NAME["native"], "NTV")
    assert counted["failed"] == {} and len(counted["passed"]) > 30


def test_stock_ccxt(exchange: Live) -> None:
    """Its class `binance` with another address; `make clients` goes on from here to every call, and to others."""
    counted = counts(exchange, BY_NAME["ccxt"], "SYN", "sample")
    assert counted["failed"] == {} and len(counted["passed"]) > 25
