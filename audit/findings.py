"""What an audit looked at, and what it found wrong."""

from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from audit.checks import Check

# What is wrong in a thousand rows is told well enough by a hundred of them, and must not fill the memory.
MOST_OF_A_CHECK = 100
MOST_ROWS = 20


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: which rows say so, and what they should have said."""

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
    """What the checks write into. `left_out` are checks whose findings do not count, nor are they told."""

    left_out: Container[Check] = ()
    tell: Callable[[str], None] = lambda _: None
    looked: Counter[Check] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    found: Counter[Check] = field(default_factory=Counter)

    def look(self, checks: Iterable[Check], number: int) -> None:
        """The checks looked at so many more rows; none at all is told too."""
        for check in checks:
            if check not in self.left_out:
                self.looked[check] += number

    def add(self, check: Check, message: str, rows: Iterable[str], expected: object = "", actual: object = "") -> None:
        if check in self.left_out:
            return
        self.found[check] += 1
        if self.found[check] <= MOST_OF_A_CHECK:
            self.findings.append(Finding(check, message, tuple(rows), str(expected), str(actual)))

    @property
    def total(self) -> int:
        """How many findings there are, those that are not kept included."""
        return self.found.total()
