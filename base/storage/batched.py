"""Many things a few at a time."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in their order, so many together. (Python's own comes with 3.12.)"""
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch
