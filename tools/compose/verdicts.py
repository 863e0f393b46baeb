"""What the check did, step by step: its progress meanwhile, and a table of verdicts at the end."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tools.compose.docker import DockerError
from tools.rig.process import NotReadyError

REASONS = (AssertionError, DockerError, NotReadyError, httpx.HTTPError, subprocess.TimeoutExpired)
SHOWN_CHARACTERS = 1500


class StepError(Exception):
    """A step that failed, after which the next ones mean nothing; the table has its reason."""


@dataclass
class Step:
    """One row: what was done, what was seen, and what was wrong with it."""

    name: str
    seconds: float = 0
    seen: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def words(self) -> str:
        return "; ".join(self.seen + [f"WRONG: {what[:SHOWN_CHARACTERS]}" for what in self.wrong])


@dataclass
class Verdicts:
    """The rows in order."""

    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Raises StepError where one of the usual reasons ended it."""
        step, began = Step(name), time.monotonic()
        self.steps.append(step)
        try:
            yield step
        except REASONS as error:
            step.wrong.append(f"{type(error).__name__}: {error}")
            raise StepError(name) from error
        except BaseException as error:
            step.wrong.append(f"broken off by {type(error).__name__}")
            raise
        finally:
            step.seconds = time.monotonic() - began
            print(f"{step.seconds:5.0f} s  {name}: {step.words() or 'ok'}", flush=True)

    @property
    def wrong(self) -> int:
        return sum(len(step.wrong) for step in self.steps)

    def table(self) -> str:
        lines = ["| step | seconds | verdict | seen |", "|---|---|---|---|"]
        for step in self.steps:
            verdict, words = "WRONG" if step.wrong else "ok", step.words().replace("|", "/").replace("\n", " ")
            lines.append(f"| {step.name} | {step.seconds:.0f} | {verdict} | {words} |")
        return "\n".join([*lines, "", f"{self.wrong} things were wrong." if self.wrong else "Nothing was wrong."])
