"""The exchange that is killed: servers of its own, web, beat, and two workers for each of two markets."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis

from tests.support.live import WORKER, Live, Trader, prepare_exchange
from tools.rig.process import Process, Server, last_words
from tools.rig.servers import start_mariadb, start_mysql, start_redis

SYMBOLS = ("BTC-USD", "ETH-USD")
WORKERS_PER_MARKET = 2
# Enough that no order is refused for want of funds, however long it goes on.
FUNDS = {"BTC": "1000000", "ETH": "1000000", "USD": "1000000000"}
STARTS = {"mysql": start_mysql, "mariadb": start_mariadb}


@dataclass
class Exchange:
    """What runs, and the means to end and start each of it."""

    live: Live
    database: Server
    redis: Server
    workers: dict[str, list[Process]] = field(default_factory=dict)
    _trades: int = 0

    @property
    def processes(self) -> list[Process]:
        return list(self.live.processes.values())

    def start_worker(self, symbol: str, number: int, **environment: str) -> None:
        """One of a market's workers: whichever of them hears a bell first takes it."""
        name = f"worker-{symbol}-{number}"
        worker = self.live.run(name, *WORKER, "-Q", f"orders.{symbol}", "-n", f"{name}@chaos", **environment)
        self.workers.setdefault(symbol, []).append(worker)

    def start_workers(self, **environment: str) -> None:
        for symbol in SYMBOLS:
            for number in range(WORKERS_PER_MARKET):
                self.start_worker(symbol, number, **environment)

    def open_markets(self) -> None:
        assert self.live.staff
        for symbol in SYMBOLS:
            base, _, quote = symbol.partition("-")
            body = {"symbol": symbol, "base": base, "quote": quote, "tickSize": "0.1", "lotSize": "0.01"}
            fees = {"makerFeeRate": "0.001", "takerFeeRate": "0.002"}
            answer = self.live.staff.call("POST", "/markets", {**body, **fees})
            assert answer.status_code == 201, answer.text

    def traders(self, count: int) -> list[Trader]:
        return [self.live.trader("chaos", **FUNDS) for _ in range(count)]

    @property
    def trades(self) -> int:
        """As the public sees it, of all markets; the last known number while web is away."""
        try:
            answer = httpx.get(f"{self.live.url}/api/v1/ticker", timeout=5)
        except httpx.TransportError:
            return self._trades
        if answer.status_code == httpx.codes.OK:
            self._trades = sum(ticker["trades"] for ticker in answer.json()["data"])
        return self._trades

    def flush_redis(self) -> None:
        with redis.Redis(port=self.redis.port) as client:
            client.flushall()

    def raise_ended(self) -> list[tuple[str, str]]:
        """Start again what ended by itself, as a supervisor would; the names, and the last that each of them said."""
        ended = [process for process in self.processes if process.has_ended]
        said = [(process.name, last_words(process.log)) for process in ended]
        for process in ended:
            process.start()
        return said


@contextmanager
def running_exchange(kind: str, folder: Path, **environment: str) -> Iterator[Exchange]:
    """The servers, web and beat, with the markets open and nothing that matches yet."""
    folder.mkdir(parents=True, exist_ok=True)
    # Durable as shipped: what is acknowledged is on the disk, or the database's kills would prove nothing.
    with STARTS[kind](folder, durable=True) as database, start_redis(folder / "redis") as redis:
        settings = {"DEMO": "1", "ACCESS_TOKEN_MINUTES": "1000", **environment}
        live = prepare_exchange(folder, database.url, redis, **settings)
        try:
            live.run_web()
            live.run_beat()
            exchange = Exchange(live, database, redis)
            exchange.open_markets()
            yield exchange
        finally:
            for process in live.processes.values():
                process.end(signal.SIGKILL)


def freeze(server: Server) -> None:
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)


def thaw(server: Server) -> None:
    assert server.pid
    os.kill(server.pid, signal.SIGCONT)
