"""Items in batches."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in their order, in lists of at most `size`. (Python has its own from 3.12.)"""
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch
