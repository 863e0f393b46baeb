"""The book's row, as a matching run holds it: locked first, renewed last.

In SQL: each batch does this, however small, and Django takes longer to build such a statement than MySQL to answer it.
"""

from datetime import datetime
from typing import NamedTuple

from django.db import connection

from base.storage.bulk import GuardFailed, stored_instant
from matching.models import OrderBook, new_token

_SELECT = (
    "SELECT market_id, token, next_sequence, unfinished_order_id, status, failures FROM order_books"
    " WHERE market_id = %s"
)
_RENEW = (
    "UPDATE order_books SET token = %s, next_sequence = %s, unfinished_order_id = %s, status = %s, failures = %s,"
    " updated_at = %s WHERE market_id = %s AND token = %s"
)


class BookRow(NamedTuple):
    """What the locked row said."""

    market_id: str
    token: str
    next_sequence: int
    unfinished_order_id: int | None
    status: str
    failures: int


def lock_book(symbol: str) -> BookRow:
    """Lock the book's row until the transaction ends."""
    row = _locked(symbol)
    if row is None:
        # The market's first order: whoever comes second waits for the row and finds it.
        OrderBook.objects.bulk_create([OrderBook(market_id=symbol)], ignore_conflicts=True)
        row = _locked(symbol)
        assert row is not None, symbol
    return row


def renew_book(row: BookRow, now: datetime) -> str:
    """Write the row's new state under a new token, and return that. Raises GuardFailed if the row's token is gone."""
    token = new_token()
    state = (row.next_sequence, row.unfinished_order_id, row.status, row.failures, stored_instant(now))
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, (token, *state, row.market_id, row.token))
        if cursor.rowcount != 1:
            raise GuardFailed(f"book {row.market_id} no longer carries the token {row.token}")
    return token


def _locked(symbol: str) -> BookRow | None:
    # SQLite locks no rows: there the transaction took the write lock when it began.
    lock = " FOR UPDATE" if connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(_SELECT + lock, (symbol,))
        found = cursor.fetchone()
    return BookRow(*found) if found else None
