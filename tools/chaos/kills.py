"""Kills: clients trade while workers, beat, web, Redis and the database are killed; then everything is counted."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from tools.chaos.auctions import auctions
from tools.chaos.checks import DRAIN_SECONDS, Findings, check, wait_until_idle
from tools.chaos.clients import Client, placed, total, trading
from tools.chaos.exchange import Exchange
from tools.chaos.killer import Killer, Sizes
from tools.chaos.polls import Poller, check_polls, polling
from tools.chaos.report import Progress, Report
from tools.chaos.watch import Watch, in_words
from tools.rig.process import Process

CLIENTS = 6
CLIENT_PAUSE_SECONDS = 0.05
POLLED = 2
# The quick audits that the kills left undone are done while only the clients are at work.
AUDITS_SECONDS = 200
# So many audits must have run for their result to mean anything. How many can run depends on the machine.
LEAST_AUDITS = 10
# The codes of manage.py audit.
CLEAN, FINDINGS = 0, 1
# True while all workers of a market are dead: the killer's purpose, and what this check is there to find.
NOT_SERVED = "inbox-is-served"
QUICK_AUDITS = {"ci": 20, "full": 1000}
CI = Sizes(workers=60, databases=5, redis=10, others=2, pause_seconds=0.5)
FULL = Sizes(workers=1000, databases=50, redis=100, others=20, pause_seconds=0.9)


@dataclass
class Kills:
    """The part's settings."""

    seed: int
    sizes: Sizes
    quick_audits: int

    def run(self, exchange: Exchange) -> Report:
        """On an exchange that runs already, with its workers."""
        clients = [
            Client(trader, number, self.seed, CLIENT_PAUSE_SECONDS)
            for number, trader in enumerate(exchange.traders(CLIENTS))
        ]
        started = time.monotonic()
        polled = [client.trader for client in clients[:POLLED]]
        with (
            Watch(exchange.url) as watch,
            auditing(exchange, self.quick_audits) as auditor,
            polling(exchange, polled, self.seed) as pollers,
            auctions(exchange, self.seed) as operator,
        ):
            killer = self._kill(exchange, watch, clients, auditor)
        seconds = time.monotonic() - started
        report = self._report(exchange, watch, killer, clients, seconds)
        report.add("auctions", str(operator.counts["auctions"]))
        report.wrong += operator.mistakes
        auditor.report_to(report)
        report_polls(report, exchange, pollers)
        return report

    def _kill(self, exchange: Exchange, watch: Watch, clients: list[Client], auditor: "Auditor") -> Killer:
        def done() -> int:
            # Those in the middle of a recovery come on top of the plan.
            return killer.kills.total() - killer.kills["database in recovery"]

        def facts() -> str:
            return f"{placed(clients)} orders, {exchange.trades} trades"

        sizes = self.sizes
        planned = sizes.workers + sizes.databases + sizes.redis + 2 * sizes.others
        with Progress("kills", planned, done, facts) as progress, trading(clients):
            killer = Killer(exchange, watch, Random(f"{self.seed}-kills"), progress.show)
            killer.run(sizes)
            killer.linger(lambda: auditor.is_done, AUDITS_SECONDS)
        return killer

    def _report(
        self, exchange: Exchange, watch: Watch, killer: Killer, clients: list[Client], seconds: float
    ) -> Report:
        idle_after = wait_until_idle(exchange)
        findings = check(exchange, clients)
        if idle_after is None:
            findings.wrong.append(f"commands still waited when everything had run again for {DRAIN_SECONDS} s")
        report = Report("Kills", findings.wrong)
        report.add("servers", f"{exchange.database.name} {exchange.database.version}, {exchange.redis.version}")
        report.add("seed", str(self.seed))
        report.add("time", f"{seconds:.0f} s")
        report.add("kills", in_words_of(killer.kills))
        report.add("ended by themselves, started again", in_words_of(killer.ended_by_themselves) or "none")
        report_clients(report, exchange, clients)
        for kind, recoveries in sorted(watch.recoveries.items()):
            report.add(f"matched again after: {kind}", in_words(recoveries))
        report.add("not measured, for another kill came first", str(watch.dropped))
        report.add("nothing waited any more", "never" if idle_after is None else f"{idle_after:.1f} s after the last")
        report_findings(report, findings)
        report.add("zero losses bound, at 95 %", bounds(killer))
        return report


@dataclass
class Auditor:
    """An auditor beside the trading, whose audits must find nothing, at whatever moment they run."""

    count: int
    process: Process

    @property
    def is_done(self) -> bool:
        return self.process.running is None or self.process.has_ended

    def results(self) -> list[dict[str, Any]]:
        lines = self.process.log.read_text(errors="replace").splitlines()
        parsed = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        # The process's log is in the same file, and JSON too.
        return [line for line in parsed if "outcome" in line]

    def report_to(self, report: Report) -> None:
        results = self.results()
        ran = [audit for audit in results if audit["outcome"] in (CLEAN, FINDINGS)]
        findings = [finding for audit in ran for finding in audit["findings"]]
        alarms = [finding for finding in findings if finding["check"] != NOT_SERVED]
        report.add("quick audits meanwhile", f"{len(ran)} of {self.count} wanted, {len(alarms)} false alarms")
        report.add("quick audits that found a market not served", str(len(findings) - len(alarms)))
        report.add("quick audits tried while there was no database", str(len(results) - len(ran)))
        if ran:
            report.add("time of a quick audit", in_words([audit["seconds"] for audit in ran]))
        report.wrong += [f"a quick audit's false alarm: {alarm}" for alarm in alarms]
        if len(ran) < min(self.count, LEAST_AUDITS):
            report.wrong.append(f"only {len(ran)} quick audits could run: {results[-1:]}")


@contextmanager
def auditing(exchange: Exchange, count: int) -> Iterator[Auditor]:
    """Quick audits within the `with`, until `count` of them could run."""
    code = f"from tools.chaos.auditor import run; run({count})"
    command = (sys.executable, "manage.py", "shell", "-v", "0", "-c", code)
    auditor = Auditor(count, Process("auditor", command, exchange.folder / "auditor.log", exchange.environment))
    auditor.process.launch()
    try:
        yield auditor
    finally:
        auditor.process.kill()


def report_clients(report: Report, exchange: Exchange, clients: list[Client]) -> None:
    """What they placed, and how often they were not answered."""
    report.add("orders accepted", str(placed(clients)))
    report.add("trades", str(exchange.trades))
    report.add("cancels accepted", str(total(clients, "cancels")))
    report.add("amends accepted", str(total(clients, "amends")))
    report.add("requests repeated", str(total(clients, "repeats")))
    troubles = sum((client.troubles for client in clients), start=clients[0].troubles.__class__())
    report.add("not answered, or 5xx", in_words_of(troubles) or "none")
    defects = sum(count for trouble, count in troubles.items() if trouble.startswith("500"))
    if defects:
        report.wrong.append(f"{defects} answers were 500, which is a defect and not an outage")


def report_polls(report: Report, exchange: Exchange, pollers: Sequence[Poller]) -> None:
    """What the pollers were answered, and every answer that was older than it may be."""
    words, mistakes = check_polls(exchange, pollers)
    report.add("answers judged by asOf", words)
    report.add("answers that lacked what they named, or named too little", str(len(mistakes)))
    report.wrong += mistakes


def report_findings(report: Report, findings: Findings) -> None:
    report.add("orders stored", f"{findings.orders}: {in_words_of(findings.statuses)}")
    report.add("lost, doubled, stuck", f"{findings.lost}, {findings.doubled}, {findings.stuck}")
    for audit in findings.audits:
        report.add("audit", audit)


def in_words_of(counts: "dict[str, int]") -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))


def bounds(killer: Killer) -> str:
    """The rule of three: no loss in n kills is what a chance of 3/n in each would still give once in twenty runs."""
    kills = {"any": killer.kills.total()} | {kind: killer.kills[kind] for kind in ("worker", "database", "redis")}
    return ", ".join(f"{kind} kill {3 / count:.1%}" for kind, count in kills.items() if count > 3)
