"""The share of the threads for what stores many rows by one request: large batches, and cancels of all orders."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from base.web.errors import BatchesBusy
from base.web.shares import Share

# Up to so many orders a batch is no longer at work than a request, of which it costs as much.
SHORT = 10
# Less than a client notices, and more than a batch takes where the machine has time for it.
PATIENCE_SECONDS = 0.2

_share = Share(lambda: settings.BATCHES_MAX)


@contextmanager
def batch_of(orders: int) -> Iterator[None]:
    """While a batch of so many orders is stored. Raises BatchesBusy."""
    if orders <= SHORT:
        yield
        return
    if not _share.take(PATIENCE_SECONDS):
        raise BatchesBusy(f"other batches of more than {SHORT} orders are being stored: nothing was stored, try again")
    try:
        yield
    finally:
        _share.give_back()


@contextmanager
def cancel_of_all() -> Iterator[None]:
    """While all orders of a user are cancelled. It waits for no place and is never refused; batches wait for it."""
    _share.take_anyway()
    try:
        yield
    finally:
        _share.give_back()
