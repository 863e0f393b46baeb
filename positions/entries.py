"""Ledger entries as changes of a position: each is valued by its trade, or by the mark that its transfer carries."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

from balances.models import TRADE_PREFIX, TRANSFER_PREFIX, LedgerEntry, Transfer
from core.money import UNIT, to_units
from core.types import Side
from markets.marks import marks_at
from markets.models import Trade
from positions.holding import Holding, rounded


class Account(NamedTuple):
    """Whose position it is, in which asset; the asset's main market, and the price of the first trade there."""

    user_id: int
    asset: str
    main: str
    first_price: int


class Entry(NamedTuple):
    id: int
    reference: str
    amount: int


class _Fill(NamedTuple):
    """A trade as the account needs it. `mark`: the asset's price in its main market, of a trade in another one.

    `quote_fee`: what the account paid in fees in the market's quote asset, less its rebate there.
    """

    is_base: bool
    is_main: bool
    quantity: int
    notional: int
    buyer_id: int
    seller_id: int
    quote_fee: int
    mark: int


def entries_after(account: Account, entry_id: int, most: int) -> list[Entry]:
    """The next entries, in the order in which they were committed; never a part of those of one trade.

    That is the order of their ids, because the balance is locked while its entries are written.
    """
    rows = LedgerEntry.objects.filter(account=account.user_id, currency_id=account.asset, id__gt=entry_id)
    columns = rows.order_by("id").values_list("id", "reference", "amount")[:most]
    found = [Entry(entry_id, reference, to_units(amount)) for entry_id, reference, amount in columns]
    if len(found) < most:
        return found
    return [entry for entry in found if entry.reference != found[-1].reference] or found


def carry(holding: Holding, account: Account, entries: Sequence[Entry]) -> Holding:
    """The holding after these entries."""
    moves = [
        (reference, sum(entry.amount for entry in of_one))
        for reference, of_one in groupby(entries, key=lambda entry: entry.reference)
    ]
    fills = _fills(account, [reference for reference, _ in moves])
    marks = _marks(reference for reference, amount in moves if amount > 0)
    for reference, amount in moves:
        fill = fills.get(reference)
        if fill is not None:
            move = _traded_base if fill.is_base else _traded_quote
            holding = move(holding, account.user_id, fill, amount)
        elif amount > 0:
            holding = holding.take_in(amount, rounded(amount * marks.get(reference, account.first_price), UNIT))
        else:
            holding = holding.take_out(-amount)
    return holding


def _traded_base(holding: Holding, user_id: int, fill: _Fill, amount: int) -> Holding:
    """A fill in a market whose base the asset is. `amount` is what it changed of the asset, its fee included."""

    def worth(quote: int) -> int:
        """An amount of the market's quote asset, in the cost currency."""
        return quote if fill.is_main else rounded(quote * fill.mark * fill.quantity, fill.notional * UNIT)

    buys, sells = fill.buyer_id == user_id, fill.seller_id == user_id
    if buys and sells:
        return holding.pay(-amount, worth(fill.quote_fee))
    if buys:
        return holding.take_in(amount, worth(fill.notional + fill.quote_fee))
    return holding.sell(-amount, worth(fill.notional - fill.quote_fee))


def _traded_quote(holding: Holding, user_id: int, fill: _Fill, amount: int) -> Holding:
    """A fill in a market whose quote the asset is: it was paid with, or received for another asset."""
    if fill.buyer_id == fill.seller_id == user_id:
        return holding.pay(-amount, 0)
    worth = rounded(fill.notional * fill.mark, UNIT)
    return holding.sell(-amount, worth) if fill.buyer_id == user_id else holding.take_in(amount, worth)


def _fills(account: Account, references: Iterable[str]) -> dict[str, _Fill]:
    """The trades that the references name, by one query for each market."""
    numbers: dict[str, list[int]] = {}
    for reference in references:
        if reference.startswith(TRADE_PREFIX):
            symbol, _, sequence = reference.removeprefix(TRADE_PREFIX).rpartition("-")
            numbers.setdefault(symbol, []).append(int(sequence))
    return {
        f"{TRADE_PREFIX}{symbol}-{sequence}": fill
        for symbol, sequences in numbers.items()
        for sequence, fill in _fills_of(account, symbol, sequences)
    }


def _fills_of(account: Account, symbol: str, sequences: Sequence[int]) -> Iterable[tuple[int, _Fill]]:
    is_main = symbol == account.main
    marks = {} if is_main else marks_at(symbol, account.asset, sequences)
    for trade in Trade.objects.filter(market=symbol, sequence__in=sequences).select_related("market"):
        yield (
            trade.sequence,
            _Fill(
                trade.market.base_id == account.asset,
                is_main,
                *(to_units(trade.quantity), to_units(trade.notional)),
                *(trade.buyer_id, trade.seller_id),
                to_units(_quote_fee(account.user_id, trade)),
                marks.get(trade.sequence, account.first_price),
            ),
        )


def _quote_fee(user_id: int, trade: Trade) -> Decimal:
    paid = Decimal(0)
    if trade.seller_id == user_id:
        paid += trade.seller_fee
    if trade.buyer_id == user_id and trade.fee_in_quote:
        paid += trade.buyer_fee
    taker_buys = trade.taker_side == Side.BUY
    maker_id = trade.seller_id if taker_buys else trade.buyer_id
    if maker_id == user_id and not (taker_buys and not trade.fee_in_quote):
        paid -= trade.rebate
    return paid


def _marks(references: Iterable[str]) -> Mapping[str, int]:
    """The marks of the transfers that the references name; a transfer before the first trade has none."""
    named = [each.removeprefix(TRANSFER_PREFIX) for each in references if each.startswith(TRANSFER_PREFIX)]
    found: Any = Transfer.objects.filter(reference__in=named, mark_price__isnull=False)
    return {
        f"{TRANSFER_PREFIX}{reference}": to_units(price)
        for reference, price in found.values_list("reference", "mark_price")
    }
