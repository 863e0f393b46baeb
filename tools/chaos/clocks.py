"""Clocks that step while everything runs: the database's, Redis's, web's, the workers' and beat's, each by itself.

A library that is preloaded (clock.c) moves the calendar of a process by what stands in a file. Monotonic clocks go on.
"""

import mmap
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import redis

from tools.chaos.exchange import SYMBOLS, Exchange, database_server, exchange_on
from tools.chaos.laps import Course, Lap, Plan
from tools.chaos.report import Report
from tools.chaos.root import execute
from tools.rig.packages import UnavailableError
from tools.rig.process import Server
from tools.rig.servers import start_redis
from tools.rig.trader import connect

ROUNDS = {"ci": 1, "full": 10}
SOURCE = Path(__file__).with_name("clock.c")
COMPILERS = ("cc", "gcc", "clang")
NANOSECONDS = 1_000_000_000
HOUR, LITTLE = 3600.0, 90.0
# A token that seems to come from the future is refused, unless by so little.
LEEWAY = 25.0
AFTERWARDS_SECONDS = 1.0
HOSTS = ("database", "redis", "web", "worker", "beat")


class Clock:
    """The calendar clock of one host: of each process that has `environment`."""

    def __init__(self, library: Path, file: Path) -> None:
        file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(file)}
        with file.open("r+b") as opened:
            self._shift = mmap.mmap(opened.fileno(), 8)

    def show(self, seconds: float) -> None:
        """From now on the processes believe that it is so many seconds later than it is."""
        self._shift[:] = struct.pack("=q", round(seconds * NANOSECONDS))


Clocks = Mapping[str, Clock]


def run(plan: Plan) -> Report:
    """Raises UnavailableError where nothing can be preloaded."""
    with exchange_with_clocks(plan) as (running, clocks):
        return plan.lap(running, stepping(clocks)).run()


def stepping(clocks: Clocks) -> Course:
    """The course: each step is followed by the step back, which is one in the other direction."""
    steps = {
        "the database's clock an hour ahead": partial(_step, clocks["database"], HOUR),
        "the database's clock an hour behind": partial(_step, clocks["database"], -HOUR),
        "the database's clock 90 seconds behind": partial(_step, clocks["database"], -LITTLE),
        "Redis's clock an hour ahead": partial(_step, clocks["redis"], HOUR),
        "Redis's clock an hour behind": partial(_step, clocks["redis"], -HOUR),
        "web's clock an hour ahead": partial(_step, clocks["web"], HOUR),
        "web's clock an hour ahead, without Redis": partial(_step_without_redis, clocks["web"], HOUR),
        "web's clock 25 seconds behind": partial(_step, clocks["web"], -LEEWAY),
        "the workers' clock an hour ahead": partial(_step, clocks["worker"], HOUR),
        "the workers' clock an hour behind": partial(_step, clocks["worker"], -HOUR),
        "beat's clock an hour behind": partial(_step, clocks["beat"], -HOUR),
    }
    return Course("Clocks that step", steps, is_noticed=False, afterwards=_tickers)


@contextmanager
def exchange_with_clocks(plan: Plan) -> Iterator[tuple[Exchange, Clocks]]:
    """With workers, and a clock for each host."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    library = compiled(plan.folder)
    clocks = {host: Clock(library, plan.folder / f"{host}.clock") for host in HOSTS}
    with ExitStack() as stack:
        database = stack.enter_context(_moved(database_server(plan.database, plan.folder), clocks["database"]))
        redis_server = stack.enter_context(_moved(start_redis(plan.folder / "redis"), clocks["redis"]))
        roles = {host: clock.environment for host, clock in clocks.items()}
        running = stack.enter_context(exchange_on(database, redis_server, plan.folder, roles))
        running.open()
        running.start_workers()
        for clock in clocks.values():
            clock.show(HOUR)
        shown = {host: round(seen - time.time()) for host, seen in _calendars(running).items()}
        if set(shown.values()) != {HOUR}:
            raise UnavailableError(f"the clocks do not step here: {shown} seconds instead of {HOUR}")
        for clock in clocks.values():
            clock.show(0)
        yield running, clocks


def _calendars(running: Exchange) -> dict[str, float]:
    """What time it is for each of the servers that can be asked."""
    [row] = execute(running.database, "SELECT UNIX_TIMESTAMP(NOW(6)) AS now")
    with redis.Redis(port=running.redis.port) as client:
        seconds: Any = client.time()
    web = connect(running.url).get("/time").json()["data"]["serverTime"]
    return {"database": float(row["now"]), "redis": seconds[0], "web": datetime.fromisoformat(web).timestamp()}


def compiled(folder: Path) -> Path:
    """The library. Raises UnavailableError."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise UnavailableError("no C compiler, which the library that moves clocks needs")
    library = folder / "clock.so"
    command = (compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl", "-lpthread")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"the library that moves clocks cannot be compiled: {done.stderr[-500:]}")
    return library


def _moved(server: Server, clock: Clock) -> Server:
    """The same server, started again with a clock of its own."""
    server.stop()
    server.environment = {**os.environ, **clock.environment}
    return server.start()


def _step(clock: Clock, seconds: float, lap: Lap) -> None:
    lap.watch.began(lap.now)
    clock.show(seconds)
    lap.wait_for_matching()
    clock.show(0)
    time.sleep(AFTERWARDS_SECONDS)


def _step_without_redis(clock: Clock, seconds: float, lap: Lap) -> None:
    """No bell arrives, and what waits seems to have come in the future."""
    lap.watch.began(lap.now)
    clock.show(seconds)
    lap.exchange.redis.kill()
    lap.wait_for_matching()
    lap.exchange.redis.start()
    clock.show(0)


def _tickers(lap: Lap) -> list[str]:
    """The last price is that of the last trade, whatever the clocks said when it was stored."""
    found, http = [], connect(lap.exchange.url)
    for symbol in SYMBOLS:
        last = http.get(f"/ticker/{symbol}").json()["data"]["lastPrice"]
        newest = max(http.get(f"/trades/{symbol}").json()["data"], key=lambda trade: trade["sequence"])
        if last != newest["price"]:
            found.append(f"{symbol}: the ticker's last price is {last}, and the last trade's {newest['price']}")
    return found
