"""The report of an audit: how many rows each check read, and its findings."""

from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from audit.checks import Check

# A hundred findings of one check are enough to see what is wrong, and more of them could fill the memory.
MOST_OF_A_CHECK = 100
MOST_ROWS = 20


@dataclass(frozen=True)
class Finding:
    """One place where a rule is broken: the rows concerned, the expected value and the stored one."""

    check: Check
    message: str
    rows: tuple[str, ...]
    expected: str
    actual: str

    def represent(self) -> dict[str, Any]:
        return {
            "check": self.check.value,
            "message": self.message,
            "rows": list(self.rows[:MOST_ROWS]),
            "rowCount": len(self.rows),
            "expected": self.expected,
            "actual": self.actual,
        }

    def __str__(self) -> str:
        return f"{self.check}: {self.message} (expected {self.expected}, found {self.actual})"


@dataclass
class Report:
    """The counts and findings of all checks. `left_out` are checks that are neither counted nor reported.

    `progress` receives the name of each part of the work when it begins.
    """

    left_out: Container[Check] = ()
    progress: Callable[[str], None] = lambda _: None
    counted: Counter[Check] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    found: Counter[Check] = field(default_factory=Counter)

    def count(self, checks: Iterable[Check], number: int) -> None:
        """The checks have read so many more rows. A count of 0 shows that a check ran and found no row to read."""
        for check in checks:
            if check not in self.left_out:
                self.counted[check] += number

    def add(self, check: Check, message: str, rows: Iterable[str], expected: object = "", actual: object = "") -> None:
        if check in self.left_out:
            return
        self.found[check] += 1
        if self.found[check] <= MOST_OF_A_CHECK:
            self.findings.append(Finding(check, message, tuple(rows), str(expected), str(actual)))

    @property
    def total(self) -> int:
        """The number of findings, with those that are not kept."""
        return self.found.total()
