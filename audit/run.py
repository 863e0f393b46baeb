"""One audit, from its snapshot to its row: `manage.py audit` runs it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from audit.checks import REPLAYED, Check, Report
from audit.inspect import Positions, inspect_full, inspect_since
from audit.models import AuditRun, Mode, Outcome
from audit.reference_data import load_reference_data
from audit.replay import Replay
from base.storage.snapshot import one_snapshot
from base.web.errors import timestamp

KEPT_FINDINGS = 1_000
ALL = "all"


class UnknownSymbol(Exception):
    """A market that is to be replayed does not exist."""


@dataclass
class Result:
    """The result of an audit. An audit that could not run has no report, and `error` is the reason."""

    mode: Mode
    started_at: datetime
    seconds: float
    report: Report | None = None
    positions: Positions | None = None
    error: str = ""

    @property
    def outcome(self) -> Outcome:
        if self.report is None:
            return Outcome.NOT_RUN
        return Outcome.FINDINGS if self.report.findings else Outcome.CLEAN

    @property
    def counted(self) -> dict[str, int]:
        return (
            {check.value: self.report.counted[check] for check in Check if check in self.report.counted}
            if self.report
            else {}
        )

    def represent(self) -> dict[str, Any]:
        assert self.report is not None
        return {
            "mode": self.mode.value.lower(),
            "startedAt": timestamp(self.started_at),
            "seconds": self.seconds,
            "looked": self.counted,
            "findings": [finding.represent() for finding in self.report.findings],
            "found": self.report.total,
            "exitCode": self.outcome.value,
        }


def audit(mode: Mode, symbols: Sequence[str] = (), progress: Callable[[str], None] = lambda _: None) -> Result:
    """Audit in one snapshot. Never raises: an error makes a result without a report."""
    began, clock = timezone.now(), time.monotonic()
    try:
        report = Report(progress=progress)
        with one_snapshot():
            positions = _INSPECT[mode](report, timezone.now(), symbols)
    except Exception as error:
        result = Result(mode, began, 0, error=f"{type(error).__name__}: {' '.join(str(error).split())}")
    else:
        result = Result(mode, began, 0, report, positions)
    result.seconds = round(time.monotonic() - clock, 3)
    return result


def keep(result: Result) -> None:
    """Store the result. Raises the database's error."""
    findings = result.report.findings[:KEPT_FINDINGS] if result.report else []
    AuditRun.objects.create(
        mode=result.mode,
        started_at=result.started_at,
        seconds=result.seconds,
        outcome=result.outcome,
        looked=result.counted,
        positions=result.positions and result.positions._asdict(),
        findings=[finding.represent() for finding in findings],
        found=result.report.total if result.report else 0,
        error=result.error[:500],
    )


def last_run() -> AuditRun | None:
    return AuditRun.objects.defer("findings", "looked", "positions").order_by("-id").first()


def _inspect_all(report: Report, now: datetime, _: Sequence[str]) -> Positions:
    return inspect_full(report, now)


def _inspect_since_last(report: Report, now: datetime, _: Sequence[str]) -> Positions:
    clean = AuditRun.objects.filter(outcome=Outcome.CLEAN, positions__isnull=False).order_by("-id")
    return inspect_since(report, now, Positions.of(clean.values_list("positions", flat=True).first()))


def _replay(report: Report, now: datetime, symbols: Sequence[str]) -> None:
    data = load_reference_data(report, now)
    report.count(REPLAYED, 0)
    unknown = sorted(set(symbols) - data.markets.keys() - {ALL})
    if unknown:
        raise UnknownSymbol(", ".join(unknown))
    for symbol in sorted(data.markets) if ALL in symbols else dict.fromkeys(symbols):
        report.progress(f"market {symbol}")
        Replay(report, data, data.markets[symbol]).run()


_INSPECT: dict[Mode, Callable[[Report, datetime, Sequence[str]], Positions | None]] = {
    Mode.QUICK: _inspect_since_last,
    Mode.FULL: _inspect_all,
    Mode.REPLAY: _replay,
}
