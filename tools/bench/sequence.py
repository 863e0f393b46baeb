"""Steps of the benchmark, one after the other: one that fails takes no other with it."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.bench.bench import Bench
from tools.bench.load import LoadError

Step = Callable[[Bench], None]


def measure_in_turn(bench: Bench, steps: Sequence[Step], document: Path | None = None) -> bool:
    """Take the steps, and write their tables into the document after each. Returns whether all have their figures."""
    began, failed = time.monotonic(), []
    for number, step in enumerate(steps, 1):
        print(f"[{number}/{len(steps)}] {step.__doc__}", file=sys.stderr, flush=True)
        at = time.monotonic()
        try:
            step(bench)
        except (LoadError, TimeoutError) as error:
            # What the others measure is of use without it.
            print(f"{step.__name__} failed: {error!r}", file=sys.stderr)
            failed.append(step.__name__)
        bench.report.seconds[step.__name__] = time.monotonic() - at
        if document is not None:
            bench.report.write_tables(document)
    print(f"measured in {time.monotonic() - began:.0f} s: {bench.report.steps}", file=sys.stderr)
    if failed:
        print(f"no figures of {', '.join(failed)}: see above", file=sys.stderr)
    return not failed
