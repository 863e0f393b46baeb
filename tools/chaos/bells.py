"""Bells tampered with: lost, doubled up to ten times, shuffled, late by an hour; each order is still applied once.

The exchange's processes are real, but what web sends goes to another database of Redis than the one in which
the workers consume. A carrier takes the messages across, unchanged, and does to them what a broker may do and worse.
"""

import json
import threading
import time
import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Self

import redis

from tools.chaos.checks import check, wait_until_idle, waiting_commands
from tools.chaos.clients import Client, placed, trading
from tools.chaos.exchange import SYMBOLS, Exchange, running_exchange
from tools.chaos.kills import in_words_of, report_clients, report_findings
from tools.chaos.report import Progress, Report

COUNTS = {"ci": 2_000, "full": 100_000}
CLIENTS, CLIENT_PAUSE_SECONDS = 3, 0.08
SENT_TO, CONSUMED_FROM = 0, 2
QUEUES = tuple(f"orders.{symbol}" for symbol in SYMBOLS)
MOST_COPIES = 10
# Of the copies: how many are delivered at once, how many later, by how much.
DELAYS = ((0.0, 0.0, 50), (0.0, 0.5, 30), (0.5, 3.0, 20))
# Bells that were delivered long ago and come again.
OLD_PER_STEP, KEPT = 20, 5_000
STEP_SECONDS = 0.01
MOST_WAITING = 500
HOUR = timedelta(hours=1)


@dataclass
class Carrier:
    """Carries the bells across in a thread of its own, until `count` were delivered."""

    port: int
    random: Random
    count: int
    counts: Counter[str] = field(default_factory=Counter)
    failure: str = ""

    def __post_init__(self) -> None:
        self._sent = redis.Redis(port=self.port, db=SENT_TO)
        self._consumed = redis.Redis(port=self.port, db=CONSUMED_FROM)
        self._old: deque[tuple[str, bytes]] = deque(maxlen=KEPT)
        self._due: list[tuple[float, str, bytes]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="carrier")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What is still to come is lost with it."""
        self._stop.set()
        self._thread.join()
        self._sent.close()
        self._consumed.close()

    @property
    def is_done(self) -> bool:
        return bool(self.failure) or self.counts["delivered"] >= self.count

    def _run(self) -> None:
        try:
            while not self._stop.wait(STEP_SECONDS):
                self._collect()
                self._deliver()
        except Exception as error:
            self.failure = repr(error)

    def _collect(self) -> None:
        """Each bell that was rung becomes none to ten copies, each with its own delay."""
        for queue in QUEUES:
            popped: Any = self._sent.rpop(queue, 100)
            for message in popped or []:
                self._old.append((queue, message))
                self.counts["rung"] += 1
                copies = self.random.randint(0, MOST_COPIES)
                self.counts["lost"] += copies == 0
                for _ in range(copies):
                    ((least, most, _share),) = self.random.choices(DELAYS, [share for *_, share in DELAYS])
                    self._due.append((time.monotonic() + self.random.uniform(least, most), queue, message))

    def _deliver(self) -> None:
        waiting = sum(int(self._consumed.llen(queue)) for queue in QUEUES)
        now = time.monotonic()
        coming = [(queue, message) for at, queue, message in self._due if at <= now]
        self._due = [due for due in self._due if due[0] > now]
        if waiting < MOST_WAITING and self._old:
            coming += self.random.choices(self._old, k=OLD_PER_STEP)
        self.random.shuffle(coming)
        for queue, message in coming:
            # To either end: some overtake all that wait.
            push = self._consumed.lpush if self.random.random() < 0.5 else self._consumed.rpush
            push(queue, self._aged(message))
            self.counts["delivered"] += 1

    def _aged(self, message: bytes) -> bytes:
        """As it was; an hour old, which a worker throws away; or one that an hour has not made worthless."""
        kind = self.random.choices(("as rung", "expired an hour ago", "good for an hour more"), (3, 1, 4))[0]
        self.counts[kind] += 1
        content = json.loads(message)
        # A broker that doubles a message gives it a tag of its own.
        content["properties"]["delivery_tag"] = str(uuid.uuid4())
        if kind != "as rung":
            expires = datetime.now(UTC) + (-HOUR if kind.startswith("expired") else HOUR)
            content["headers"]["expires"] = expires.isoformat()
        return json.dumps(content).encode()


@dataclass
class Bells:
    """The part's settings."""

    database: str
    folder: Path
    seed: int
    count: int

    def run(self) -> Report:
        with running_exchange(self.database, self.folder) as exchange:
            consumer = {"BROKER_URL": f"{exchange.redis.url}/{CONSUMED_FROM}"}
            exchange.start_workers(**consumer)
            clients = [
                Client(trader, number, self.seed, CLIENT_PAUSE_SECONDS)
                for number, trader in enumerate(exchange.traders(CLIENTS))
            ]
            with Carrier(exchange.redis.port, Random(f"{self.seed}-bells"), self.count) as carrier:
                self._trade(carrier, clients)
            waited = waiting_commands(exchange)
            return self._report(exchange, carrier, clients, waited)

    def _trade(self, carrier: Carrier, clients: list[Client]) -> None:
        def done() -> int:
            return carrier.counts["delivered"]

        with Progress("bells", self.count, done, lambda: f"{placed(clients)} orders") as progress, trading(clients):
            while not carrier.is_done:
                progress.show()
                time.sleep(0.05)

    def _report(self, exchange: Exchange, carrier: Carrier, clients: list[Client], waited: int) -> Report:
        idle_after = wait_until_idle(exchange)
        findings = check(exchange, clients)
        report = Report("Bells lost, doubled, shuffled and late", findings.wrong)
        if carrier.failure:
            report.wrong.append(f"no bell was carried any more: {carrier.failure}")
        if idle_after is None:
            report.wrong.append("commands still waited after the last bell")
        report.add("servers", f"{exchange.database.name} {exchange.database.version}, {exchange.redis.version}")
        report.add("bells", in_words_of(carrier.counts))
        report.add("commands that waited after the last bell", str(waited))
        report_clients(report, exchange, clients)
        report_findings(report, findings)
        return report
