"""Bisection: how the command that fails is found among the commands of a batch that failed."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Bisection:
    """How many commands at the head of the inbox are candidates, and how often the last one that is left was tried.

    Commands may come in between the candidates. The count only limits the next batch, so a wrong count costs time and
    nothing else.
    """

    candidates: int = 0
    attempts: int = 0
    last: int | None = None

    def limit(self, full: int) -> int:
        """How many commands the next batch may take."""
        return max(1, self.candidates // 2) if self.candidates else full

    def failed(self, commands: Sequence[int]) -> None:
        """A batch of commands with these ids failed."""
        self.candidates = len(commands)
        is_same = len(commands) == 1 and commands[0] == self.last
        self.last = commands[0] if len(commands) == 1 else None
        self.attempts = self.attempts + 1 if is_same else int(len(commands) == 1)

    def settled(self, commands: int) -> None:
        """So many commands were applied or given up: they are no candidates any more."""
        self.candidates = max(0, self.candidates - commands)
        self.attempts, self.last = 0, None
