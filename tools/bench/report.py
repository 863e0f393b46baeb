"""The report of a run: the machine, the table of measures, where the time goes, and what is known of the limits."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

LIMITS = Path(__file__).with_name("limits.md")
PACKAGES = ("django", "celery", "mysqlclient", "redis", "gunicorn", "uvicorn")


@dataclass(frozen=True)
class Row:
    """One measure. `reach` is the least, or with `at_most` the most, that it may be; None where nothing is asked."""

    name: str
    figure: float
    unit: str
    reach: float | None = None
    at_most: bool = False
    detail: str = ""

    @property
    def is_reached(self) -> bool:
        if self.reach is None:
            return True
        return self.figure <= self.reach if self.at_most else self.figure >= self.reach

    @property
    def verdict(self) -> str:
        return "" if self.reach is None else "reached" if self.is_reached else "NOT REACHED"

    @property
    def wanted(self) -> str:
        return "" if self.reach is None else f"{'<=' if self.at_most else '>='} {shown(self.reach)} {self.unit}"

    @property
    def measured(self) -> str:
        return f"{shown(self.figure)} {self.unit}"


@dataclass
class Table:
    """What a step for docs/scaling.md found; it stands there between two marks of its name."""

    name: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        self.rows.append([str(cell) for cell in cells])

    def as_markdown(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass
class Report:
    """What was found so far."""

    database: str
    rows: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    profile: str = ""
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    # How long each step took.
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, *rows: Row) -> None:
        """Take in results, and show them at once: the whole takes minutes."""
        self.rows += rows
        for row in rows:
            tqdm.write(f"{row.name:<52} {row.measured:>18}   {row.wanted:<18} {row.verdict or row.detail}")

    def show(self, table: Table) -> None:
        """Take in a table, and show it."""
        self.tables.append(table)
        tqdm.write(table.as_markdown())

    @property
    def steps(self) -> str:
        return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())

    def write_tables(self, path: Path) -> None:
        """Put each table between its marks in the document, with the day and the machine."""
        text = path.read_text()
        for table in self.tables:
            begin, end = f"<!-- {table.name} -->\n", f"<!-- end of {table.name} -->"
            before, _, rest = text.partition(begin)
            _, found, after = rest.partition(end)
            if not found:
                raise ValueError(f"{path.name} has no place for {table.name}")
            made = f"Measured on {datetime.now(UTC):%Y-%m-%d}, {_size()}, {self.database}; {self._quiet()}."
            text = f"{before}{begin}{made}\n\n{table.as_markdown()}\n{end}{after}"
        path.write_text(text)

    def write(self, path: Path) -> None:
        parts = [
            "# Results",
            f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}. Ratios are measured side by side in one run.",
            self._machine(),
            as_markdown(self.rows),
        ]
        if self.profile:
            parts += ["## Where the time of a drain goes", self.profile]
        parts.append(f"The steps took {sum(self.seconds.values()):.0f} s: {self.steps}.")
        parts.append(LIMITS.read_text().strip())
        path.write_text("\n\n".join(parts) + "\n")

    def _quiet(self) -> str:
        """What others did: on a quiet machine almost nothing waits for a core before a run."""
        return f"{self.load:.1f} processes at work before it"

    def _machine(self) -> str:
        packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        return (
            f"- {_processor()}, {_size()}, {self._quiet()}; {platform.system()} {platform.release()}\n"
            f"- {self.database}, durable as shipped (flushed at each commit, binary log on), on the same machine\n"
            f"- Python {platform.python_version()}, {packages}"
        )


def shown(figure: float) -> str:
    """With as many digits as mean something: 8,214 and 61 and 0.71."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def as_markdown(rows: list[Row]) -> str:
    lines = ["| measure | measured | to reach | verdict | |", "|---|---|---|---|---|"]
    lines += [f"| {row.name} | {row.measured} | {row.wanted} | {row.verdict} | {row.detail} |" for row in rows]
    return "\n".join(lines)


def _size() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor")
