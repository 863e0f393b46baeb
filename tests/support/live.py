"""A whole exchange of real processes on the servers of the test run, and traders who use it over HTTP."""

import itertools
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.integration.stream.client import StreamClient
from tests.support.tape import parse
from tools.rig.process import Process, Server
from tools.rig.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20
CELERY = (sys.executable, "-m", "celery", "--quiet", "-A", "exchange")
WORKER = (*CELERY, "worker", "-P", "solo", "-c", "1", "--without-gossip", "--without-mingle")


@dataclass
class Live:
    """The running exchange: its address, its processes, and how a test makes a user."""

    url: str
    environment: dict[str, str]
    folder: Path
    redis: Server
    processes: dict[str, Process] = field(default_factory=dict)
    staff: "Trader | None" = None
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def run(self, name: str, *command: str, **environment: str) -> Process:
        process = Process(name, command, {**self.environment, **environment}, ROOT, self.folder / f"{name}.log")
        process.start()
        self.processes[name] = process
        return process

    def run_web(self) -> None:
        """Start REST and streams, and sign in as staff. Returns when they answer."""
        web = ("uvicorn", "exchange.asgi:application", "--port", str(self.port), "--no-proxy-headers")
        self.run("web", sys.executable, "-m", *web, "--timeout-graceful-shutdown", "2")
        wait_for(lambda: _answers(self.url), bool)
        self.staff = Trader.sign_in(self.url, "staff", "correct horse", 0)

    def run_beat(self) -> None:
        self.run("beat", *CELERY, "beat", "--schedule", str(self.folder / "beat"))

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def manage(self, *arguments: str, **environment: str) -> str:
        command = (sys.executable, "manage.py", *arguments)
        done = subprocess.run(
            command, cwd=ROOT, env={**self.environment, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def trader(self, name: str, **funds: str) -> "Trader":
        """A new user with money, by registration, token and a staff transfer."""
        username = f"{name}-{next(self._numbers)}-{secrets.token_hex(3)}"
        trader = Trader.register(self.url, username)
        for currency, amount in funds.items():
            self.fund(trader, currency, amount)
        return trader

    def fund(self, trader: "Trader", currency: str, amount: str) -> None:
        assert self.staff is not None
        body = {"userId": trader.user_id, "currency": currency, "amount": amount, "reason": "opening balance"}
        answer = self.staff.call("POST", "/balances/update", {**body, "reference": secrets.token_hex(8)})
        assert answer.status_code == 200, answer.text

    def stream(self, trader: "Trader", last_event_id: str = "") -> StreamClient:
        """The trader's own order updates, as they come."""
        headers = {"Authorization": f"Bearer {trader.token}"} | (
            {"Last_Event_ID": last_event_id} if last_event_id else {}
        )
        return StreamClient(self.port, "/api/v1/stream/order-status", **headers)

    def market(self, **fields: str) -> str:
        """A new market of BTC against USD, which one test uses alone."""
        assert self.staff is not None
        symbol = f"BTC-USD-{secrets.token_hex(4).upper()}"
        body = {"symbol": symbol, "base": "BTC", "quote": "USD", "tickSize": "0.01", "lotSize": "0.0001", **fields}
        answer = self.staff.call("POST", "/markets", body)
        assert answer.status_code == 201, answer.text
        return symbol

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.end()


@dataclass
class Trader:
    """A client with its name, its password and its token."""

    http: httpx.Client
    user_id: int
    username: str
    token: str

    @staticmethod
    def http_client(url: str) -> httpx.Client:
        return httpx.Client(base_url=f"{url}/api/v1", timeout=PATIENCE_SECONDS)

    @classmethod
    def register(cls, url: str, username: str, password: str = "correct horse") -> "Trader":
        http = cls.http_client(url)
        body = {"username": username, "email": f"{username}@example.com", "password": password}
        answer = http.post("/users", json=body)
        assert answer.status_code == 201, answer.text
        return cls.sign_in(url, username, password, answer.json()["data"]["userId"])

    @classmethod
    def sign_in(cls, url: str, username: str, password: str, user_id: int) -> "Trader":
        http = cls.http_client(url)
        answer = http.post("/auth/token", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        token = answer.json()["data"]["accessToken"]
        http.headers["Authorization"] = f"Bearer {token}"
        return cls(http, user_id, username, token)

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.http.request(method, path, json=body)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def place(self, symbol: str, line: str, **more: Any) -> int:
        """POST the order of a line (see `tape`). Returns the order's id."""
        answer = self.call("POST", "/orders", parse(line).body(symbol, **more))
        assert answer.status_code == 202, answer.text
        order_id: int = answer.json()["data"]["orderId"]
        return order_id

    def order(self, order_id: int) -> dict[str, Any]:
        order: dict[str, Any] = self.get(f"/orders/{order_id}")
        return order

    def played(self, symbol: str, line: str, **more: Any) -> dict[str, Any]:
        """Place the order and wait until the worker has applied it. Returns the order after that."""
        order_id = self.place(symbol, line, **more)
        return wait_for(lambda: self.order(order_id), lambda order: order["status"] != "PENDING")

    def settled(self, order_id: int) -> dict[str, Any]:
        """Wait until an order can no longer trade."""
        return wait_for(lambda: self.order(order_id), lambda order: not order["active"])

    def holds(self, currency: str) -> str:
        """Available and frozen, as "7 3"."""
        row = self.get(f"/balances/{self.user_id}/{currency}")
        return f"{row['availableBalance']} {row['frozenBalance']}"


def wait_for(read: Callable[[], Any], enough: Callable[[Any], bool], seconds: float = PATIENCE_SECONDS) -> Any:
    """Read until the condition holds. Raises AssertionError with the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if enough(value):
            return value
        assert time.monotonic() < deadline, f"still {value} after {seconds} s"
        time.sleep(0.02)


def start_exchange(folder: Path, database_url: str, redis: Server) -> Live:
    """Migrate, make a staff user, and start web, worker and beat; returns once it answers.

    It needs a Redis server of its own, because a publication reaches the subscribers of all databases of a server.
    """
    live = prepare_exchange(folder, database_url, redis)
    live.run("worker", *WORKER)
    live.run_beat()
    live.run_web()
    return live


def prepare_exchange(folder: Path, database_url: str, redis: Server, **environment: str) -> Live:
    """A migrated database with a staff user. No process runs yet."""
    variables = {
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "BROKER_URL": os.environ.get("TEST_BROKER_URL") or f"{redis.url}/0",
        "REDIS_URL": f"{redis.url}/1",
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        "CACHE_URL": f"{redis.url}/2",
        "RATE_LIMIT": "off",
        "DJANGO_SUPERUSER_PASSWORD": "correct horse",
    }
    (folder / "metrics").mkdir(exist_ok=True)
    live = Live(f"http://127.0.0.1:{free_port()}", {**os.environ, **variables, **environment}, folder, redis)
    live.manage("migrate", "--verbosity", "0")
    live.manage("createsuperuser", "--noinput", "--username", "staff", "--email", "staff@example.com")
    return live


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v1/time").status_code == 200
    except httpx.TransportError:
        return False
