"""An auditor beside the trading: it must find nothing, at whatever moment it looks."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.live import ROOT
from tools.chaos.exchange import Exchange
from tools.chaos.report import Report
from tools.chaos.watch import in_words
from tools.rig.process import Process

# How many must have looked for the run to say anything. How many can depends on the machine.
LEAST = 10
# The codes of manage.py audit.
CLEAN, FINDINGS = 0, 1
# True while everything that serves a market is dead: that is what the killer is for, and what the alarm is for.
NOT_SERVED = "inbox-is-served"


@dataclass
class Auditor:
    """The process of tools.chaos.audits, and what it said so far."""

    count: int
    process: Process

    @property
    def is_done(self) -> bool:
        return self.process.running is None or self.process.has_ended

    def said(self) -> list[dict[str, Any]]:
        lines = self.process.log.read_text(errors="replace").splitlines()
        said = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        # Its log is in the same file, and JSON too.
        return [line for line in said if "outcome" in line]

    def report_to(self, report: Report) -> None:
        said = self.said()
        looked = [audit for audit in said if audit["outcome"] in (CLEAN, FINDINGS)]
        findings = [finding for audit in looked for finding in audit["findings"]]
        alarms = [finding for finding in findings if finding["check"] != NOT_SERVED]
        report.add("quick audits meanwhile", f"{len(looked)} of {self.count} wanted, {len(alarms)} false alarms")
        report.add("quick audits that said a market was not served", str(len(findings) - len(alarms)))
        report.add("quick audits tried while there was no database", str(len(said) - len(looked)))
        if looked:
            report.add("time of a quick audit", in_words([audit["seconds"] for audit in looked]))
        report.wrong += [f"a quick audit's false alarm: {alarm}" for alarm in alarms]
        if len(looked) < min(self.count, LEAST):
            report.wrong.append(f"only {len(looked)} quick audits could look: {said[-1:]}")


@contextmanager
def auditing(exchange: Exchange, count: int) -> Iterator[Auditor]:
    """Quick audits within the `with`, until `count` have looked."""
    code = f"from tools.chaos.audits import run; run({count})"
    command = (sys.executable, "manage.py", "shell", "-v", "0", "-c", code)
    log = Path(exchange.live.folder / "auditor.log")
    auditor = Auditor(count, Process("auditor", command, exchange.live.environment, ROOT, log))
    auditor.process.start()
    try:
        yield auditor
    finally:
        auditor.process.end(signal.SIGKILL)
