"""Actors that take turns where they meet the world: one runs at a time, and dice choose the next.

Each actor is a thread, because what it runs is the product's own code, which does not know of turns. `turn` is called
by the fakes at the product's seams. Time is the stage's own: it passes a little with each turn, and sleeping is waiting
for it.
"""

import threading
from collections.abc import Callable, Sequence
from random import Random

STOPPED, STOPPED_SECONDS = 0.1, 2.0


class Stage:
    """One run. `step_seconds`: the most that passes with a turn."""

    def __init__(self, dice: Random, step_seconds: float) -> None:
        self.now = 0.0
        self.turns = 0
        self._dice = dice
        self._step_seconds = step_seconds
        self._changed = threading.Condition()
        # By actor: when it may go on.
        self._waiting: dict[str, float] = {}
        self._running = 0
        self.errors: list[BaseException] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.turn(seconds)

    def turn(self, seconds: float = 0.0) -> None:
        """Let others go first, for so long at the least. Outside a run nothing waits."""
        me = threading.current_thread().name
        with self._changed:
            if not self._running:
                self.now += seconds
                return
            self._waiting[me] = self.now + seconds
            self._running -= 1
            self._changed.notify_all()
            while me in self._waiting:
                self._changed.wait()

    def stumble(self) -> None:
        """A turn in which the process is stopped for long now and then, as by a signal or a busy host."""
        with self._changed:
            stopped = self._running and self._dice.random() < STOPPED
        self.turn(STOPPED_SECONDS if stopped else 0.0)

    def run(self, actors: Sequence[Callable[[], None]]) -> None:
        """Until all actors have ended. Raises the first error of one of them."""
        threads = [
            threading.Thread(target=self._act, args=(actor,), name=f"actor-{number:02}", daemon=True)
            for number, actor in enumerate(actors)
        ]
        with self._changed:
            self._running = len(threads)
        for thread in threads:
            thread.start()
        with self._changed:
            while True:
                while self._running:
                    self._changed.wait()
                if not self._waiting:
                    break
                self._choose()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _act(self, actor: Callable[[], None]) -> None:
        try:
            self.turn()
            actor()
        except BaseException as error:
            self.errors.append(error)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _choose(self) -> None:
        self.turns += 1
        self.now += self._dice.uniform(0, self._step_seconds)
        ready = sorted(actor for actor, at in self._waiting.items() if at <= self.now)
        if not ready:
            self.now = min(self._waiting.values())
            ready = sorted(actor for actor, at in self._waiting.items() if at <= self.now)
        chosen = self._dice.choice(ready)
        del self._waiting[chosen]
        self._running += 1
        self._changed.notify_all()
