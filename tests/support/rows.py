"""Rows that the tests of a file share: made once, in a transaction around those of the tests."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from pytest_django import DjangoDbBlocker


@contextmanager
def shared_rows(database: DjangoDbBlocker) -> Iterator[None]:
    """What is written within stays until the end; what a test writes is rolled back to it.

    For tests that roll back, not for those that commit.
    """
    around = transaction.atomic()
    # As Django marks its own: the product's durable transactions may begin within.
    around._from_testcase = True
    with database.unblock(), around:
        try:
            yield
        finally:
            transaction.set_rollback(True)
