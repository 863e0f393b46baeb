"""Flower: each matching run with its orders and trades, behind a password."""

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.environment import CannotStartError, running_broker
from demo.flower import prepare
from scripts.servers import free_port, start_redis
from tests.e2e.clients import User
from tests.e2e.processes import HOME, Demo, wait_until


@pytest.fixture
def flower(demo: Demo) -> Iterator[str]:
    demo.start("--no-traders")
    demo.wait_until_ready()
    port = free_port()
    variables = {**os.environ, "DATA_DIR": str(demo.data)}
    for name in ("BROKER_URL", "REDIS_URL", "FLOWER_BASIC_AUTH"):
        variables.pop(name, None)
    process = subprocess.Popen([sys.executable, "-m", "demo.flower", "--port", str(port)], cwd=HOME, env=variables)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def ask(address: str, path: str, **params: str) -> Any:
    return httpx.get(f"{address}{path}", params=params, auth=("admin", "exchange-demo"), trust_env=False)


def test_an_order_is_found_by_its_correlation_id(demo: Demo, flower: str) -> None:
    """With the run that matched it, its trade, and the queues of the markets."""

    def hears() -> bool:
        try:
            return "orders.BTC-USD" in ask(flower, "/api/queues/length").text
        except httpx.TransportError:
            return False

    wait_until(hears, 30)
    with User(demo.address, "bob") as bob, User(demo.address, "alice") as alice:
        for user, side in ((bob, "SELL"), (alice, "BUY")):
            terms = {"symbol": "BTC-USD", "type": "LIMIT", "price": "30000", "quantity": "0.1"}
            placed = user.request("POST", "/orders", {**terms, "side": side})
    found: dict[str, Any] = {}

    def is_found() -> bool:
        found.update(ask(flower, "/api/tasks", search=f"result:{placed['correlationId']}").json())
        return any(task["state"] == "SUCCESS" for task in found.values())

    wait_until(is_found, 10, lambda: found)
    [task] = found.values()
    assert (task["name"], task["args"]) == ("matching.match", "['BTC-USD']")
    result = ast.literal_eval(task["result"])
    [order] = [order for order in result["firstOrders"] if order["orderId"] == placed["orderId"]]
    assert (order["status"], order["filled"]) == ("FILLED", "0.1")
    assert [(trade["price"], trade["quantity"]) for trade in result["firstTrades"]] == [("30000", "0.1")]

    for path in ("/workers", "/tasks", "/broker", "/api/tasks", "/api/workers"):
        assert httpx.get(f"{flower}{path}", trust_env=False).status_code == 401, path


def test_it_needs_a_broker_and_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert running_broker(tmp_path) is None
    with pytest.raises(CannotStartError, match="no demo is running here"):
        prepare({})
    with pytest.raises(CannotStartError, match="BROKER_URL names a server that does not answer"):
        prepare({"BROKER_URL": "redis://127.0.0.1:1/0"})
    with start_redis(tmp_path / "redis") as redis:
        for password in ({}, {"FLOWER_BASIC_AUTH": "admin"}, {"FLOWER_BASIC_AUTH": "admin:"}):
            with pytest.raises(CannotStartError, match="FLOWER_BASIC_AUTH must be set to user:password"):
                prepare({"BROKER_URL": redis.url, **password})
