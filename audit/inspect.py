"""The checks of everything, and of what happened lately. Reads only; the caller sees to one snapshot."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.utils import timezone

from audit.balances import check_balances, check_some_balances
from audit.checks import Check
from audit.events import Timeline
from audit.findings import Report
from audit.ledger import MARGIN, Ledger, Trades, entries_since
from audit.open_orders import Reserved, check_standing, check_status
from audit.reference_data import Ground, Venue, survey
from audit.rows import EntryRow, TradeRow, TransferRow, read
from audit.scope import Part, recent, whole

# The most that a quick audit looks at, of each market.
RECENT_EVENTS = 10_000
# How far back it reads transfers, whose ids do not commit in order.
RECENT_TRANSFERS = 1_000


class Positions(NamedTuple):
    """How far everything was looked at: the next event number of each market, the last transfer's id, and when."""

    events: Mapping[str, int]
    transfer: int
    at: str

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> "Positions":
        return cls(**stored) if stored else cls({}, 0, datetime.min.replace(tzinfo=UTC).isoformat())


def check_exchange() -> None:
    """Everything that must hold whenever no transaction is open. Raises AssertionError with the findings."""
    # How long a command waits is no matter of what is stored.
    report = Report(left_out=(Check.SERVED,))
    inspect_all(report, timezone.now())
    assert not report.findings, "\n".join(map(str, report.findings))


def inspect_all(report: Report, now: datetime) -> Positions:
    """Every row of every table."""
    ground = survey(report, now)
    reserved: Reserved = defaultdict(int)
    for venue in ground.venues.values():
        if venue.is_used or venue.book or venue.commands:
            report.tell(f"market {venue.symbol}")
            _inspect(report, ground, whole(venue), reserved)
        else:
            check_status(report, ground, venue)
    report.tell("the ledger")
    ledger = Ledger(report, ground, [_trades(venue) for venue in ground.venues.values() if venue.is_used])
    last = 0
    for transfer in read(TransferRow):
        ledger.expect_transfer(transfer)
        last = transfer.id
    for entry in read(EntryRow):
        ledger.see(entry)
    ledger.finish()
    report.tell("balances")
    check_balances(report, ground, ledger.accounts, reserved)
    ground.look_up_users()
    return Positions(_events(ground), last, now.isoformat())


def inspect_recent(report: Report, now: datetime, since: Positions) -> Positions:
    """What happened since, the orders and balances that it concerned, and all that is cheap to look at."""
    ground = survey(report, now)
    reserved: Reserved = defaultdict(int)
    touched: set[tuple[int, str]] = set()
    first: dict[str, int] = {}
    for venue in ground.venues.values():
        first[venue.symbol] = max(since.events.get(venue.symbol, 1), venue.next_sequence - RECENT_EVENTS, 1)
        if venue.is_used or venue.book or venue.commands:
            part = recent(venue, first[venue.symbol])
            first[venue.symbol] = part.first
            _inspect(report, ground, part, reserved)
            touched |= {(order.user_id, code) for order in part.followed_orders() for code in (venue.base, venue.quote)}
        else:
            check_status(report, ground, venue)
    last, transferred = _inspect_recent_ledger(report, ground, since, first)
    check_some_balances(report, ground, touched | transferred, reserved)
    ground.look_up_users()
    return Positions(_events(ground), last, now.isoformat())


def _inspect(report: Report, ground: Ground, part: Part, reserved: Reserved) -> None:
    Timeline(report, ground, part).run()
    check_standing(report, ground, part, reserved)


def _inspect_recent_ledger(
    report: Report, ground: Ground, since: Positions, first: Mapping[str, int]
) -> tuple[int, set[tuple[int, str]]]:
    """The entries of trades from their market's first number on, and of late transfers; whose balances these moved."""
    used = [venue for venue in ground.venues.values() if venue.is_used]
    trades = [_trades(venue, first[venue.symbol]) for venue in used]
    ledger = Ledger(report, ground, trades, since=first)
    last, pairs = since.transfer, set()
    instants = [each.next.created_at for each in trades if each.next is not None]
    late = datetime.fromisoformat(since.at)
    for transfer in read(TransferRow, after=max(0, since.transfer - RECENT_TRANSFERS)):
        if transfer.created_at + MARGIN < late:
            continue
        ledger.expect_transfer(transfer)
        pairs.add((transfer.user_id, transfer.currency_id))
        instants.append(transfer.created_at)
        last = max(last, transfer.id)
    for entry in entries_since(min(instants, default=ground.now)):
        ledger.see(entry)
    ledger.finish()
    return last, pairs


def _trades(venue: Venue, first: int = 1) -> Trades:
    return Trades(venue, read(TradeRow, by="sequence", after=first - 1, market_id=venue.symbol))


def _events(ground: Ground) -> dict[str, int]:
    return {venue.symbol: venue.next_sequence for venue in ground.venues.values()}
