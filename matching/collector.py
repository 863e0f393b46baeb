"""Python's collector of cyclic garbage, kept from going through the books in the middle of a batch.

The collector looks for objects that keep only each other alive, and for that it goes through all objects that can hold
others. In a worker nearly all of them are orders that rest, which no collection can free. At Python's own thresholds a
batch of 500 orders makes it look a dozen times, and now and then at everything.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# How many objects more than were freed are made before the youngest are looked at, and how many times these are before
# the older ones are. At Python's defaults of 700, 10 and 10 the collector takes a fifth of a drain's processor time.
# What a drain leaves as garbage is less than an object an order, so that little memory waits.
THRESHOLDS = (50_000, 10, 10)
# A book of fewer objects costs a collection some ten milliseconds.
LARGE = 50_000

_has_loaded = threading.Event()


def look_rarely() -> None:
    """Set the thresholds of a process that drains."""
    if gc.get_threshold() != THRESHOLDS:
        gc.set_threshold(*THRESHOLDS)


@contextmanager
def paused() -> Iterator[None]:
    """No collection while a book is loaded: all orders would be looked at again and again while they become more."""
    was_enabled, before = gc.isenabled(), gc.get_count()[0]
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] - before > LARGE:
            _has_loaded.set()
        if was_enabled:
            gc.enable()


def leave_books_out() -> None:
    """After a large book was loaded, between two runs: free all garbage once, and then leave what there is out of all
    later collections. An older book that it replaces is garbage by then.
    """
    if _has_loaded.is_set():
        _has_loaded.clear()
        gc.unfreeze()
        gc.collect()
        gc.freeze()
