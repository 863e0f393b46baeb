"""Cores of half the speed: each thread may run half of the time, and all together so many halves.

So a machine of two cores stands for one with up to four slower ones. It needs Linux with control groups of version 1
and the right to make some. What it cannot show: the disk and the memory keep their full speed, so they cost less beside
these cores than beside real ones; and a thread that has used its half stands still for a millisecond, with whatever
locks it holds.
"""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

GROUPS = Path("/sys/fs/cgroup/cpu")
# The least that the kernel takes, in microseconds.
PERIOD, HALF = 2000, 1000
LOOK_SECONDS = 0.005


def are_available() -> bool:
    return os.access(GROUPS / "tasks", os.W_OK) and (GROUPS / "cpu.cfs_quota_us").exists()


class HalfCores:
    """Within the `with`, all threads of the processes that are held run on so many cores of half the speed."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.group = GROUPS / f"exchange-bench-{os.getpid()}"
        self.processes: set[int] = set()
        self.held: set[int] = set()
        self._end = threading.Event()
        self._watch = threading.Thread(target=self._hold_new, name="half-cores", daemon=True)

    def __enter__(self) -> Self:
        self.group.mkdir()
        _limit(self.group, self.cores * HALF)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._watch.join()
        for thread in self.held:
            self._free(thread)
        self.group.rmdir()

    def hold(self, processes: Iterable[int]) -> None:
        """These processes, with the threads that they begin from now on."""
        self.processes |= set(processes)
        self._look()

    def _hold_new(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        for process in list(self.processes):
            try:
                threads = {int(name) for name in os.listdir(f"/proc/{process}/task")}
            except OSError:
                self.processes.discard(process)
                continue
            for thread in threads - self.held:
                self._hold(thread)

    def _hold(self, thread: int) -> None:
        own = self.group / str(thread)
        own.mkdir(exist_ok=True)
        _limit(own, HALF)
        self.held.add(thread)
        _move(thread, own)

    def _free(self, thread: int) -> None:
        own = self.group / str(thread)
        for each in (own / "tasks").read_text().split():
            _move(int(each), GROUPS)
        own.rmdir()


def _limit(group: Path, quota: int) -> None:
    (group / "cpu.cfs_period_us").write_text(str(PERIOD))
    (group / "cpu.cfs_quota_us").write_text(str(quota))


def _move(thread: int, group: Path) -> None:
    # It may have ended.
    with suppress(ProcessLookupError):
        (group / "tasks").write_text(str(thread))
