"""The checks of the ledger against the trades and transfers that caused its entries. Each entry is read once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from audit.checks import Check, Report
from audit.reference_data import MarketState, ReferenceData
from audit.rows import CHUNK, EntryRow, TradeRow, TransferRow, fetch
from balances.models import EntryKind, HouseAccount, LedgerEntry
from core.money import plain_units

K = TypeVar("K")
# No transaction takes longer than this to commit.
MARGIN = timedelta(minutes=2)
# The amounts of one reference that are still missing in the ledger, by account, currency and kind.
Owed = dict[tuple[int, str, str], int]
FEES, EXTERNAL = HouseAccount.FEES.value, HouseAccount.EXTERNAL.value
TRADE, FEE, REBATE = EntryKind.TRADE.value, EntryKind.FEE.value, EntryKind.REBATE.value


class Trades:
    """A market's trades in order, read as far as the entries have been read."""

    def __init__(self, market: MarketState, trades: Iterator[TradeRow]) -> None:
        self.market, self.trades, self.counted = market, trades, 0
        self.next = next(trades, None)

    def until(self, sequence: int | None) -> Iterator[TradeRow]:
        """The next trades, up to the one with this sequence, or all of them for None."""
        while self.next is not None and (sequence is None or self.next.sequence <= sequence):
            self.counted += 1
            yield self.next
            self.next = next(self.trades, None)


class Ledger:
    """Adds up the entries that each trade and transfer must have, less those that it has. What is left over is wrong.

    A market's entries come in the order of its trades, so few of them are owed at any time and the memory stays small.
    `since` is the first trade of each market that is checked; the entries of earlier trades are passed over.
    """

    def __init__(
        self,
        report: Report,
        data: ReferenceData,
        trades: Iterable[Trades],
        since: Mapping[str, int] | None = None,
    ):
        self.report, self.data, self.since = report, data, since
        self.trades = {each.market.symbol: each for each in trades}
        self.owed: dict[str, Owed] = {}
        self.sums: dict[str, dict[str, int]] = {}
        self.accounts: defaultdict[tuple[int, str], int] = defaultdict(int)
        self.entries = self.transfers = 0

    def expect_transfer(self, transfer: TransferRow) -> None:
        self.transfers += 1
        name = f"transfer {transfer.reference}"
        self.data.account(transfer.account, transfer.currency_id, name)
        if transfer.operator_id is not None:
            self.data.user(transfer.operator_id, name)
        kind = (EntryKind.DEPOSIT if transfer.amount > 0 else EntryKind.WITHDRAWAL).value
        owed = {
            (transfer.account, transfer.currency_id, kind): transfer.amount,
            (EXTERNAL, transfer.currency_id, kind): -transfer.amount,
        }
        self.owed[f"transfer:{transfer.reference}"] = owed

    def add(self, entry: EntryRow) -> None:
        cause, _, key = entry.reference.partition(":")
        if cause == "trade" and not self._expect_trades(entry, key):
            return
        if cause == "transfer" and self.since is not None and entry.reference not in self.owed:
            return
        self.entries += 1
        name = f"entry {entry.id}"
        self.data.account(entry.account, entry.currency_id, name)
        self.accounts[entry.account, entry.currency_id] += entry.amount
        _subtract(self.sums, entry.reference, entry.currency_id, -entry.amount)
        if cause in ("trade", "transfer"):
            _subtract(self.owed, entry.reference, (entry.account, entry.currency_id, entry.kind), entry.amount)
        else:
            self.report.add(Check.CAUSE, f"reference {entry.reference}", [name], "a trade or a transfer", "neither")

    def finish(self) -> None:
        for trades in self.trades.values():
            for trade in trades.until(None):
                self._expect_trade(trades.market, trade)
        for reference, sums in self.sums.items():
            actual = " ".join(f"{plain_units(amount)} {currency}" for currency, amount in sums.items())
            self.report.add(Check.JOURNAL, reference, [reference], 0, actual)
        for reference, owed in self.owed.items():
            if any(owed.values()):
                check = Check.TRANSFER if reference.startswith("transfer:") else Check.POSTED
                self.report.add(check, "its entries differ", [reference], "nothing missing", _missing(owed))
        self.report.count((Check.JOURNAL, Check.CAUSE), self.entries)
        self.report.count([Check.TRANSFER], self.transfers)
        self.report.count([Check.POSTED], sum(trades.counted for trades in self.trades.values()))

    def _expect_trades(self, entry: EntryRow, key: str) -> bool:
        """Read the market's trades up to the one of this entry. False for an entry that is passed over."""
        symbol, _, number = key.rpartition("-")
        if symbol not in self.trades or not number.isdecimal():
            if self.since is None or symbol not in self.data.markets:
                self.report.add(Check.CAUSE, f"reference {entry.reference}", [f"entry {entry.id}"], "a trade", "none")
            return False
        if self.since is not None and int(number) < self.since[symbol]:
            return False
        trades = self.trades[symbol]
        for trade in trades.until(int(number)):
            self._expect_trade(trades.market, trade)
        return True

    def _expect_trade(self, market: MarketState, trade: TradeRow) -> None:
        owed: Owed = {}
        for asset, kind, giver, taker, amount in (
            (market.base, TRADE, trade.seller_id, trade.buyer_id, trade.quantity),
            (market.quote, TRADE, trade.buyer_id, trade.seller_id, trade.notional),
            (market.quote if trade.fee_in_quote else market.base, FEE, trade.buyer_id, FEES, trade.buyer_fee),
            (market.quote, FEE, trade.seller_id, FEES, trade.seller_fee),
            (market.base if trade.taker_pays_base else market.quote, REBATE, FEES, trade.maker_id, trade.rebate),
        ):
            for account, change in ((giver, -amount), (taker, amount)):
                key = (account, asset, kind)
                owed[key] = owed.get(key, 0) + change
        reference = f"trade:{market.symbol}-{trade.sequence}"
        known = self.owed.setdefault(reference, owed)
        if known is not owed:
            # The entries came before their trade.
            for key, amount in owed.items():
                known[key] = known.get(key, 0) + amount


def _subtract(totals: dict[str, dict[K, int]], reference: str, key: K, amount: int) -> None:
    """Take the amount off. A reference is deleted when all of its amounts are zero."""
    parts = totals.setdefault(reference, {})
    rest = parts.get(key, 0) - amount
    if rest:
        parts[key] = rest
        return
    parts.pop(key, None)
    if not any(parts.values()):
        del totals[reference]


def _missing(owed: Owed) -> str:
    parts = [
        f"{plain_units(amount)} {currency} {kind} of {account}"
        for (account, currency, kind), amount in owed.items()
        if amount
    ]
    return f"missing (or, negative, too much): {', '.join(parts)}"


def entries_since(oldest: datetime) -> Iterator[EntryRow]:
    """The entries from a time on, newest first.

    The times do not rise strictly with the ids, because a transaction may commit later than one with larger ids.
    """
    bound, last = oldest - MARGIN, None
    while True:
        rows = LedgerEntry.objects.order_by("-id").values_list(*EntryRow._fields)
        found = fetch((rows if last is None else rows.filter(id__lt=last))[:CHUNK], EntryRow)
        yield from found
        if len(found) < CHUNK:
            return
        last = found[-1].id
        if LedgerEntry.objects.values_list("created_at", flat=True).get(id=last) < bound:
            return
