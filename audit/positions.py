"""The check of kept positions: each is computed again from its ledger entries, in fractions, by a plain second way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any

from audit.checks import Check, Report
from audit.reference_data import ReferenceData
from audit.rows import EntryRow, PositionRow, TradeRow, batched_keys, fetch, read
from balances.models import Transfer
from core.money import UNIT, plain_units
from markets.models import Mark, Market, Trade


def check_positions(report: Report, data: ReferenceData) -> None:
    """Check every position that is kept. One that nobody asked for has no row."""
    bases = dict(Market.objects.order_by("created_at", "symbol").values_list("symbol", "base_id"))
    mains: dict[str, str] = {}
    for symbol, base in bases.items():
        mains.setdefault(base, symbol)
    report.count([Check.POSITION], 0)
    for position in read(PositionRow):
        name = f"position {position.user_id} {position.asset_id}"
        data.account(position.user_id, position.asset_id, name)
        twin = _Twin(position.user_id, position.asset_id, mains.get(position.asset_id, ""), bases)
        twin.follow(position.entry_id)
        kept = (position.quantity, position.cost, position.realized)
        if kept != twin.figures():
            expected, actual = (" ".join(map(plain_units, figures)) for figures in (twin.figures(), kept))
            report.add(Check.POSITION, "quantity, cost and realized profit", [name], expected, actual)
        report.count([Check.POSITION], 1)


@dataclass
class _Twin:
    """A position as it is added up from the first entry on. Amounts are whole assets, not units."""

    user_id: int
    asset: str
    main: str
    bases: Mapping[str, str]
    quantity: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    realized: Fraction = Fraction(0)

    def figures(self) -> tuple[int, int, int]:
        return (int(self.quantity * UNIT), int(self.cost * UNIT), int(self.realized * UNIT))

    def follow(self, last: int) -> None:
        entries = read(EntryRow, account=self.user_id, currency_id=self.asset, id__lte=last)
        changes = (
            (reference, Fraction(sum(entry.amount for entry in together), UNIT))
            for reference, together in groupby(entries, key=lambda entry: entry.reference)
        )
        first = Trade.objects.filter(market=self.main).order_by("sequence").values_list("price", flat=True).first()
        for some in batched_keys(changes):
            trades = dict(_trades([reference for reference, _ in some]))
            marks = _transfer_marks([reference for reference, _ in some])
            for reference, change in some:
                if reference in trades:
                    self._trade(*trades[reference], change, Fraction(first or 0))
                elif change > 0:
                    self.cost += _cents(change * marks.get(reference, Fraction(first or 0)))
                    self.quantity += change
                else:
                    self._give(-change)

    def _trade(self, symbol: str, trade: TradeRow, change: Fraction, first: Fraction) -> None:
        quantity, notional = Fraction(trade.quantity, UNIT), Fraction(trade.notional, UNIT)
        buys, sells = trade.buyer_id == self.user_id, trade.seller_id == self.user_id
        # What the account paid in the quote asset, beside the notional, less its rebate there. A position in that asset
        # has it among its changes.
        fee, worth = Fraction(0), Fraction(1)
        is_base = self.bases[symbol] == self.asset
        if is_base:
            if sells:
                fee += Fraction(trade.seller_fee, UNIT)
            if buys:
                fee += Fraction(trade.buyer_fee * trade.fee_in_quote, UNIT)
            if trade.maker_id == self.user_id and not trade.taker_pays_base:
                fee -= Fraction(trade.rebate, UNIT)
        if symbol != self.main:
            worth = self._mark(symbol, trade.sequence, first)
            if is_base:
                worth *= quantity / notional
        if buys and sells:
            self.quantity, self.realized = self.quantity + change, self.realized - _cents(fee * worth)
            if not self.quantity:
                self.realized, self.cost = self.realized - self.cost, Fraction(0)
        elif buys if is_base else sells:
            # Of a fill so small that its fee took all of it the change is nothing.
            self.quantity, self.cost = self.quantity + change, self.cost + _cents((notional + fee) * worth)
        else:
            self.realized += _cents((notional - fee) * worth) - self._give(-change)

    def _give(self, quantity: Fraction) -> Fraction:
        """Take so much out at the average cost; return what it cost."""
        cost = self.cost if quantity >= self.quantity else _cents(self.cost * quantity / self.quantity)
        self.quantity, self.cost = self.quantity - quantity, self.cost - cost
        return cost

    def _mark(self, symbol: str, sequence: int, first: Fraction) -> Fraction:
        earlier = Mark.objects.filter(market=symbol, asset=self.asset, sequence__lte=sequence)
        mark = earlier.order_by("-sequence").values_list("price", flat=True).first()
        return first if mark is None else Fraction(mark)


def _cents(exact: Fraction) -> Fraction:
    """Rounded to the eighth digit, halves to the even one."""
    return round(exact, 8)


def _trades(references: list[str]) -> Iterator[tuple[str, tuple[str, TradeRow]]]:
    """The trades that the references name, each with its market."""
    numbers: dict[str, list[int]] = {}
    for reference in references:
        cause, _, trade_id = reference.partition(":")
        symbol, _, sequence = trade_id.rpartition("-")
        if cause == "trade":
            numbers.setdefault(symbol, []).append(int(sequence))
    for symbol, sequences in numbers.items():
        rows = Trade.objects.filter(market=symbol, sequence__in=sequences).values_list(*TradeRow._fields)
        for trade in fetch(rows, TradeRow):
            yield f"trade:{symbol}-{trade.sequence}", (symbol, trade)


def _transfer_marks(references: list[str]) -> Mapping[str, Fraction]:
    names = [reference.removeprefix("transfer:") for reference in references]
    rows: Any = Transfer.objects.filter(reference__in=names, mark_price__isnull=False)
    return {f"transfer:{reference}": Fraction(mark) for reference, mark in rows.values_list("reference", "mark_price")}
