"""What users trade in 30 days, added up in one reference asset, for their fee tiers.

The trades of each market are counted once, in their order, some at a time: a trade counts in full for its buyer and for
its seller, and for nobody where one user is both. The sums are kept by user and day, and a user's days are added up
again when one was added to, and once a day. All of it is done in steps, each a transaction of its own, which may be
broken off and repeated at any place.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from base.storage.bulk import update_rows, write_inserts
from base.storage.indexes import first_along
from base.storage.literals import dialect
from base.storage.outages import again_on_deadlock
from base.storage.statements import execute
from base.storage.time_search import made_between
from core.money import UNIT, to_units
from markets.fee_tier import FeeStanding, FeeTier, TradedVolume, VolumeCursor
from markets.marks import last_prices, main_markets, marks_at
from markets.models import Market, Trade

DAYS = 30
# How many trades, and how many users, one step takes.
STEP, USERS = 1_000, 500
# An asset may be worth something in the reference asset by way of others; by no more than these.
MOST_HOPS = 4
_DAY_SECONDS = 86_400

# The volumes of a step in units, by user and day.
Sums = Mapping[tuple[int, int], int]


class Worth(NamedTuple):
    """How a market's trades are counted: a column, worth its price in `first`, and that in turn the rest of the chain.

    `first` is an asset whose price is stored with the trades, or empty for what is in the reference asset already.
    """

    column: str
    first: str
    # The price in units of what the first one's main market is quoted in.
    rest: int
    # Where no mark was stored with a trade, because the main market had not traded yet.
    otherwise: int


def count_volumes(symbols: Sequence[str] | None, until: float) -> list[str] | None:
    """Go on until this monotonic instant: count the trades of these markets (None: of all), and add up what is due.

    Returns the markets from which to go on, perhaps none of them, and None when all is done.
    """
    if not FeeTier.objects.exists():
        # Nobody asks for volumes. Once somebody does, the last 30 days are counted.
        return None
    worths = _worths(settings.FEE_VOLUME_ASSET)
    left = [symbol for symbol in worths if symbols is None or symbol in symbols]
    while left:
        if time.monotonic() >= until:
            return left
        if not _count(left[0], worths[left[0]]):
            del left[0]
    for step in (_add_up, _forget_old):
        while step(today()):
            if time.monotonic() >= until:
                return []
    return None


def today() -> int:
    return _day_of(timezone.now())


@again_on_deadlock
@transaction.atomic
def _count(symbol: str, worth: Worth) -> bool:
    """Count the market's next trades. Returns whether there may be more."""
    cursor = VolumeCursor.objects.select_for_update().filter(market=symbol).first()
    if cursor is None:
        VolumeCursor.objects.bulk_create(
            [VolumeCursor(market_id=symbol, sequence=_before_the_window(symbol))], ignore_conflicts=True
        )
        return True
    trades = _trades_after(symbol, cursor.sequence, worth)
    sums: defaultdict[tuple[int, int], int] = defaultdict(int)
    for _, buyer, seller, volume, made_at in trades:
        if buyer != seller:
            sums[buyer, _day_of(made_at)] += volume
            sums[seller, _day_of(made_at)] += volume
    _store(sums, settings.FEE_VOLUME_ASSET)
    if trades:
        cursor.sequence = trades[-1][0]
        cursor.save(update_fields=["sequence"])
    return len(trades) == STEP


def _before_the_window(symbol: str) -> int:
    """The last trade before the days that count."""
    rows = Trade.objects.filter(market=symbol)
    first = made_between(rows, timezone.now() - timedelta(days=DAYS), None, "sequence").order_by("sequence").first()
    newest = rows.order_by("-sequence").first()
    return first.sequence - 1 if first else newest.sequence if newest else 0


def _trades_after(symbol: str, sequence: int, worth: Worth) -> list[tuple[int, int, int, int, datetime]]:
    """Sequence, buyer, seller, volume and instant of the next trades."""
    rows: Any = Trade.objects.filter(market=symbol, sequence__gt=sequence).order_by("sequence")
    trades = list(rows.values_list("sequence", "buyer_id", "seller_id", worth.column, "created_at")[:STEP])
    marks = marks_at(symbol, worth.first, [number for number, *_ in trades]) if worth.first else {}
    found = []
    for number, buyer, seller, amount, made_at in trades:
        volume = to_units(amount)
        if worth.first:
            volume = volume * marks.get(number, worth.otherwise) // UNIT * worth.rest // UNIT
        found.append((number, buyer, seller, volume, made_at))
    return found


def _store(sums: Sums, asset: str) -> None:
    """Add to the users' days, whose rows are locked, and have their standings added up again."""
    users, days = sorted({user for user, _ in sums}), {day for _, day in sums}
    rows: Any = TradedVolume.objects.select_for_update().filter(user__in=users, day__in=days, asset=asset)
    columns = rows.order_by("user_id", "day").values_list("id", "user_id", "day", "volume")
    known = {(user, day): (row_id, to_units(volume)) for row_id, user, day, volume in columns}
    changed = [(row_id, volume + sums[key]) for key, (row_id, volume) in known.items() if key in sums]
    new = [(user, asset, day, volume) for (user, day), volume in sorted(sums.items()) if (user, day) not in known]
    update_rows(TradedVolume, key="id", guards=(), fields=("volume",), rows=changed)
    execute(write_inserts(dialect(), TradedVolume, ("user", "asset", "day", "volume"), new))
    _make_due(users)


def _make_due(users: Sequence[int]) -> None:
    """Have the standings of these users added up again. Their rows are locked, also of those that are due already."""
    standings = FeeStanding.objects.select_for_update().filter(user__in=users).order_by("user_id")
    found: dict[int, int] = dict(standings.values_list("user_id", "due_day"))
    missing = [FeeStanding(user_id=user) for user in users if user not in found]
    FeeStanding.objects.bulk_create(missing, ignore_conflicts=True)
    added_up = [(user, 0) for user, due_day in found.items() if due_day]
    update_rows(FeeStanding, key="user", guards=(), fields=("due_day",), rows=added_up)


@again_on_deadlock
@transaction.atomic
def _add_up(day: int) -> bool:
    """Add up the days of users whose standings are due. Returns whether there may be more.

    Their rows are locked before the days are read: whoever adds to a day meanwhile waits, and makes them due again.
    """
    due = FeeStanding.objects.select_for_update().filter(due_day__lte=day).order_by("due_day", "user_id")
    users = list(due.values_list("user_id", flat=True)[:USERS])
    sums = dict.fromkeys(users, 0)
    rows = TradedVolume.objects.filter(user__in=users, asset=settings.FEE_VOLUME_ASSET, day__gt=day - DAYS)
    for user, volume in rows.values_list("user_id", "volume"):
        sums[user] += to_units(volume)
    standings = [(user, units, day + 1) for user, units in sums.items() if units]
    update_rows(FeeStanding, key="user", guards=(), fields=("volume", "due_day"), rows=standings)
    FeeStanding.objects.filter(user__in=[user for user, units in sums.items() if not units]).delete()
    return len(users) == USERS


def _forget_old(day: int) -> bool:
    """Delete days that count no more. Returns whether there may be more."""
    old = list(TradedVolume.objects.filter(day__lte=day - DAYS).values_list("pk", flat=True)[:STEP])
    TradedVolume.objects.filter(pk__in=old).delete()
    return len(old) == STEP


def _day_of(instant: datetime) -> int:
    return int(instant.timestamp()) // _DAY_SECONDS


def _worths(asset: str) -> dict[str, Worth]:
    """How the trades of each market are counted in this asset, of those markets that have trades to count.

    One that leads to the asset by no chain is left out.
    """
    trades = Trade.objects.filter(market=OuterRef("pk"))
    newest = first_along(trades, "sequence", "market_id", "sequence", backwards=True)
    counted = VolumeCursor.objects.filter(market=OuterRef("pk")).values("sequence")
    markets = list(Market.objects.order_by("symbol").annotate(newest=newest, counted=Subquery(counted)))
    quotes = {market.symbol: market.quote_id for market in markets}
    mains = main_markets()
    prices = {symbol: to_units(price) for symbol, price in last_prices(set(mains.values())).items()}
    found = {}
    for market in markets:
        if (market.newest or 0) <= (market.counted or 0):
            continue
        for column, code in (("notional", market.quote_id), ("quantity", market.base_id)):
            chain = _chain(code, asset, mains, quotes)
            # A mark is stored with the trades of other markets alone.
            if chain is not None and market.symbol not in chain[:1]:
                found[market.symbol] = _worth(column, code, chain, prices)
                break
    return found


def _chain(code: str, asset: str, mains: Mapping[str, str], quotes: Mapping[str, str]) -> Sequence[str] | None:
    """The main markets that lead from one asset to the other."""
    chain: list[str] = []
    while code != asset:
        main = mains.get(code, "")
        if main not in quotes or len(chain) == MOST_HOPS:
            return None
        chain.append(main)
        code = quotes[main]
    return chain


def _worth(column: str, code: str, chain: Sequence[str], prices: Mapping[str, int]) -> Worth:
    if not chain:
        return Worth(column, "", UNIT, UNIT)
    rest = UNIT
    for symbol in chain[1:]:
        rest = rest * prices.get(symbol, 0) // UNIT
    return Worth(column, code, rest, prices.get(chain[0], 0))
