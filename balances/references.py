"""Find ledger entries by their reference, which has no index, because each trade would have to add eight entries to it.

The trade or transfer that a reference names has the accounts of its entries and their time, and the ids of entries rise
with time.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from balances.models import TRADE_PREFIX, TRANSFER_PREFIX, HouseAccount, LedgerEntry, Transfer
from base.storage.time_search import ids_near
from base.web.admin import numbered
from markets.models import Trade


class _Cause(NamedTuple):
    """A trade or a transfer: the reference of its entries, their accounts and currencies, and their time."""

    reference: str
    accounts: tuple[int, ...]
    currencies: tuple[str, ...]
    at: datetime


def entries_named(word: str) -> list[Q]:
    """The entries of a transfer or a trade, by the entries' reference, the transfer's reference or the trade's id."""
    return [_condition(cause) for cause in (*_trades(word.removeprefix(TRADE_PREFIX)), *_transfers(word))]


def _trades(trade_id: str) -> Iterable[_Cause]:
    for trade in Trade.objects.select_related("market").filter(numbered(trade_id)):
        accounts = (trade.buyer_id, trade.seller_id, HouseAccount.FEES.value)
        currencies = (trade.market.base_id, trade.market.quote_id)
        yield _Cause(f"{TRADE_PREFIX}{trade.trade_id}", accounts, currencies, trade.created_at)


def _transfers(word: str) -> Iterable[_Cause]:
    for made in Transfer.objects.filter(reference__in=[word, word.removeprefix(TRANSFER_PREFIX)]):
        accounts = (made.user_id, HouseAccount.EXTERNAL.value)
        yield _Cause(made.ledger_reference, accounts, (made.currency_id,), made.created_at)


def _condition(cause: _Cause) -> Q:
    """The entries of the cause, by the index of accounts and currencies, among the ids of a few seconds."""
    mine = Q(account__in=cause.accounts, currency_id__in=cause.currencies, reference=cause.reference)
    return mine & ids_near(LedgerEntry, cause.at)
