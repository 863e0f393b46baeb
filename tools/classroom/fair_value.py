"""What a market is worth in a round: the scenario's value, moved by news, and wandering by a seed. No I/O."""

import math
import random
from collections.abc import Iterable
from typing import NamedTuple


class Move(NamedTuple):
    """News that change the value by a fraction, at a second of the round's own time."""

    at: float
    fraction: float


class FairValue:
    """One market's. The same seed makes the same path, whoever asks and how often."""

    def __init__(self, seed: str, start: float, wander: float) -> None:
        self._dice = random.Random(seed)
        self._start, self._wander = start, wander
        # The logarithm of how far it has wandered after each second.
        self._path = [0.0]

    def at(self, second: float, moves: Iterable[Move]) -> float:
        """The value at this second, by the news until then."""
        wanted = max(0, int(second))
        while len(self._path) <= wanted:
            self._path.append(self._path[-1] + self._dice.gauss(0, self._wander))
        moved = math.prod(1 + move.fraction for move in moves if move.at <= second)
        return self._start * math.exp(self._path[wanted]) * moved
