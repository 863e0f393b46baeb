"""The report of a run: the machine, the table, where the time goes, and what is known of the limits."""

import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tools.bench.table import Row, as_markdown

LIMITS = Path(__file__).with_name("limits.md")
PACKAGES = ("django", "celery", "mysqlclient", "redis", "gunicorn", "uvicorn")


@dataclass
class Report:
    """What was found so far."""

    database: str
    rows: list[Row] = field(default_factory=list)
    profile: str = ""

    def add(self, *rows: Row) -> None:
        """Take in results, and show them at once: the whole takes minutes."""
        self.rows += rows
        for row in rows:
            print(f"{row.name:<52} {row.measured:>18}   {row.wanted:<18} {row.verdict}", flush=True)

    def write(self, path: Path) -> None:
        parts = [
            "# Results",
            f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}. Ratios are measured side by side in one run.",
            self._machine(),
            as_markdown(self.rows),
        ]
        if self.profile:
            parts += ["## Where the time of a drain goes", self.profile]
        parts.append(LIMITS.read_text().strip())
        path.write_text("\n\n".join(parts) + "\n")

    def _machine(self) -> str:
        packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return (
            f"- {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()} {platform.release()}\n"
            f"- {self.database}, durable as shipped (flushed at each commit, binary log on), on the same machine\n"
            f"- Python {platform.python_version()}, {packages}"
        )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor")
