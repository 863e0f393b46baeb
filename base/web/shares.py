"""The share of a process's threads that each kind of long request may hold, so that all others find a thread free.

Who waits for a place holds a thread too. So only as many wait as may hold one, and only where the other shares leave
room: all of them together never hold more threads than they may.
"""

import threading
from collections.abc import Callable

_changed = threading.Condition()
_shares: list["Share"] = []


class Share:
    """One kind of long request. `most` tells how many threads of this process it may hold; None: any number."""

    def __init__(self, most: Callable[[], int | None]) -> None:
        self._most = most
        self._held = self._waiting = 0
        _shares.append(self)

    def take(self, patience: float = 0.0) -> bool:
        """Whether a place was got, at once or within so many seconds. It must be given back."""
        with _changed:
            most = self._most()
            if most is None or self._held + self._waiting < most:
                self._held += 1
                return True
            if not patience or self._waiting >= most or not _is_room():
                return False
            self._waiting += 1
            try:
                got = _changed.wait_for(lambda: self._held < most, patience)
            finally:
                self._waiting -= 1
            self._held += got
            return got

    def take_anyway(self) -> None:
        """For what is never refused: it counts against the others. It must be given back."""
        with _changed:
            self._held += 1

    def give_back(self) -> None:
        with _changed:
            self._held -= 1
            _changed.notify_all()

    @property
    def threads(self) -> int:
        """Which it holds now."""
        return self._held + self._waiting


def _is_room() -> bool:
    """Whether one more may wait without taking a thread of those that are left to short requests."""
    limits = [share._most() for share in _shares]
    return None in limits or sum(share.threads for share in _shares) < sum(filter(None, limits))
