"""What is measured for docs/scaling.md: more markets, more cores, a database further away, a long past, other options.

Each step gives a table, whose rows took turns where the machine's moods would show in them.
"""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TypeVar
from urllib.parse import urlsplit

from tools.bench import engine
from tools.bench.bench import Bench, steps
from tools.bench.cpu import servers
from tools.bench.distance import direct_round_trip, round_trip
from tools.bench.halves import HalfCores, are_available
from tools.bench.history import give_history
from tools.bench.intake import BATCH_SIZE, measure_intake
from tools.bench.options import OPTIONS, options_set
from tools.bench.report import Row, Table, shown
from tools.bench.roads import running
from tools.bench.roundtrip import measure_latency
from tools.bench.stage import Stage
from tools.bench.trips import of_batch, of_requests
from tools.bench.workers import Worked, by_workers, work_on
from tools.rig.process import HOST, ROOT, Process
from tools.rig.servers import free_port

DOCUMENT = ROOT / "docs" / "scaling.md"
MARKETS, CORES, COMMANDS = (1, 2, 4), (2, 3, 4), 6000
# Markets, and all except the first also cores, for which the orders a second are computed.
CAPACITY = (1, 2, 4, 8, 16)
# Milliseconds that a round trip to the database takes longer; the first with no proxy at all.
DISTANCES = (None, 0.0, 0.2, 0.5, 1.0)
SMALL = 10
# So many batches are counted, and ten times as many requests.
TRIPS = 10
ROUNDS = 2
SECONDS = 2.0

Key = TypeVar("Key")


def markets(bench: Bench) -> None:
    """One, two and four markets on as many workers, and who is busy meanwhile."""
    found = by_workers("MARKETS", MARKETS, bench.of(COMMANDS), ROUNDS)
    table = Table("markets", ("markets and workers", "orders a second", "against one", "meanwhile"))
    for number, worked in found.items():
        table.add(number, shown(worked.rate), f"{worked.rate / found[1].rate:.2f}", worked.detail)
    bench.report.show(table)
    if not _is_mysql(bench):
        # MariaDB's threads have no names, so that nobody knows which of them are connections.
        return
    cost = bench.cost = found[1].cost
    table = Table("capacity", ("cores", *(f"{number} {_of(number)}" for number in CAPACITY)))
    for cores in CAPACITY[1:]:
        table.add(cores, *(_rounded(cost.rate(number, cores)) for number in CAPACITY))
    bench.report.show(table)


def halves(bench: Bench) -> None:
    """The same on two, three and four cores of half the speed."""
    if not are_available():
        print("cores of half the speed need control groups of version 1, and the right to make some")
        return
    table = Table("halves", ("cores of half the speed", *(f"{number} on {number} workers" for number in MARKETS)))
    database = servers()["database"]

    def measured(cores: int, number: int, turn: int) -> Worked:
        stages = [Stage(f"BTC-USD-HALF{turn}C{cores}M{number}N{place}") for place in range(number)]
        with HalfCores(cores) as half:
            return work_on(stages, bench.of(COMMANDS), prepare=lambda workers: half.hold([database, *workers]))

    keys = [(cores, number) for cores in CORES for number in MARKETS]
    found = _in_turns(keys, lambda key, turn: measured(*key, turn).rate, "cores of half the speed")
    for cores in CORES:
        cells = [shown(found[cores, number]) for number in MARKETS]
        if bench.cost is not None:
            computed = [bench.cost.rate(number, cores, speed=0.5) for number in MARKETS]
            cells = [f"{cell} ({_rounded(rate)})" for cell, rate in zip(cells, computed, strict=True)]
        table.add(cores, *cells)
    bench.report.show(table)


def trips(bench: Bench) -> None:
    """How many round trips a batch and a request are."""
    table = Table("trips", ("what", "round trips", "an order"))
    for size in (1, SMALL, 100, 500):
        counted = of_batch(size, bench.of(TRIPS))
        table.add(f"a batch of {size}", f"{counted:.1f}", f"{counted / size:.3g}")
    with running() as exchange:
        single, hundred = of_requests(exchange, Stage("BTC-USD-TRIPSIN"), bench.of(10 * TRIPS))
    table.add("a request with one order", f"{single:.1f}", f"{single:.3g}")
    table.add(f"a request with {BATCH_SIZE} orders", f"{hundred:.1f}", f"{hundred / BATCH_SIZE:.3g}")
    bench.report.show(table)


def distances(bench: Bench) -> None:
    """A database that is further away."""
    head = ("round trip", "drain, batches of 500", f"of {SMALL}", "one order a request", "100 a request", "to FILLED")
    table = Table("distances", head)
    trips: dict[float | None, float] = {}

    def measured(key: tuple[float | None, int], turn: int) -> float:
        (milliseconds, size), name = key, f"BTC-USD-AWAY{turn}D{DISTANCES.index(key[0])}S{key[1]}"
        commands = bench.of(COMMANDS if size > SMALL else COMMANDS // 4)
        with _away(milliseconds) as (variables, trip):
            trips[milliseconds] = trip
            sizes = {"ENGINE_BATCH_SIZE": str(size)}
            return work_on([Stage(name)], commands, {**variables, **sizes}).rate

    keys = [(milliseconds, size) for milliseconds in DISTANCES for size in (500, SMALL)]
    drained = _in_turns(keys, measured, "drains at a distance")
    with steps(4 * len(DISTANCES)) as progress:
        for place, milliseconds in enumerate(DISTANCES):
            with _away(milliseconds) as (variables, _), running(**variables) as exchange:
                taken = measure_intake(exchange, Stage(f"BTC-USD-AWAYIN{place}"), progress, SECONDS / bench.size)
                engine.drain_all(f"BTC-USD-AWAYIN{place}", "what intake took in")
                waited = measure_latency(exchange, Stage(f"BTC-USD-AWAYOUT{place}"), progress)
            times = " and ".join(row.measured for row in waited)
            speeds = (shown(drained[milliseconds, size]) for size in (500, SMALL))
            table.add(_named(milliseconds, trips), *speeds, *(shown(row.figure) for row in taken), times)
    bench.report.show(table)


def past(bench: Bench) -> None:
    """A past of many closed orders, as it is felt by all."""
    rows, commands = bench.of(bench.history), bench.of(COMMANDS)
    young, old = Stage("BTC-USD-YOUNG"), Stage("BTC-USD-OLD")
    table = Table("past", ("closed orders and trades", "drain", "one order a request", "to FILLED"))

    def felt(stage: Stage) -> list[str]:
        rate = max(engine.measure(stage, commands, "drain").rate for _ in range(3))
        with steps(3) as progress, running() as exchange:
            taken, _ = measure_intake(exchange, stage, progress, SECONDS / bench.size)
            engine.drain_all(stage.symbol, "what intake took in")
            waited = measure_latency(exchange, stage, progress)
        return [shown(rate), shown(taken.figure), " and ".join(row.measured for row in waited)]

    table.add("none", *felt(young))
    give_history(old, young, rows)
    table.add(f"{rows:,}", *felt(old))
    bench.report.show(table)


def options(bench: Bench) -> None:
    """MySQL with other options than it is shipped with."""
    if not _is_mysql(bench):
        print("the options are those of MySQL")
        return
    table = Table("options", ("options", "drain", "against shipped", "one order a request", "against shipped"))
    names = list(OPTIONS)

    def drained(name: str, turn: int) -> float:
        with options_set(OPTIONS[name]):
            return work_on([Stage(f"BTC-USD-OPTION{turn}N{names.index(name)}")], bench.of(COMMANDS)).rate

    def taken(name: str, turn: int) -> float:
        stage = Stage(f"BTC-USD-OPTIONIN{turn}N{names.index(name)}")
        with options_set(OPTIONS[name]), running() as exchange:
            singles: Row = measure_intake(exchange, stage, lambda _: None, SECONDS / bench.size)[0]
        return singles.figure

    drains, intakes = _in_turns(names, drained, "options: drains"), _in_turns(names, taken, "options: intake")
    first = names[0]
    for name in names:
        compared = drains[name] / drains[first], intakes[name] / intakes[first]
        table.add(name, shown(drains[name]), f"{compared[0]:.2f}", shown(intakes[name]), f"{compared[1]:.2f}")
    bench.report.show(table)


def _is_mysql(bench: Bench) -> bool:
    return bench.report.database.startswith("mysql")


def _of(number: int) -> str:
    return "market" if number == 1 else "markets"


def _rounded(rate: float) -> str:
    """What is computed, and so not known to the last digit."""
    return f"{round(rate, -2):,.0f}"


def _in_turns(keys: list[Key], measured: Callable[[Key, int], float], what: str) -> dict[Key, float]:
    """The median of what is measured of each: they take turns, because the machine changes."""
    found: dict[Key, list[float]] = {key: [] for key in keys}
    with steps(ROUNDS * len(keys), what) as progress:
        for turn in range(ROUNDS):
            for key in keys:
                found[key].append(measured(key, turn))
                progress(f"{what}, {key}")
    return {key: median(each) for key, each in found.items()}


@contextmanager
def _away(milliseconds: float | None) -> Iterator[tuple[dict[str, str], float]]:
    """The variables of processes whose database is so much further away, and a round trip of theirs as measured."""
    if milliseconds is None:
        yield {}, direct_round_trip()
        return
    url, port = urlsplit(os.environ["DATABASE_URL"]), free_port()
    arguments = ("--listen", str(port), "--target", str(url.port), "--milliseconds", str(milliseconds))
    command = (sys.executable, "-m", "tools.bench.distance", *arguments)
    log = Path(os.environ["DATA_DIR"]) / "distance.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with Process("distance", command, log, ready=lambda _: _listens(port)).start():
        distant = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{port}"))
        yield {"DATABASE_URL": distant.geturl()}, round_trip(port)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def _named(milliseconds: float | None, trips: dict[float | None, float]) -> str:
    how = "direct" if milliseconds is None else f"proxy, {milliseconds:g} ms" if milliseconds else "proxy alone"
    return f"{trips[milliseconds]:.2f} ms ({how})"
