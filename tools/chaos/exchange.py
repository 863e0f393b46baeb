"""The exchange that is killed: servers of its own, web, beat, and two workers for each of two markets."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis

from tools.rig import exchange
from tools.rig.process import Process, Server, last_log_line, restart_ended
from tools.rig.servers import STARTS, start_redis
from tools.rig.trader import Trader

SYMBOLS = ("BTC-USD", "ETH-USD")
# A band that takers reach now and then, and as many open orders as may wait while no worker runs.
RULES = {"priceBand": "0.006", "maxOpenOrders": 1_000_000}
MARKET = {"tickSize": "0.1", "lotSize": "0.01", "makerFeeRate": "0.001", "takerFeeRate": "0.002", **RULES}
# In one of them buyers pay in quote, and makers get a rebate.
FEES = {"ETH-USD": {"feeCurrency": "QUOTE", "makerFeeRate": "-0.0005"}}
WORKERS_PER_MARKET = 2
# Enough that no order is refused for want of funds, however long it goes on.
FUNDS = {"BTC": "1000000", "ETH": "1000000", "USD": "1000000000"}
# A run takes longer than a token is good for.
# All caches are on: what they answer is judged by the pollers.
SETTINGS = {"DEMO": "1", "BALANCE_CACHE": "on", "ID_FILTER": "shared"}


@dataclass(kw_only=True)
class Exchange(exchange.Exchange):
    """What runs, and the means to end and start each of it."""

    database: Server
    redis: Server
    workers: dict[str, list[Process]] = field(default_factory=dict)
    # What the environment of web, of beat, or of the workers has of its own.
    roles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    _trades: int = 0

    def launch(self, program: exchange.Program, **environment: str) -> Process:
        role = program.name.partition("-")[0]
        return super().launch(program, **{**self.roles.get(role, {}), **environment})

    def open(self) -> None:
        """Start web and beat, and open the markets. Nothing matches yet."""
        self.run(exchange.web(self.port), exchange.beat())
        for symbol in SYMBOLS:
            self.market(symbol, **{**MARKET, **FEES.get(symbol, {})})

    def start_workers(self, **environment: str) -> None:
        """Several for a market: whichever of them receives a bell first takes it."""
        for symbol in SYMBOLS:
            for number in range(WORKERS_PER_MARKET):
                name = f"worker-{symbol}-{number}"
                program = exchange.worker("-Q", f"orders.{symbol}", "-n", f"{name}@chaos", name=name)
                self.workers.setdefault(symbol, []).append(self.launch(program, **environment))

    def traders(self, count: int) -> list[Trader]:
        return [self.trader("chaos", **FUNDS) for _ in range(count)]

    @property
    def trades(self) -> int:
        """As the public sees it, of all markets; the last known number while web is away."""
        try:
            answer = httpx.get(f"{self.url}/api/v1/ticker", timeout=5)
        except httpx.TransportError:
            return self._trades
        if answer.status_code == httpx.codes.OK:
            self._trades = sum(ticker["trades"] for ticker in answer.json()["data"])
        return self._trades

    def flush_redis(self) -> None:
        with redis.Redis(port=self.redis.port) as client:
            client.flushall()

    def restart_ended(self) -> list[tuple[str, str]]:
        """Start again what ended by itself, as a supervisor would; the names, and the last line that each logged."""
        # The log has nothing of the new start yet.
        return [(process.name, last_log_line(process.log)) for process in restart_ended(self.processes.values())]


@contextmanager
def running_exchange(kind: str, folder: Path) -> Iterator[Exchange]:
    """The servers, web and beat, with the markets open and nothing that matches yet."""
    with (
        database_server(kind, folder) as database,
        start_redis(folder / "redis") as redis_server,
        exchange_on(database, redis_server, folder) as running,
    ):
        running.open()
        yield running


def database_server(kind: str, folder: Path, options: tuple[str, ...] = ()) -> Server:
    """Durable as shipped: what is acknowledged is on the disk, or the database's kills would prove nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    return STARTS[kind](folder, durable=True, options=options)


@contextmanager
def exchange_on(
    database: Server,
    redis_server: Server,
    folder: Path,
    roles: Mapping[str, Mapping[str, str]] | None = None,
    **environment: str,
) -> Iterator[Exchange]:
    """An exchange whose tables are made on these servers, and of which nothing runs yet."""
    variables = exchange.prepare(folder, database.url, redis_server, **{**SETTINGS, **environment})
    running = Exchange(variables, folder, database=database, redis=redis_server, roles=roles or {})
    try:
        yield running
    finally:
        running.end(signal.SIGKILL)


def freeze(server: Server) -> None:
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)


def thaw(server: Server) -> None:
    assert server.pid
    os.kill(server.pid, signal.SIGCONT)
