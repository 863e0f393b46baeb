"""One run of the benchmark: what is known so far, and how much is measured."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tqdm import tqdm

from tools.bench.cpu import Cost
from tools.bench.report import Report
from tools.bench.stage import Stage


@dataclass
class Bench:
    """`size` divides how much is measured: 1 for the real figures, more for a quick look.

    `resting` and `history` are the orders of a worker's start and those of the past.
    """

    report: Report
    size: int = 1
    resting: int = 100_000
    history: int = 1_000_000
    # Orders a second: the obvious way, and the bare rows.
    naive: float = 0
    floor: float = 0
    by_batch_size: dict[int, float] = field(default_factory=dict)
    by_depth: dict[int, float] = field(default_factory=dict)
    # The deepest of the measured books, with its number of resting orders.
    deep: tuple[int, Stage] | None = None
    # What an order of one market costs, once it is measured.
    cost: Cost | None = None

    def of(self, count: int) -> int:
        """So many, or a part of it where a quick look is enough."""
        return max(count // self.size, 1)


@contextmanager
def steps(total: int | None, what: str = "") -> Iterator[Callable[[str], None]]:
    """A progress bar of steps: it shows what is being done from the beginning of each."""
    with tqdm(total=total, desc=what, unit="step", leave=False) as bar:

        def progress(step: str) -> None:
            bar.set_description(step)
            bar.update()

        yield progress
