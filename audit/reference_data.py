"""Reference data: the small tables that every check needs, such as markets, books, inboxes and dead letters."""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet

from audit.checks import Check, Report
from audit.rows import CommandRow, batched_keys, fetch_plain, read
from balances.models import HouseAccount
from commands.models import HeldCommand
from core.money import DIGITS, stored_units
from core.types import CommandKind, MarketStatus
from markets.models import Asset, Candle, Market, Trade
from matching.models import DeadLetter, OrderBook, StatusChange
from orders.models import Order, OrderEvent

_OF_A_MARKET: tuple[type[Model], ...] = (Order, OrderEvent, Trade, Candle, StatusChange, DeadLetter)
HOUSE = frozenset(account.value for account in HouseAccount)


class BookState(NamedTuple):
    next_sequence: int
    unfinished_order_id: int | None
    unfinished_command_id: int | None
    is_cascading: int
    status: str


class Change(NamedTuple):
    """A change of the market's trading status, from the event with this sequence on.

    `price_band` is that by which the opening price was limited.
    """

    id: int
    sequence: int
    status: str
    price_band: int | None


class DeadLetterRow(NamedTuple):
    id: int
    market_id: str
    kind: str
    order_id: int | None
    resolved_by_id: int | None
    successor_id: int | None


@dataclass
class MarketState:
    """A market as the audit needs it. The steps are the smallest amounts of its assets, in units."""

    symbol: str
    base: str
    quote: str
    lot: int
    tick: int
    status: str
    base_step: int
    quote_step: int
    book: BookState | None = None
    changes: list[Change] = field(default_factory=list)
    commands: list[CommandRow] = field(default_factory=list)
    # The orders whose commands the sandbox holds.
    held: list[int] = field(default_factory=list)
    # Whether the large tables have a row of this market.
    is_used: bool = False

    @property
    def next_sequence(self) -> int:
        return self.book.next_sequence if self.book else 1

    def is_in_auction(self, sequence: int) -> bool:
        """Whether the event of this number happened in an auction: all fills of an uncrossing do."""
        place = bisect_right(self.changes, sequence, key=attrgetter("sequence"))
        return place > 0 and self.changes[place - 1].status == MarketStatus.AUCTION

    @property
    def may_cross(self) -> bool:
        """Whether what an auction has collected may still rest: it trades before the market does."""
        is_trading = self.book is None or self.book.status == MarketStatus.TRADING
        return not is_trading and any(change.status == MarketStatus.AUCTION for change in self.changes)

    @property
    def unfinished(self) -> int | None:
        return self.book.unfinished_order_id if self.book else None

    @property
    def is_unfinished(self) -> bool:
        """Whether something goes on before any other command: a taker, an uncrossing, or triggered orders that fire."""
        book = self.book
        return book is not None and (
            book.unfinished_order_id is not None or book.unfinished_command_id is not None or bool(book.is_cascading)
        )

    @cached_property
    def replacing(self) -> set[int]:
        """The orders that wait to replace others, and have nothing frozen of their own yet."""
        found = {command.order_id for command in self.commands if command.kind == CommandKind.REPLACE}
        return {order_id for order_id in found if order_id is not None and order_id != self.unfinished}

    def pays_with(self, side: str) -> str:
        return self.quote if side == "BUY" else self.base


@dataclass
class ReferenceData:
    """The small tables, and the users that rows have named. `check_users` reads those at the end, all together."""

    report: Report
    supplies: dict[str, int]
    markets: dict[str, MarketState]
    dead_letters: list[DeadLetterRow]
    now: datetime
    users: dict[int, str] = field(default_factory=dict)

    def user(self, user_id: int, row: str) -> None:
        """Note that a row names this user."""
        self.users.setdefault(user_id, row)

    def account(self, account: int, currency: str, row: str) -> None:
        """Check the account and the currency that a row names."""
        if account > 0:
            self.users.setdefault(account, row)
        elif account not in HOUSE:
            self.report.add(Check.CAUSE, f"account {account} is nobody's", [row])
        if currency not in self.supplies:
            self.report.add(Check.ROWS, f"there is no asset {currency}", [row])

    def check_users(self) -> None:
        """Report the users that rows have named and that do not exist."""
        users = get_user_model().objects
        for chunk in batched_keys(self.users):
            existing = {user_id for (user_id,) in fetch_plain(users.filter(pk__in=chunk).values_list("pk"))}
            for user_id in chunk:
                if user_id not in existing:
                    self.report.add(Check.ROWS, f"there is no user {user_id}", [self.users[user_id]])
        self.report.count([Check.ROWS], len(self.users))


def load_reference_data(report: Report, now: datetime) -> ReferenceData:
    """Read the small tables."""
    assets = {code: (scale, stored_units(supply)) for code, scale, supply in _all(Asset, "code", "scale", "supply")}
    columns = ("symbol", "base_id", "quote_id", "lot_size", "tick_size", "status")
    markets = {
        symbol: MarketState(
            *(symbol, base, quote, stored_units(lot), stored_units(tick), status),
            *(_step(assets[base][0]), _step(assets[quote][0])),
        )
        for symbol, base, quote, lot, tick, status in _all(Market, *columns)
    }
    dead_letters = [DeadLetterRow._make(row) for row in _all(DeadLetter, *DeadLetterRow._fields)]
    data = ReferenceData(report, {code: supply for code, (_, supply) in assets.items()}, markets, dead_letters, now)
    for symbol, *state in _all(OrderBook, "market_id", *BookState._fields):
        markets[symbol].book = BookState._make(state)
    changes = defaultdict(list)
    for symbol, number, sequence, status, band in _all(StatusChange, "market_id", *Change._fields):
        changes[symbol].append(Change(number, sequence, status, None if band is None else stored_units(band)))
    for symbol, found in changes.items():
        if symbol in markets:
            # By id, which is the order in which they were made.
            markets[symbol].changes = sorted(found)
    for command in read(CommandRow):
        if command.market_id in markets:
            markets[command.market_id].commands.append(command)
        else:
            report.add(Check.ROWS, f"there is no market {command.market_id}", [f"command {command.id}"])
    for symbol, order_id in _all(HeldCommand, "market_id", "id"):
        if symbol in markets:
            markets[symbol].held.append(order_id)
        else:
            report.add(Check.ROWS, f"there is no market {symbol}", [f"held command of order {order_id}"])
    _find_used_markets(data)
    return data


def _find_used_markets(data: ReferenceData) -> None:
    """Find the markets that the large tables have rows of, by their indexes, which begin with the market."""
    for model in _OF_A_MARKET:
        for (symbol,) in fetch_plain(model._default_manager.order_by().values_list("market_id").distinct()):
            if symbol in data.markets:
                data.markets[symbol].is_used = True
            else:
                data.report.add(Check.ROWS, f"there is no market {symbol}", [f"{model._meta.db_table} {symbol}"])
    for letter in data.dead_letters:
        if letter.resolved_by_id is not None:
            data.user(letter.resolved_by_id, f"dead letter {letter.id}")
    successors = {letter.successor_id: letter for letter in data.dead_letters if letter.successor_id is not None}
    for chunk in batched_keys(successors):
        existing = {order_id for (order_id,) in fetch_plain(Order.objects.filter(id__in=chunk).values_list("id"))}
        for order_id in chunk:
            if order_id not in existing:
                letter = successors[order_id]
                data.report.add(Check.ROWS, f"there is no order {order_id}", [f"dead letter {letter.id}"])


def _all(model: type[Model], *columns: str) -> Any:
    rows: QuerySet[Any, Any] = model._default_manager.order_by("pk").values_list(*columns)
    return fetch_plain(rows)


def _step(scale: int) -> int:
    units: int = 10 ** (DIGITS - scale)
    return units
