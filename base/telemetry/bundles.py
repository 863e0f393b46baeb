"""Many things told in a few lines of the log, none of them long."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def bundles(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in their order, so many together."""
    rest = iter(items)
    while bundle := list(itertools.islice(rest, size)):
        yield bundle
