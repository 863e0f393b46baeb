"""The exchange's processes: how each of them is called, and an exchange that runs on servers of the tools.

The demo, the benchmark, the chaos run and the tests take the command lines from here.
"""

import itertools
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tools.rig.process import HOST, LIMITS, ROOT, Process, Server, end_all
from tools.rig.servers import free_port
from tools.rig.trader import PASSWORD, Trader

# A frame is no longer than a body of REST, and is not packed, because that would cost a buffer for each client.
SOCKETS = ("--ws-max-size", "65536", "--ws-per-message-deflate", "false")
# A request must arrive, and what is answered must be taken, within a time.
PUNCTUAL = ("--http", "base.servers.uvicorn_protocol:Punctual")
# All addresses of this machine.
ANY = "0.0.0.0"  # noqa: S104
# Quietly: without the banner. LOG_LEVEL decides what is logged.
CELERY = ("celery", "--quiet", "-A", "exchange")


@dataclass(frozen=True)
class Program:
    """How one of the exchange's processes is called, with the arguments of `python -m`."""

    name: str
    arguments: tuple[str, ...]
    stop_seconds: int
    is_ready: Callable[[Process], bool]

    @property
    def command(self) -> tuple[str, ...]:
        return (sys.executable, "-m", *self.arguments)


def web(port: int, name: str = "web", host: str = HOST) -> Program:
    """REST and the streams in one process, as it serves without a proxy."""
    options = ("--host", host, "--port", str(port), "--no-access-log", "--no-proxy-headers", *SOCKETS, *PUNCTUAL)
    uvicorn = ("uvicorn", "exchange.asgi:application", *options, "--timeout-graceful-shutdown", "3")
    return Program(name, uvicorn, 8, lambda _: answers(port, host=reached(host)))


def rest(port: int) -> Program:
    """REST alone, as it serves behind a proxy."""
    gunicorn = ("gunicorn", "--config", "deploy/gunicorn.conf.py", "--bind", f"{HOST}:{port}", "exchange.wsgi")
    return Program("web", gunicorn, 15, lambda _: answers(port))


def worker(*options: str, name: str = "worker") -> Program:
    """Without -Q a worker serves every market, and those that open while it runs."""
    solo = ("worker", "-P", "solo", "-c", "1", "--without-gossip", "--without-mingle")
    return Program(name, (*CELERY, *solo, *options), 10, lambda process: process.has_logged(" ready."))


def beat() -> Program:
    return Program("beat", (*CELERY, "beat", "--pidfile", ""), 5, lambda process: process.has_logged("beat: Starting"))


def reached(host: str) -> str:
    """Where this machine itself reaches a server that listens there."""
    return HOST if host == ANY else host


def answers(port: int, path: str = "/api/v1/time", host: str = HOST) -> bool:
    try:
        return httpx.get(f"http://{host}:{port}{path}", trust_env=False).is_success
    except httpx.TransportError:
        return False


@dataclass
class Exchange:
    """An exchange of real processes, whose logs are kept in `folder`, and a way to become a user of it.

    `environment` names the database and Redis and has all that the settings need.
    """

    environment: dict[str, str]
    folder: Path
    port: int = field(default_factory=free_port)
    processes: dict[str, Process] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def run(self, *programs: Program, **environment: str) -> None:
        """Start the programs beside each other; returns once all of them are ready. Raises NotReadyError."""
        started = [self.launch(program, **environment) for program in programs]
        for process in started:
            process.wait_until_ready()

    def launch(self, program: Program, **environment: str) -> Process:
        """Start a program, and return at once."""
        log, variables = self.folder / f"{program.name}.log", {**self.environment, **environment}
        process = Process(program.name, program.command, log, variables, program.is_ready, program.stop_seconds)
        process.launch()
        self.processes[program.name] = process
        return process

    def end(self, with_signal: int = signal.SIGTERM) -> None:
        """End all processes, beside each other."""
        end_all(self.processes.values(), with_signal)

    def manage(self, *arguments: str, **environment: str) -> str:
        """What `manage.py` prints; it must succeed."""
        done = self.try_to_manage(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def try_to_manage(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = (sys.executable, "manage.py", *arguments)
        variables = {**self.environment, **environment}
        return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)

    def evaluate(self, code: str, **environment: str) -> str:
        """What a line of Python prints that knows the exchange's models."""
        return self.manage("shell", "-v", "0", "-c", code, **environment).strip()

    @cached_property
    def staff(self) -> Trader:
        return Trader.sign_in(self.url, "staff", 0)

    def trader(self, name: str, **funds: str) -> Trader:
        """A new user with money, by registration, token and a staff transfer."""
        trader = Trader.register(self.url, f"{name}-{next(self._numbers)}-{secrets.token_hex(3)}")
        for currency, amount in funds.items():
            self.fund(trader, currency, amount)
        return trader

    def fund(self, trader: Trader, currency: str, amount: str) -> None:
        body = {"userId": trader.user_id, "currency": currency, "amount": amount, "reason": "opening balance"}
        answer = self.staff.call("POST", "/balances/update", {**body, "reference": secrets.token_hex(8)})
        assert answer.status_code == 200, answer.text

    def market(self, symbol: str = "", **fields: Any) -> str:
        """A new market, without a symbol one of BTC against USD."""
        symbol = symbol or f"BTC-USD-{secrets.token_hex(4).upper()}"
        base, quote, *_ = symbol.split("-")
        grain = {"tickSize": "0.01", "lotSize": "0.0001"}
        answer = self.staff.call(
            "POST", "/markets", {"symbol": symbol, "base": base, "quote": quote, **grain, **fields}
        )
        assert answer.status_code == 201, answer.text
        return symbol


def prepare(folder: Path, database_url: str, redis: Server, **environment: str) -> dict[str, str]:
    """Migrate the database and make a staff user; the environment for an exchange on these servers.

    The exchange needs a Redis of its own: a channel is shared by all databases of a Redis server.
    """
    variables = {
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "BROKER_URL": os.environ.get("TEST_BROKER_URL") or f"{redis.url}/0",
        "REDIS_URL": f"{redis.url}/1",
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        "CACHE_URL": f"{redis.url}/2",
        **dict.fromkeys(LIMITS, "off"),
        # A long run signs in once.
        "ACCESS_TOKEN_MINUTES": "1000",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }
    (folder / "metrics").mkdir(parents=True, exist_ok=True)
    exchange = Exchange({**os.environ, **variables, **environment}, folder)
    exchange.manage("migrate", "--verbosity", "0")
    exchange.manage("createsuperuser", "--noinput", "--username", "staff", "--email", "staff@example.com")
    return exchange.environment
