"""manage.py audit: prove that the stored rows agree. Exits with 0 (clean), 1 (findings) or 2 (could not run)."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from audit.checks import Check
from audit.models import Mode, Outcome
from audit.run import ALL, Result, audit, keep

MODES = {"quick": Mode.QUICK, "full": Mode.FULL, "replay": Mode.REPLAY}


class Command(BaseCommand):
    help = (
        "Prove that the stored rows agree. Repairs nothing, and writes only the row of its result."
        " Exit code 0: clean, 1: findings, 2: could not run."
    )
    # A failed system check would exit with 1, which means findings here.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        mode = parser.add_mutually_exclusive_group(required=True)
        mode.add_argument("--quick", action="store_true", help="what happened since the last clean audit")
        mode.add_argument("--full", action="store_true", help="every row")
        mode.add_argument(
            "--replay",
            action="append",
            metavar="SYMBOL",
            help=f"match the market's recorded sequence again, by an independent matcher; several times, or {ALL!r}",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")

    def handle(self, *_: Any, **options: Any) -> None:
        mode = next(mode for name, mode in MODES.items() if options[name])
        result = audit(mode, options["replay"] or (), self._progress if self.stderr.isatty() else _silent)
        try:
            keep(result)
        except Error as error:
            # An account that may only read may audit too. An audit that could not run prints its own reason alone.
            if result.report is not None:
                self.stderr.write(f"the result was not stored: {error}")
        if result.report is None:
            raise CommandError(f"audit could not run: {result.error}", returncode=Outcome.NOT_RUN)
        self.stdout.write(json.dumps(result.represent()) if options["json"] else table(result))
        if result.outcome != Outcome.CLEAN:
            sys.exit(result.outcome)

    def _progress(self, step: str) -> None:
        self.stderr.write(step)


def table(result: Result) -> str:
    """One line for each check, then the findings."""
    assert result.report is not None
    report = result.report
    lines = []
    for check in Check:
        if check in report.counted:
            found = report.found[check]
            verdict = f"{found:,} found" if found else "ok"
            lines.append(f"{check.value:26} {report.counted[check]:>11,} {check.noun:15} {verdict}")
    for finding in report.findings:
        shown = finding.represent()
        rows = ", ".join(shown["rows"]) + (" ..." if shown["rowCount"] > len(shown["rows"]) else "")
        lines += ["", f"{finding.check.value}: {finding.message}", f"  rows      {rows}"]
        lines += [f"  expected  {finding.expected}", f"  found     {finding.actual}"]
    if report.total > len(report.findings):
        lines += ["", f"and {report.total - len(report.findings):,} more"]
    verdict = f"{report.total:,} found" if report.total else "clean"
    return "\n".join([*lines, "", f"{result.mode.value.lower()}: {verdict} in {result.seconds:.1f} s"])


def _silent(_: str) -> None:
    pass
