"""The checks of all rows, and of the rows since the last clean audit. Reads only, in the caller's snapshot."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.utils import timezone

from audit.approvals import check_approvals
from audit.balances import check_balances, check_some_balances
from audit.checks import Check, Report
from audit.events import Timeline
from audit.expiries import check_expiries
from audit.ledger import MARGIN, Ledger, Trades, entries_since
from audit.open_orders import Reserved, check_open_orders, check_rules, check_status
from audit.positions import check_positions
from audit.reference_data import MarketState, ReferenceData, load_reference_data
from audit.rows import EntryRow, TradeRow, TransferRow, read
from audit.scope import Scope, full_scope, scope_since
from audit.snapshots import check_snapshot

# The most events of each market that a quick audit reads.
MOST_EVENTS = 10_000
# How many transfers before the last audit's position it reads again, because ids do not commit in order.
MOST_TRANSFERS = 1_000


class Positions(NamedTuple):
    """How far an audit has read: the next event number of each market, the last transfer's id, and the time."""

    events: Mapping[str, int]
    transfer: int
    at: str

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> "Positions":
        return cls(**stored) if stored else cls({}, 0, datetime.min.replace(tzinfo=UTC).isoformat())


def check_exchange() -> None:
    """Check all rows. Raises AssertionError with the findings."""
    # Not how long a command waits: that depends on the time of the call.
    report = Report(left_out=(Check.SERVED,))
    inspect_full(report, timezone.now())
    assert not report.findings, "\n".join(map(str, report.findings))


def inspect_full(report: Report, now: datetime) -> Positions:
    """Check every row of every table."""
    data = load_reference_data(report, now)
    check_rules(report)
    check_approvals(report)
    reserved: Reserved = defaultdict(int)
    for market in data.markets.values():
        if market.is_used or market.book or market.commands:
            report.progress(f"market {market.symbol}")
            _inspect(report, data, full_scope(market), reserved)
        else:
            check_status(report, data, market)
    report.progress("the ledger")
    ledger = Ledger(
        report,
        data,
        [_trades(market) for market in data.markets.values() if market.is_used],
    )
    last = 0
    for transfer in read(TransferRow):
        ledger.expect_transfer(transfer)
        last = transfer.id
    for entry in read(EntryRow):
        ledger.add(entry)
    ledger.finish()
    report.progress("balances")
    check_balances(report, data, ledger.accounts, reserved)
    check_positions(report, data)
    data.check_users()
    return Positions(_events(data), last, now.isoformat())


def inspect_since(report: Report, now: datetime, since: Positions) -> Positions:
    """Check the rows since these positions, the orders and balances that they concern, and the small tables."""
    data = load_reference_data(report, now)
    check_rules(report)
    check_approvals(report)
    reserved: Reserved = defaultdict(int)
    touched: set[tuple[int, str]] = set()
    first: dict[str, int] = {}
    for market in data.markets.values():
        first[market.symbol] = max(since.events.get(market.symbol, 1), market.next_sequence - MOST_EVENTS, 1)
        if market.is_used or market.book or market.commands:
            scope = scope_since(market, first[market.symbol])
            first[market.symbol] = scope.first
            _inspect(report, data, scope, reserved)
            touched |= {
                (order.user_id, code) for order in scope.followed_orders() for code in (market.base, market.quote)
            }
        else:
            check_status(report, data, market)
    last, transferred = _inspect_ledger_since(report, data, since, first)
    check_some_balances(report, data, touched | transferred, reserved)
    data.check_users()
    return Positions(_events(data), last, now.isoformat())


def _inspect(report: Report, data: ReferenceData, scope: Scope, reserved: Reserved) -> None:
    Timeline(report, data, scope).run()
    check_open_orders(report, data, scope, reserved)
    check_expiries(report, data, scope)
    check_snapshot(report, scope)


def _inspect_ledger_since(
    report: Report, data: ReferenceData, since: Positions, first: Mapping[str, int]
) -> tuple[int, set[tuple[int, str]]]:
    """Check the entries of trades from `first` on, and of transfers since the positions.

    Returns the last transfer's id and the balances that transfers changed.
    """
    used = [market for market in data.markets.values() if market.is_used]
    trades = [_trades(market, first[market.symbol]) for market in used]
    ledger = Ledger(report, data, trades, since=first)
    last, pairs = since.transfer, set()
    instants = [each.next.created_at for each in trades if each.next is not None]
    late = datetime.fromisoformat(since.at)
    for transfer in read(TransferRow, after=max(0, since.transfer - MOST_TRANSFERS)):
        if transfer.created_at + MARGIN < late:
            continue
        ledger.expect_transfer(transfer)
        if transfer.user_id is not None:
            pairs.add((transfer.user_id, transfer.currency_id))
        instants.append(transfer.created_at)
        last = max(last, transfer.id)
    for entry in entries_since(min(instants, default=data.now)):
        ledger.add(entry)
    ledger.finish()
    return last, pairs


def _trades(market: MarketState, first: int = 1) -> Trades:
    return Trades(market, read(TradeRow, by="sequence", after=first - 1, market_id=market.symbol))


def _events(data: ReferenceData) -> dict[str, int]:
    return {market.symbol: market.next_sequence for market in data.markets.values()}
