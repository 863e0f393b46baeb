"""What a run shows of itself: its progress meanwhile, and a report that reads as plain text and as Markdown."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from tqdm import tqdm

SHOWN, SHOWN_CHARACTERS = 20, 1500
LINE_EVERY_SECONDS = 30
SHOWN_EVERY_SECONDS = 0.5


@dataclass
class Report:
    """One part's facts in order, and what was wrong."""

    title: str
    wrong: list[str]
    facts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, fact: str) -> None:
        self.facts.append((name, fact))

    def text(self) -> str:
        lines = [f"## {self.title}", "", *(f"- {name}: {fact}" for name, fact in self.facts), ""]
        if not self.wrong and any(name == "not run" for name, _ in self.facts):
            return "\n".join(lines)
        if not self.wrong:
            return "\n".join([*lines, "Nothing was wrong.", ""])
        lines += [
            f"{len(self.wrong)} things were wrong:",
            "",
            *(f"- {what[:SHOWN_CHARACTERS]}" for what in self.wrong[:SHOWN]),
        ]
        return "\n".join([*lines, *(["- ..."] if len(self.wrong) > SHOWN else []), ""])


def together(title: str, reports: Mapping[str, Report]) -> Report:
    """One report of several, each with its name before its facts."""
    whole = Report(title, [])
    for name, report in reports.items():
        whole.facts += [(f"{name}: {fact}", words) for fact, words in report.facts]
        whole.wrong += [f"{name}: {what}" for what in report.wrong]
    return whole


class Progress:
    """A bar on a terminal, elsewhere a line every half minute; `facts` is called for the words beside it."""

    def __init__(self, title: str, total: int, done: Callable[[], int], facts: Callable[[], str]) -> None:
        self._done = done
        self._facts = facts
        self._title = title
        self._total = total
        self._is_terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()
        self._bar = tqdm(total=total, desc=title, leave=False, disable=not self._is_terminal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, last: str = "") -> None:
        """To be called often; shows itself when it is time to."""
        now = time.monotonic()
        if now - self._shown < (SHOWN_EVERY_SECONDS if self._is_terminal else LINE_EVERY_SECONDS):
            return
        self._shown = now
        words = ", ".join(word for word in (self._facts(), last) if word)
        if self._is_terminal:
            self._bar.n = min(self._done(), self._total)
            self._bar.set_postfix_str(words)
        else:
            seconds = now - self._started
            print(f"{self._title}: {self._done()} of {self._total} after {seconds:.0f} s, {words}", flush=True)
