"""The tests of tests/proof many times over: failpoints, long random streams and poison orders."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tools.chaos.report import Report

ROOT = Path(__file__).resolve().parents[2]
TIMES = {"ci": 1, "full": 20}
TESTS = {
    "every failpoint struck in six ways": ("tests/proof/test_failpoints.py", ""),
    "random commands beside the independent matcher": ("tests/proof/test_streams.py", "long"),
    "poison orders": ("tests/proof/test_streams.py", "poison"),
}
# How much each of them does in one go.
AMOUNTS = {
    "every failpoint struck in six ways": (1, "times each"),
    "random commands beside the independent matcher": (50_000, "commands"),
    "poison orders": (100, "among a hundred times as many"),
}
SUMMARY = re.compile(r"\d+ (?:passed|failed|error).*")


@dataclass
class Proof:
    """The part's settings."""

    database: str
    seed: int
    times: int

    def run(self) -> Report:
        report = Report("Failpoints, random streams and poison", [])
        for title in TESTS:
            self._run(title, report)
        return report

    def _run(self, title: str, report: Report) -> None:
        tests, word = TESTS[title]
        amount, unit = AMOUNTS[title]
        print(f"\n{title}: {amount * self.times:,} {unit}", flush=True)
        command = [sys.executable, "-m", "tools.scripts.test", "--only", self.database, tests, "-k", word, "-q"]
        started = time.monotonic()
        environment = {**os.environ, "PROVE": str(self.times), "TEST_SEED": str(self.seed)}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        summary = (SUMMARY.findall(done.stdout) or ["no summary"])[-1]
        report.add(title, f"{amount * self.times:,} {unit}: {summary} ({time.monotonic() - started:.0f} s)")
        if done.returncode:
            print(done.stdout[-20_000:], file=sys.stderr)
            report.wrong.append(f"{title}: {summary}")
