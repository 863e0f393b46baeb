"""The metrics, for Prometheus. docs/operations.md, the alerts and the dashboard use their names and labels.

Each process counts for itself. Of processes that share the folder PROMETHEUS_MULTIPROC_DIR each shows the sum.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from base.telemetry.liveness import is_alive
from base.telemetry.processes import SharedProcesses, count_garbage

# prometheus-client's own variable.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"

INTAKE, ENGINE = "intake", "engine"
ORDERS_RECEIVED = Counter("exchange_orders_received", "Orders stored and answered with 202", ["symbol"])
ORDERS_DUPLICATE = Counter(
    "exchange_orders_duplicate", "Orders answered from an earlier one of the same key", ["symbol"]
)
# By the intake's error code, or by the engine's reason.
ORDERS_REJECTED = Counter("exchange_orders_rejected", "Orders that were turned away", ["symbol", "reason", "by"])
ORDERS_PROCESSED = Counter("exchange_orders_processed", "Orders applied by their market's worker", ["symbol"])
ORDER_EVENTS = Counter("exchange_order_events", "Steps in orders' lives, by what they led to", ["symbol", "status"])
ORDERS_FAILED = Counter("exchange_orders_failed", "Orders given up because of a defect", ["symbol"])
RATE_LIMITED = Counter("exchange_rate_limited", "Requests refused by the rate limit", ["bucket"])
# The outcome is right, wrong, locked (not looked at, after too many that were wrong) or busy (too many at once).
SIGN_INS = Counter("exchange_sign_ins", "Passwords that were given", ["outcome"])
TRADES = Counter("exchange_trades", "Trades settled", ["symbol"])
ORDER_SECONDS = Histogram(
    "exchange_order_processing_seconds",
    "From an order's acceptance to the commit that applied it",
    ["symbol"],
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2, 5, 15, 60),
)

BATCH_COMMANDS = Histogram(
    "exchange_batch_commands",
    "Commands in one transaction",
    ["symbol"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
_LOCK_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3)
LOCK_WAIT = Histogram("exchange_lock_wait_seconds", "Waiting for a book's row", ["symbol"], buckets=_LOCK_BUCKETS)
LOCKED = Histogram("exchange_locked_seconds", "Holding a book's row", ["symbol"], buckets=_LOCK_BUCKETS)
DEADLOCK_RETRIES = Counter("exchange_deadlock_retries", "Transactions done again after a deadlock", ["by"])
INTERRUPTIONS = Counter("exchange_interruptions", "Batches broken off by an outage of the database", ["symbol"])
DEAD_LETTERS = Counter("exchange_dead_letters", "Commands that the engine gave up", ["symbol"])

# Of breakers: each process finds out by itself.
SERVER_AWAY = Gauge(
    "exchange_server_away", "Whether Redis or the broker is done without", ["server"], multiprocess_mode="livemax"
)

# The result is "hit" (of ids: it was never issued), or why the database was read instead.
CACHE_READS = Counter("exchange_cache_reads", "Reads of a cache", ["cache", "result"])
CACHE_INVALIDATIONS = Counter("exchange_cache_invalidations", "Entries that a writer made worthless", ["cache"])
DEPTH_REPAIRS = Counter("exchange_depth_repairs", "Depths that were not as in the database", ["symbol", "fault"])

# Of Redis or the broker, by where it was: somebody writes there who should not.
MALFORMED = Counter("exchange_malformed_entries", "Entries that cannot be read and were dropped", ["place"])

STREAM_CONNECTIONS = Gauge("exchange_stream_connections", "Open event streams", ["stream"], multiprocess_mode="livesum")
SOCKETS = Gauge("exchange_sockets", "Open WebSockets", multiprocess_mode="livesum")
STREAM_EVENTS = Counter("exchange_stream_events", "Events sent to clients", ["stream"])
STREAM_RESETS = Counter("exchange_stream_resets", "Resets sent to clients that may have missed events", ["stream"])


def exposed() -> bytes:
    """What was counted, in Prometheus's text format."""
    count_garbage()
    return generate_latest(registry())


def registry() -> CollectorRegistry:
    """The counters of this process, or of all that share its folder."""
    if not os.environ.get(FOLDER):
        return REGISTRY
    shared = CollectorRegistry()
    shared.register(_Shared())
    shared.register(SharedProcesses(Path(os.environ[FOLDER])))
    return shared


class _Shared(Collector):
    """What lies in the folder, without the gauges of processes that ended, however they went. Counters go on."""

    def collect(self) -> Iterable[Metric]:
        folder = Path(os.environ[FOLDER])
        for file in folder.glob("gauge_live*_*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if not is_alive(pid):
                # Another scrape may be doing the same.
                file.unlink(missing_ok=True)
        counted: Iterable[Metric] = MultiProcessCollector(None, str(folder)).collect()  # type: ignore[no-untyped-call]
        return counted
