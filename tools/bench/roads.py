"""The measures of the running exchange: intake, the way from an order to its event, what is polled, and sign-ins."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.bench import engine
from tools.bench.bench import Bench, steps
from tools.bench.cpu import servers
from tools.bench.each_way import WAYS_TIMED, measure_ways
from tools.bench.exchange import Exchange
from tools.bench.intake import measure_intake
from tools.bench.reads import measure_reads
from tools.bench.roundtrip import measure_latency, measure_saturated
from tools.bench.signins import measure_sign_ins
from tools.bench.stage import Stage


@contextmanager
def running(**variables: str) -> Iterator[Exchange]:
    """An exchange on the run's own servers, without a worker yet."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Exchange(environment(**variables), Path(folder), servers=servers()) as exchange,
    ):
        yield exchange


def road(bench: Bench) -> None:
    """Intake alone, then the whole road, through the real processes."""
    with steps(4, "the exchange starts") as progress, running() as exchange:
        bench.report.add(*measure_intake(exchange, Stage("BTC-USD-INTAKE"), progress))
        engine.drain_all("BTC-USD-INTAKE", "what intake took in")
        bench.report.add(*measure_latency(exchange, Stage("BTC-USD-LATENCY"), progress))
        bench.report.add(*measure_saturated(exchange, Stage("BTC-USD-SATURATED"), progress))


def reads(bench: Bench) -> None:
    """What clients poll, with each cache on and off."""
    quiet = environment(LOG_LEVEL="ERROR")
    with steps(5, "the exchanges start") as progress, tempfile.TemporaryDirectory() as folder:
        stage, seconds = Stage("BTC-USD-READS"), 0.5 / bench.size
        bench.report.add(*measure_reads(quiet, Path(folder), stage, seconds, progress))


def ways(bench: Bench) -> None:
    """An order by each way to place one, native and as Binance's clients do."""
    with steps(2, "the exchange starts") as progress, running() as exchange:
        bench.report.add(*measure_ways(exchange, Stage("BTC-USD-WAYS"), bench.of(WAYS_TIMED), progress))


def signins(bench: Bench) -> None:
    """What another user's orders feel of many sign-ins."""
    with steps(None, "the exchange starts") as progress, tempfile.TemporaryDirectory() as folder:
        stage, seconds = Stage("BTC-USD-SIGNINS"), 2.5 / min(bench.size, 2)
        bench.report.add(*measure_sign_ins(environment(), Path(folder), stage, seconds, progress))


def environment(**variables: str) -> dict[str, str]:
    # A worker logs that it is ready at this level only, which is the settings' default.
    return {**os.environ, "LOG_LEVEL": "INFO", **variables}
