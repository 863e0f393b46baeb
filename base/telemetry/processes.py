"""What processes cost: memory, processor time and open files of each, and how long Python collected garbage.

prometheus-client shows the figures of one process. Where processes share a folder of counters, whoever is asked reads
the others' from /proc, and garbage is counted in counters of that folder.
"""

import gc
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import Counter, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from base.telemetry.liveness import is_alive

GC_COLLECTIONS = Counter("exchange_gc_collections", "Garbage collections of Python", ["generation"])
GC_SECONDS = Counter(
    "exchange_gc_seconds", "Time in garbage collections, in which a process stands still", ["generation"]
)
GENERATIONS = 3


class _Garbage:
    """Plain numbers, because a collection may begin while a counter's lock is held, and would wait for it for ever."""

    def __init__(self) -> None:
        self.collections, self.seconds = [0] * GENERATIONS, [0.0] * GENERATIONS
        self._counted, self._counted_seconds = [0] * GENERATIONS, [0.0] * GENERATIONS
        self._began = 0.0
        self._lock = threading.Lock()

    def note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
            return
        self.collections[info["generation"]] += 1
        self.seconds[info["generation"]] += time.perf_counter() - self._began

    def count(self) -> None:
        """Add what was noted to the counters."""
        if self.collections == self._counted or not self._lock.acquire(blocking=False):
            return
        try:
            for generation in range(GENERATIONS):
                number, seconds = self.collections[generation], self.seconds[generation]
                GC_COLLECTIONS.labels(generation).inc(number - self._counted[generation])
                GC_SECONDS.labels(generation).inc(seconds - self._counted_seconds[generation])
                self._counted[generation], self._counted_seconds[generation] = number, seconds
        finally:
            self._lock.release()


_garbage = _Garbage()
gc.callbacks.append(_garbage.note)
# Called after each request, by each worker once a second, and by whoever shows the counters.
count_garbage = _garbage.count


class SharedProcesses(Collector):
    """The figures of each live process that counts in the folder, by its id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        found: dict[str, Metric] = {}
        for pid in sorted(pid for pid in _pids(self._folder) if is_alive(pid)):
            for metric in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                samples = [each._replace(labels={**each.labels, "pid": str(pid)}) for each in metric.samples]
                found.setdefault(metric.name, metric)
                if found[metric.name] is metric:
                    metric.samples = samples
                else:
                    found[metric.name].samples += samples
        return found.values()


def _pids(folder: Path) -> set[int]:
    """Of the files' names, such as counter_17.db."""
    ends = (file.stem.rpartition("_")[2] for file in folder.glob("*_*.db"))
    return {int(end) for end in ends if end.isdecimal()}
