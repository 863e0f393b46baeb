"""Posting: the ledger entries of trades, written by one statement for all trades of a batch."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from balances.models import TRADE_PREFIX, EntryKind, HouseAccount
from base.storage.literals import Dialect, word
from base.storage.statements import Statement
from core.types import Rules

_FEES = str(HouseAccount.FEES.value)
_TAKER_PAYS_BASE = "taker_side = 'BUY' AND NOT fee_in_quote"
_MAKER = "CASE taker_side WHEN 'BUY' THEN seller_id ELSE buyer_id END"


class _Move(NamedTuple):
    """One of the moves of a trade: from whom to whom, and of which trades. The texts are columns, or SQL of them."""

    kind: EntryKind
    asset: str
    giver: str
    receiver: str
    amount: str
    where: str = ""


_TRADED = (
    _Move(EntryKind.TRADE, "base", "seller_id", "buyer_id", "quantity"),
    _Move(EntryKind.TRADE, "quote", "buyer_id", "seller_id", "notional"),
)
_SELLERS_FEE = _Move(EntryKind.FEE, "quote", "seller_id", _FEES, "seller_fee")
_MOVES = (*_TRADED, _Move(EntryKind.FEE, "base", "buyer_id", _FEES, "buyer_fee"), _SELLERS_FEE)
# Of trades that may have a rebate, or a buyer's fee in quote: the others do not pay for these branches.
_UNUSUAL_MOVES = (
    *_TRADED,
    _Move(EntryKind.FEE, "base", "buyer_id", _FEES, "buyer_fee", "NOT fee_in_quote"),
    _Move(EntryKind.FEE, "quote", "buyer_id", _FEES, "buyer_fee", "fee_in_quote"),
    _SELLERS_FEE,
    _Move(EntryKind.REBATE, "base", _FEES, _MAKER, "rebate", _TAKER_PAYS_BASE),
    _Move(EntryKind.REBATE, "quote", _FEES, _MAKER, "rebate", f"NOT ({_TAKER_PAYS_BASE})"),
)


def write_entries(market: Rules, first: int, last: int, to: Dialect, *, has_unusual_fees: bool = True) -> Statement:
    """The ledger entries of the market's trades from sequence `first` to `last`, both included.

    Executed after the statements that store the trades. An amount of zero makes no entry. `has_unusual_fees`: some of
    the trades may have a rebate, or a buyer's fee in quote.
    """
    moves = _UNUSUAL_MOVES if has_unusual_fees else _MOVES
    head, tail = _post(moves, to.name)
    assets = {"base": word(market.base), "quote": word(market.quote)}
    span = f"market_id = {word(market.symbol)} AND sequence BETWEEN {first:d} AND {last:d}"
    return Statement(f"{head.format_map(assets)}{span}{tail}", "ledger_entries", None)


# Two entries for each move, one of the giver and one of the receiver, so that a trade sums to zero in each currency.
_SIGNS = ("-", "")


@cache
def _post(moves: Sequence[_Move], dialect_name: str) -> tuple[str, str]:
    """The statement that writes the entries of these moves, before and after the condition that says of which trades.

    Each trade is read once, and joined with the places of its entries. The names of the assets are to be filled in.
    """
    parts = (f"'{TRADE_PREFIX}'", "market_id", "'-'", "sequence")
    reference = f"CONCAT({', '.join(parts)})" if dialect_name != "sqlite" else " || ".join(parts)
    places, accounts, amounts = [], [], []
    entries = (
        (move, account, sign)
        for move in moves
        for account, sign in zip((move.giver, move.receiver), _SIGNS, strict=True)
    )
    for place, (move, account, sign) in enumerate(entries):
        places.append(f"SELECT {place} AS place, {{{move.asset}}} AS currency, '{move.kind.value}' AS kind")
        accounts.append(f"WHEN {place} THEN {account}")
        amount = f"CASE WHEN {move.where} THEN {move.amount} ELSE 0 END" if move.where else move.amount
        amounts.append(f"WHEN {place} THEN {sign}{amount}")
    head = (
        "INSERT INTO ledger_entries (account, currency, kind, amount, reference, created_at)"  # noqa: S608
        " SELECT account, currency, kind, amount, reference, created_at FROM ("
        f"SELECT sequence, place, CASE place {' '.join(accounts)} END AS account, currency, kind,"
        f" CASE place {' '.join(amounts)} END AS amount, {reference} AS reference, created_at"
        f" FROM trades CROSS JOIN ({' UNION ALL '.join(places)}) AS places WHERE "
    )
    return head, ") AS entries WHERE amount <> 0 ORDER BY sequence, place"
