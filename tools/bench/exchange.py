"""The running exchange that is measured, as the README runs it by hand, and the CPU time that each process takes."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tools.rig import exchange
from tools.rig.servers import free_port


@dataclass(kw_only=True)
class Exchange(exchange.Exchange):
    """REST and streams run within the `with`; the worker and beat from `start_matching` on.

    `servers` are the process ids of servers whose CPU time is measured beside that of the exchange's own processes.
    """

    servers: Mapping[str, int] = field(default_factory=dict)
    stream_port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        try:
            self.run(exchange.rest(self.port), exchange.web(self.stream_port, "stream"))
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start_matching(self) -> None:
        """Start what applies the commands, if it does not run: the worker and beat."""
        if not self.is_matching:
            self.run(exchange.worker(), exchange.beat())

    @property
    def is_matching(self) -> bool:
        return "worker" in self.processes

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far of each process with its children, of the servers, and of the load generator: us."""
        pids = {name: process.pid for name, process in self.processes.items()} | dict(self.servers)
        usage = _usage()
        spent = {name: _spent(pid, usage) for name, pid in pids.items() if pid is not None}
        return spent | {"generator": time.process_time()}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """The CPU seconds between two readings, of those processes that used any."""
    used = {name: after[name] - before[name] for name in after if name in before}
    return "CPU s: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in used.items() if seconds >= 0.05)


def _usage() -> dict[int, tuple[int, float]]:
    """Of each process the parent and the CPU seconds; nothing where there is no /proc."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The command's name comes before it, in brackets, and may contain anything.
            values = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(stat.parent.name)] = int(values[1]), (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")
    return found


def _spent(pid: int, usage: Mapping[int, tuple[int, float]]) -> float:
    own = usage[pid][1] if pid in usage else 0.0
    return own + sum(_spent(child, usage) for child, (parent, _) in usage.items() if parent == pid)
