"""Python's collector and the books: it looks rarely, and not at what a large book has loaded."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from matching import collector


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def load(objects: int) -> list[list[int]]:
    with collector.paused():
        assert not gc.isenabled()
        return [[number] for number in range(objects)]


def test_a_large_book_is_left_out_of_later_collections_between_runs() -> None:
    gc.unfreeze()
    book = load(2 * collector.LARGE)
    assert gc.isenabled() and gc.get_freeze_count() == 0
    collector.leave_books_out()
    assert gc.get_freeze_count() > len(book)


def test_a_small_book_is_no_reason_to_look_at_everything() -> None:
    gc.unfreeze()
    load(10)
    collector.leave_books_out()
    assert gc.get_freeze_count() == 0


class Part:
    """Something that keeps itself alive."""

    def __init__(self) -> None:
        self.whole = self


def test_what_an_older_book_leaves_is_freed_before_the_next_one_is_left_out() -> None:
    load(2 * collector.LARGE)
    part = Part()
    there = weakref.ref(part)
    collector.leave_books_out()
    del part
    load(2 * collector.LARGE)
    assert there() is not None
    collector.leave_books_out()
    assert there() is None


def test_a_process_that_drains_looks_rarely() -> None:
    collector.look_rarely()
    assert gc.get_threshold() == collector.THRESHOLDS
