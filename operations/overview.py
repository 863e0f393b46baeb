"""The overview: a few figures of each market and of the exchange, on the admin's first page.

Each figure takes one or two queries, however many markets there are. Each query uses an index and reads a limited
number of rows. None needs Redis: without it the caches are shown without what they hold.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, When
from django.utils import timezone

from audit.models import AuditRun, Outcome
from audit.run import last_run
from balances.approvals import APPROVE_PERMISSION
from balances.models import Approval, ApprovalStatus
from base.storage.time_limit import TimeLimit
from commands.models import Command
from core.money import plain, plain_or_none
from core.types import MarketStatus
from marketdata.candles import opens_at
from marketdata.depth import read_bests
from marketdata.tape import last_trades
from markets.models import Candle, Interval
from markets.services import listed_markets
from matching.models import DeadLetter
from matching.worker.heartbeat import live_heartbeats, live_workers
from operations import acts
from operations.answers import CacheStats
from operations.caches import read_stats
from operations.figures import Figure, age, bars, intake, latency
from orders.models import Order
from users.models import StaffAct

# Time limits of one query, and of all together: the page renews itself, and must be ready before that.
EACH_SECONDS, TOGETHER_SECONDS = 1.0, 3.0
MINUTES = 60
# The most rows that are read.
MOST_MARKETS, MOST_WAITING, MOST_LETTERS, NEWEST_ORDERS = 100, 5_000, 1_000, 1_000
MOST_APPROVALS, MOST_ACTS = 5, 8
LATE_SECONDS = 5.0


@dataclass
class Line:
    """The line of one market. A figure that the reader may not see, or that could not be read, is None."""

    symbol: str
    status: str
    bid: str | None = None
    ask: str | None = None
    last: str | None = None
    last_at: datetime | None = None
    waiting: Figure | None = None
    workers: Figure | None = None
    minutes: list[int] | None = None

    @property
    def is_open(self) -> bool:
        return self.status == MarketStatus.TRADING

    @property
    def last_minute(self) -> int:
        """The trades of the last full minute, because the present one has only just begun."""
        return self.minutes[-2] if self.minutes else 0

    @property
    def last_hour(self) -> int:
        return sum(self.minutes or ())

    @property
    def picture(self) -> str:
        return bars(self.minutes or ())

    @property
    def most(self) -> int:
        return max(self.minutes or (), default=0)


@dataclass
class Overview:
    """All figures of the page. A figure that the reader may not see is not read."""

    at: datetime
    lines: list[Line] | None = None
    has_more_markets: bool = False
    waiting: Figure | None = None
    workers: Figure | None = None
    trades: Figure | None = None
    dead_letters: Figure | None = None
    audit: Figure | None = None
    audit_id: int | None = None
    intake: Figure | None = None
    latency: Figure | None = None
    statuses: list[tuple[str, int]] | None = None
    statuses_since: datetime | None = None
    approvals: Figure | None = None
    waiting_approvals: list[tuple[Approval, str]] | None = None
    acts: list[StaffAct] | None = None
    caches: dict[str, CacheStats] | None = None
    is_incomplete: bool = False


def read_overview(may: Callable[[str], bool]) -> Overview:
    """Read the figures that the reader may see. A figure that exceeds the time limit is left out."""
    found = Overview(timezone.now())
    with TimeLimit(EACH_SECONDS, TOGETHER_SECONDS) as time_limit:
        _read(found, time_limit, may)
    found.is_incomplete = time_limit.was_exceeded
    return found


def _read(found: Overview, time_limit: TimeLimit, may: Callable[[str], bool]) -> None:
    """Read what the reader may see; the markets first, because other figures are those of the markets' lines."""
    for permission, read in (
        ("markets.view_market", _read_markets),
        ("commands.view_command", _read_waiting),
        ("matching.view_workerheartbeat", _read_workers),
        ("markets.view_trade", _read_trades),
        ("matching.view_deadletter", _read_dead_letters),
        ("audit.view_auditrun", _read_last_audit),
        ("orders.view_order", _read_orders),
        (APPROVE_PERMISSION, _read_approvals),
        (acts.VIEW_PERMISSION, _read_acts),
        ("operations.view", _read_caches),
    ):
        if may(permission):
            read(found, time_limit)


def _read_markets(found: Overview, time_limit: TimeLimit) -> None:
    """Read the listed markets. With too many, the trading ones are kept; the others come first in what is kept."""

    def markets() -> list[Line]:
        trading = Case(When(status=MarketStatus.TRADING, then=0), default=1)
        rows = listed_markets().order_by(trading, "status", "symbol").values_list("symbol", "status")
        return [Line(symbol, status) for symbol, status in rows[: MOST_MARKETS + 1]]

    found.lines = time_limit.read(markets)
    if found.lines is None:
        return
    found.has_more_markets = len(found.lines) > MOST_MARKETS
    del found.lines[MOST_MARKETS:]
    found.lines.sort(key=lambda line: line.is_open)
    symbols = [line.symbol for line in found.lines]
    bests = time_limit.read(lambda: read_bests(symbols)) or {}
    for line in found.lines:
        bid, ask = bests.get(line.symbol, (None, None))
        line.bid, line.ask = plain_or_none(bid), plain_or_none(ask)


def _read_waiting(found: Overview, time_limit: TimeLimit) -> None:
    """Read the oldest commands of all markets, because these wait longest, however many there are."""

    def oldest() -> list[tuple[str, datetime]]:
        return list(Command.objects.order_by("id").values_list("market_id", "created_at")[:MOST_WAITING])

    rows = time_limit.read(oldest)
    if rows is None:
        return
    since: dict[str, list[datetime]] = defaultdict(list)
    for symbol, created_at in rows:
        since[symbol].append(created_at)
    more = "+" if len(rows) == MOST_WAITING else ""
    found.waiting = _waiting([instant for _, instant in rows], found.at, more)
    for line in found.lines or ():
        line.waiting = _waiting(since[line.symbol], found.at, more)


def _waiting(since: Sequence[datetime], now: datetime, more: str) -> Figure:
    if not since:
        return Figure(f"0{more}")
    seconds = (now - min(since)).total_seconds()
    return Figure(f"{len(since):,}{more}", f"oldest {age(seconds)}", seconds > LATE_SECONDS)


def _read_workers(found: Overview, time_limit: TimeLimit) -> None:
    number = time_limit.read(lambda: live_heartbeats().count())
    if number is not None:
        found.workers = Figure(str(number), "", number == 0)
    symbols = [line.symbol for line in found.lines or ()]
    counted = time_limit.read(lambda: live_workers(symbols))
    for line in found.lines or () if counted is not None else ():
        serving = counted[line.symbol] if counted else 0
        line.workers = Figure(str(serving), "", not serving and line.status != MarketStatus.HALTED)


def _read_trades(found: Overview, time_limit: TimeLimit) -> None:
    """Read the trades of the last hour from the candles, at most sixty rows of each market, and the last trades."""
    if found.lines is None:
        return
    first = opens_at(found.at, Interval.MINUTE) - timedelta(minutes=MINUTES - 1)
    lines = {line.symbol: line for line in found.lines}

    def minutes() -> list[tuple[str, datetime, int]]:
        rows = Candle.objects.filter(market_id__in=lines, interval=Interval.MINUTE, opens_at__gte=first)
        return list(rows.values_list("market_id", "opens_at", "trades"))

    candles = time_limit.read(minutes)
    if candles is not None:
        minutes_of = {symbol: [0] * MINUTES for symbol in lines}
        for symbol, opened, trades in candles:
            # A candle may be a minute ahead, because it has the time of the database's clock.
            place = min(MINUTES - 1, int((opened - first).total_seconds()) // 60)
            minutes_of[symbol][place] += trades
        for symbol, line in lines.items():
            line.minutes = minutes_of[symbol]
        minute, hour = sum(line.last_minute for line in found.lines), sum(line.last_hour for line in found.lines)
        more = "+" if found.has_more_markets else ""
        found.trades = Figure(f"{minute:,}{more}", f"{hour:,}{more} in the last hour")
    for symbol, trade in (time_limit.read(lambda: last_trades(lines)) or {}).items():
        lines[symbol].last, lines[symbol].last_at = plain_or_none(trade.price), trade.created_at


def _read_dead_letters(found: Overview, time_limit: TimeLimit) -> None:
    found.dead_letters = time_limit.read(_dead_letters)


def _read_last_audit(found: Overview, time_limit: TimeLimit) -> None:
    run = time_limit.read(_last_audit)
    if run is not None:
        found.audit, found.audit_id = run


def _read_acts(found: Overview, time_limit: TimeLimit) -> None:
    found.acts = time_limit.read(lambda: acts.newest_acts(MOST_ACTS))


def _read_caches(found: Overview, _: TimeLimit) -> None:
    found.caches = read_stats()


def _dead_letters() -> Figure:
    number = DeadLetter.objects.filter(resolution=None).order_by()[: MOST_LETTERS + 1].count()
    text = f"{MOST_LETTERS:,}+" if number > MOST_LETTERS else f"{number:,}"
    return Figure(text, "unresolved", number > 0)


def _last_audit() -> tuple[Figure, int | None]:
    run: AuditRun | None = last_run()
    if run is None:
        return Figure("never"), None
    ago = f"{run.mode.lower()}, {age((timezone.now() - run.started_at).total_seconds())} ago"
    if run.outcome == Outcome.NOT_RUN:
        return Figure("could not run", ago, True), run.pk
    return Figure("clean" if not run.found else f"{run.found:,} findings", ago, run.found > 0), run.pk


def _read_orders(found: Overview, time_limit: TimeLimit) -> None:
    """How many orders come in, how long they wait, and the newest by status.

    Only of the newest, because to count those of a day would take too long.
    """

    def newest() -> list[Any]:
        return list(Order.objects.order_by("-id").values_list("status", "created_at")[:NEWEST_ORDERS])

    rows = time_limit.read(newest)
    if rows is not None:
        found.statuses = Counter(status for status, _ in rows).most_common()
        found.statuses_since = rows[-1][1] if rows else None
        found.intake = intake([made for _, made in rows], found.at, NEWEST_ORDERS)
    found.latency = time_limit.read(latency)


def _read_approvals(found: Overview, time_limit: TimeLimit) -> None:
    """Read what waits for a second person, oldest first."""

    def oldest() -> list[Approval]:
        waiting = Approval.objects.filter(status=ApprovalStatus.WAITING).select_related("user", "proposed_by")
        return list(waiting.order_by("id")[: MOST_APPROVALS + 1])

    rows = time_limit.read(oldest)
    if rows is not None:
        more = "+" if len(rows) > MOST_APPROVALS else ""
        found.waiting_approvals = [(row, plain(row.amount)) for row in rows[:MOST_APPROVALS]]
        note = f"oldest {age((found.at - rows[0].created_at).total_seconds())}" if rows else ""
        found.approvals = Figure(f"{len(found.waiting_approvals)}{more}", note)
