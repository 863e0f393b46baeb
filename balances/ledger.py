"""The ledger of trades: who gave and who got, written by one statement from the trades themselves."""

from django.db import connection

from balances.models import TRADE_PREFIX, EntryKind, HouseAccount
from core.types import Rules

_FEES = str(HouseAccount.FEES.value)
# What a trade moves: why, of which of the market's assets, from whom, to whom, how much.
_MOVES = (
    (EntryKind.TRADE, "base", "seller_id", "buyer_id", "quantity"),
    (EntryKind.TRADE, "quote", "buyer_id", "seller_id", "notional"),
    (EntryKind.FEE, "base", "buyer_id", _FEES, "buyer_fee"),
    (EntryKind.FEE, "quote", "seller_id", _FEES, "seller_fee"),
)
# Two entries for each move: what one account gives another one gets, so each trade sums to zero per currency.
_ENTRIES = [
    (account, asset, kind.value, f"{sign}{amount}")
    for kind, asset, giver, taker, amount in _MOVES
    for account, sign in ((giver, "-"), (taker, ""))
]


def post_trades(market: Rules, first: int, last: int) -> None:
    """Write the ledger entries of the market's trades from sequence `first` to `last`, both included.

    For the transaction that stored them. An amount of zero makes no entry.
    """
    is_mysql = connection.vendor == "mysql"
    parts = (f"'{TRADE_PREFIX}'", "market_id", "'-'", "sequence")
    reference = f"CONCAT({', '.join(parts)})" if is_mysql else " || ".join(parts)
    codes = {"base": market.base, "quote": market.quote}
    selects = [
        f"SELECT sequence, {place} AS place, {account} AS account, %s AS currency, '{kind}' AS kind,"  # noqa: S608
        f" {amount} AS amount, {reference} AS reference, created_at FROM trades"
        " WHERE market_id = %s AND sequence BETWEEN %s AND %s"
        for place, (account, _, kind, amount) in enumerate(_ENTRIES)
    ]
    parameters = [value for _, asset, _, _ in _ENTRIES for value in (codes[asset], market.symbol, first, last)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_entries (account, currency, kind, amount, reference, created_at)"  # noqa: S608
            " SELECT account, currency, kind, amount, reference, created_at"
            f" FROM ({' UNION ALL '.join(selects)}) AS entries WHERE amount <> 0 ORDER BY sequence, place",
            parameters,
        )
