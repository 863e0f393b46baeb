"""What a long run shows of itself: a bar on a terminal, elsewhere a line every half minute."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tqdm import tqdm

LINE_EVERY_SECONDS = 30
SHOWN_EVERY_SECONDS = 0.5


class Progress:
    """Counts up to `total`; `facts` are the words beside it, asked for when they are shown."""

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
