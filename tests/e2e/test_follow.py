"""An order is followed through a live exchange: its logs, Flower, the counters and the admin.

Every line of the logs is JSON, except what Celery prints, and none has a secret.
"""

import ast
import json
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.clients import PASSWORD
from tests.e2e.flower import Flower, watched_by_flower
from tests.e2e.processes import Demo, wait_until
from tools.rig.process import ROOT
from tools.scripts.follow import found, read_lines

OURS = ("web", "worker", "beat", "seed")
# What Celery prints when it is asked to stop.
PRINTED = (b"worker: ", b"Waiting gracefully")
ORDER = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "1.00", "quantity": "0.5"}


@pytest.fixture
def demo(own_demo: Demo) -> Demo:
    return own_demo


def test_an_order_is_followed_and_no_secret_is_told(demo: Demo) -> None:
    own = {name: secrets.token_urlsafe(40) for name in ("SECRET_KEY", "JWT_SIGNING_KEY", "API_KEY_SECRETS")}
    demo.variables = {"LOG_LEVEL": "DEBUG", **own}
    demo.start("--no-traders")
    demo.wait_until_ready()
    with (
        httpx.Client(base_url=demo.address, timeout=10, trust_env=False) as http,
        watched_by_flower(demo) as flower,
    ):
        hidden = [PASSWORD, *own.values(), *_sign_in_every_way(http)]
        before = _counted(http)
        ticket, correlation_id = _listen_and_trade(http)
        _check_flower(flower, correlation_id)
        _check_counted(before, _counted(http))
        _check_admin(http, correlation_id)
    _kill_worker(demo)
    _fail_to_start(demo)
    assert demo.interrupt() == 0

    _check_json(demo)
    _check_followed(demo, correlation_id)
    _check_secrets(demo, [*hidden, ticket])


def _sign_in_every_way(http: httpx.Client) -> list[str]:
    """Over REST, with a wrong password and to the admin; what nobody else may read."""
    wrong = f"wrong-{secrets.token_hex(8)}"
    assert http.post("/api/v1/auth/token", json={"username": "alice", "password": wrong}).status_code == 401
    tokens = http.post("/api/v1/auth/token", json={"username": "alice", "password": PASSWORD}).json()["data"]
    http.headers["Authorization"] = f"Bearer {tokens['accessToken']}"
    assert http.get("/api/v1/orders", headers={"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJh.x"}).status_code == 401
    page = http.get("/admin/login/").text
    form = {"username": "admin", "csrfmiddlewaretoken": re.findall(r'csrfmiddlewaretoken" value="(\w+)"', page)[0]}
    for password in (wrong, PASSWORD):
        http.post("/admin/login/", data={**form, "password": password}, headers={"Referer": str(http.base_url)})
    assert http.cookies["sessionid"]
    words = [value for name, value in tokens.items() if name.endswith("Token")]
    assert len(words) == 2
    return [wrong, *words, http.cookies["sessionid"], http.cookies["csrftoken"], form["csrfmiddlewaretoken"]]


def _listen_and_trade(http: httpx.Client) -> tuple[str, str]:
    """The ticket of the stream, and the correlation id of an order that was placed, published, and cancelled."""
    ticket: str = http.post("/api/v1/stream/tickets").json()["data"]["ticket"]
    http.get("/api/v1/nothing%0A%7B%22level%22", headers={"X-Request-ID": 'a"b'})
    params = {"ticket": ticket}
    with http.stream("GET", "/api/v1/stream/order-status", params=params, headers={"X-Request-ID": "mine"}) as stream:
        assert (stream.status_code, stream.headers["X-Request-ID"]) == (200, "mine")
        events = (json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:"))
        assert next(events).keys() == {"userId"}
        answer = http.post("/api/v1/orders", json={**ORDER, "clientOrderId": "follow-me"})
        assert answer.status_code == 202, answer.text
        placed = answer.json()["data"]
        assert next(events)["status"] == "OPEN"
        assert http.delete(f"/api/v1/orders/{placed['orderId']}").status_code == 202
        assert next(events)["status"] == "CANCELLED"
    refused = http.post("/api/v1/orders", json={**ORDER, "price": "0.001"})
    assert refused.status_code == 400
    return ticket, placed["correlationId"]


def _check_flower(flower: Flower, correlation_id: str) -> None:
    """It shows the two runs, with what became of the order in each, to those who know its password."""

    def runs() -> list[dict[str, Any]]:
        shown = flower.ask("/api/tasks", search=f"result:{correlation_id}").json().values()
        return sorted((run for run in shown if run["state"] == "SUCCESS"), key=lambda run: float(run["received"]))

    wait_until(lambda: len(runs()) == 2, 10, runs)
    assert [(run["name"], run["args"]) for run in runs()] == [("matching.match", "['BTC-USD']")] * 2
    results = [ast.literal_eval(run["result"]) for run in runs()]
    assert [[order["status"] for order in result["firstOrders"]] for result in results] == [["OPEN"], ["CANCELLED"]]
    for path in ("/workers", "/tasks", "/broker", "/api/tasks", "/api/workers"):
        assert httpx.get(f"{flower.address}{path}", trust_env=False).status_code == 401, path


def _counted(http: httpx.Client) -> dict[str, float]:
    """By the web process and by the worker, shown by the one."""
    lines = [line for line in http.get("/metrics").text.splitlines() if 'symbol="BTC-USD"' in line]
    return {
        name.replace(',symbol="BTC-USD"', ""): float(number) for name, number in (line.rsplit(" ", 1) for line in lines)
    }


def _check_counted(before: dict[str, float], after: dict[str, float]) -> None:
    gained = {name: number - before.get(name, 0) for name, number in after.items()}
    assert gained['exchange_orders_received_total{symbol="BTC-USD"}'] == 1
    assert gained['exchange_orders_processed_total{symbol="BTC-USD"}'] == 1
    assert gained['exchange_order_events_total{status="CANCELLED"}'] == 1
    assert after['exchange_workers{symbol="BTC-USD"}'] == 1


def _check_admin(http: httpx.Client, correlation_id: str) -> None:
    page = http.get("/admin/orders/order/", params={"q": correlation_id}).text
    [order] = re.findall(r'href="(/admin/orders/order/\d+/change/[^"]*)"', page)
    shown = http.get(order.replace("&amp;", "&")).text
    assert correlation_id in shown
    assert shown.index("OPEN") < shown.index("CANCELLED")


def _kill_worker(demo: Demo) -> None:
    """In the middle of its work; another one is started."""
    old = demo.kill_program("worker")
    log = demo.data / "logs" / "worker.log"
    wait_until(lambda: demo.pid("worker") != old and log.read_text().count(" ready.") == 2, 30)


def _fail_to_start(demo: Demo) -> None:
    """A worker that must not run, with the banner that it has by default."""
    command = [sys.executable, "-m", "celery", "-A", "exchange", "worker", "-P", "threads", "-c", "2"]
    variables = {"DATA_DIR": str(demo.data), "DEMO": "1", "PATH": "/usr/bin:/bin", **demo.variables}
    variables["BROKER_URL"] = "redis://:a-password@127.0.0.1:1/0"
    with (demo.data / "logs" / "worker-unfit.log").open("wb") as log:
        assert subprocess.run(command, cwd=ROOT, env=variables, stdout=log, stderr=log, check=False).returncode


def _logs(demo: Demo) -> list[Path]:
    logs = sorted(log for log in (demo.data / "logs").glob("*.log") if log.name.startswith(OURS))
    assert len(logs) == len(OURS) + 1
    return logs


def _check_json(demo: Demo) -> None:
    for log in _logs(demo):
        lines = log.read_bytes().split(b"\n")
        assert lines.pop() == b""
        # The seed logs nothing where it has nothing to do.
        assert lines or log.name == "seed.log"
        printed = [line for line in lines if not line.startswith(b"{")]
        assert log.name == "worker-unfit.log" or all(line.startswith(PRINTED) for line in printed if line), printed
        for line in set(lines) - set(printed):
            assert {"timestamp", "level", "logger", "process", "pid", "event"} <= json.loads(line).keys(), line
            assert len(line) < 8000
    last = json.loads((demo.data / "logs" / "worker-unfit.log").read_bytes().splitlines()[-1])
    assert "a market is matched by one at a time" in last["event"]


def _check_followed(demo: Demo, correlation_id: str) -> None:
    lines = found(correlation_id, read_lines(_logs(demo), correlation_id))
    steps = [(line["process"], line["event"], line.get("status")) for line in lines]
    assert steps == [
        ("web", "order accepted", 202),
        ("worker", "orders applied", "OPEN"),
        ("web", "delivered", None),
        ("web", "cancel accepted", 202),
        ("worker", "orders applied", "CANCELLED"),
        ("web", "delivered", None),
    ]
    accepted, opened, delivered, _, cancelled, _ = lines
    assert (accepted["clientOrderId"], accepted["symbol"]) == ("follow-me", "BTC-USD")
    assert accepted["userId"] and accepted["requestId"] and accepted["durationMs"] > 0
    assert (opened["orderId"], opened["filled"]) == (accepted["orderId"], "0")
    assert cancelled["reason"] == "USER_CANCELLED"
    assert opened["runId"] != cancelled["runId"]
    assert (delivered["eventId"], delivered["userId"]) == (f"BTC-USD-{opened['sequence']}", accepted["userId"])
    assert delivered["requestId"] == "mine" != accepted["requestId"]
    refused = list(read_lines(_logs(demo), "order refused"))
    assert [(line["error"], line["symbol"], line["status"]) for line in refused] == [("PRICE_OFF_TICK", "BTC-USD", 400)]


def _check_secrets(demo: Demo, hidden: list[str]) -> None:
    logged = "".join(path.read_text() for path in (demo.data / "logs").glob("*.log"))
    assert [word for word in [*hidden, "a-password", "eyJ"] if word in logged] == []
    assert logged.count('"event":"delivered"') == 2
    # Nor as an address or an encoding has it.
    assert not re.search(r"ticket=[^\[]", logged)
