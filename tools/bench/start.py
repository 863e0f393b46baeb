"""A worker's start on a large book: from the rows, and from a snapshot that is brought forward by what came after it.

Each start is a process of its own, which has nothing in memory. Its seconds are those in which it holds the book's row:
a worker takes no order meanwhile.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Length

from matching import books
from matching.models import SnapshotPart
from matching.snapshots.recording import record
from tools.bench.engine import drain_all
from tools.bench.flow import flow
from tools.bench.stage import Stage
from tools.rig.process import ROOT

# Commands between the snapshot and the start, as beat leaves them at some hundred orders a second.
COMMANDS_SINCE = 5000
Progress = Callable[[str], object]

_START = "from tools.bench.start import load; load({!r})"


@dataclass(frozen=True)
class Starts:
    """Seconds of a start from the rows and from a snapshot, of the first snapshot and the next one; its megabytes."""

    rows: float
    snapshot: float
    first: float
    next: float
    megabytes: float


def measure_starts(stage: Stage, rounds: int, progress: Progress) -> Starts:
    """Starts on the stage's resting orders: the best of the rounds."""
    progress("the first snapshot")
    first = _recorded(stage.symbol)
    size = sum(SnapshotPart.objects.values_list(Length("rows") + Length("ids") + Length("levels"), flat=True))
    stage.queue(flow(COMMANDS_SINCE))
    drain_all(stage.symbol, "what came after the snapshot")
    progress("starts from the snapshot")
    snapshot = min(_start(stage.symbol, settings.SNAPSHOT_ORDERS) for _ in range(rounds))
    progress("starts from the rows")
    rows = min(_start(stage.symbol, 0) for _ in range(rounds))
    return Starts(rows, snapshot, first, _recorded(stage.symbol), size / 1e6)


def load(symbol: str) -> None:
    """What a worker does with its first command: lock the row and build the book. Prints the seconds."""
    with transaction.atomic():
        row = books.lock_book(symbol)
        began = time.perf_counter()
        books.load(row)
        print(time.perf_counter() - began)


def _start(symbol: str, snapshot_orders: int) -> float:
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", _START.format(symbol)]
    variables = {**os.environ, "SNAPSHOT_ORDERS": str(snapshot_orders)}
    return float(subprocess.check_output(command, cwd=ROOT, env=variables))


def _recorded(symbol: str) -> float:
    began = time.perf_counter()
    record(symbol)
    return time.perf_counter() - began
