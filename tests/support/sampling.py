"""What is sampled. The long proofs take a part of their cases, drawn by a seed that is printed.

TEST_SEED=N draws the same cases again. PROVE=1 takes all of them, and the tests marked `long` with them; PROVE=20 takes
them all, and those that are made at random twenty times over.
"""

import os
import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

Case = TypeVar("Case")

# A leg that runs beside another takes one test in so many; all of them if everything is to be proved.
LEG_ONE_IN = int(os.environ.get("TEST_LEG_ONE_IN") or 1)

PROVE = int(os.environ.get("PROVE") or 0)
TIMES = max(PROVE, 1)
# tests.support.environment draws it before the first test is read, for all processes of a run.
SEED = int(os.environ["TEST_SEED"])


def dice(*names: object) -> random.Random:
    """Random numbers for one purpose: another purpose that draws more or fewer does not change them."""
    return random.Random(" ".join(map(str, (SEED, *names))))


def sample(cases: Iterable[Case], one_in: int, *names: object) -> list[Case]:
    """A part of the cases in their order, one at least; all of them if everything is to be proved."""
    everything: Sequence[Case] = list(cases)
    if PROVE:
        return list(everything)
    count = max(1, len(everything) // one_in)
    return [everything[at] for at in sorted(dice(*names).sample(range(len(everything)), count))]
