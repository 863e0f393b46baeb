"""Finding the one command that makes its batch fail, by halving."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Suspicion:
    """How many commands at the head of the inbox are suspected, and how often the last one left was tried.

    New commands may slip in between them: the count is a guide to how much to try at once, and proves nothing.
    """

    suspects: int = 0
    attempts: int = 0
    last: int | None = None

    def limit(self, full: int) -> int:
        """How many commands the next batch may take."""
        return max(1, self.suspects // 2) if self.suspects else full

    def failed(self, commands: Sequence[int]) -> None:
        """A batch of these commands failed, by their ids."""
        self.suspects = len(commands)
        is_same = len(commands) == 1 and commands[0] == self.last
        self.last = commands[0] if len(commands) == 1 else None
        self.attempts = self.attempts + 1 if is_same else int(len(commands) == 1)

    def settled(self, commands: int) -> None:
        """So many commands were applied, or given up: it was none of them, or it is over."""
        self.suspects = max(0, self.suspects - commands)
        self.attempts, self.last = 0, None
