"""The source of a market's streams: one task of the process, which reads once for all who follow.

It listens to the market as a client of our own stream does, and makes the events of Binance's streams of what it hears.
The differences of the book are made of readings, at most one each 100 ms and only while somebody follows them.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson

from base.streams.hub import Hub
from base.streams.messages import RESET, data_text
from base.streams.open_stream import OpenStream, Outgoing
from base.streams.threads import in_thread
from binance_api.streams import events, names
from binance_api.streams.changes import Reading, update
from binance_api.streams.readings import (
    MISSED_TRADES,
    SourceFeed,
    TooMuchMissed,
    read_book,
    read_candles,
    read_changed_book,
)
from binance_api.symbols import binance_name
from marketdata.answers import OrderBook
from marketdata.candles import SPANS, Span
from marketdata.feed import DEPTH, TICKER, TRADES

logger = logging.getLogger(__name__)

BOOK_SECONDS = 0.1
CANDLE_SECONDS = 1.0
# A batch that is committed just after a candle's end belongs to it; so the candle is said to be closed a second later.
CLOSING = timedelta(seconds=1)
# How many candles may have closed since a source read the last one, while the database was away.
MOST_CANDLES = 10
AGAIN_SECONDS = 2.0
MAY_HAVE_MISSED = "events may have been missed: read REST and connect again"


class Follower(Protocol):
    """A socket that follows a stream under a name of its own."""

    def tell(self, text: str, *, is_state: bool) -> None:
        """Send an event. One that shows a state takes the place of an older one that waits."""

    def cut(self, reason: str) -> None:
        """Close the socket, because its client must begin anew."""


class MarketSource:
    """What this process sends of one market. Used from one event loop, in which its task runs until it is stopped."""

    def __init__(self, hub: Hub, symbol: str) -> None:
        self.symbol = symbol
        self._hub = hub
        self._followers: defaultdict[str, set[Follower]] = defaultdict(set)
        self._feed = SourceFeed(symbol)
        self._name = symbol
        # The newest event of each stream that shows a state.
        self._states: dict[str, str] = {}
        self._best: Any = None
        self._book: Reading | None = None
        self._told = 0
        self._book_lock = asyncio.Lock()
        self._is_book_moved, self._has_traded = False, False
        self._book_due, self._candles_due = 0.0, 0.0
        # Of each interval that is followed the number of the candle that is open.
        self._open: dict[str, int] = {}
        loop = asyncio.get_running_loop()
        self._begun: asyncio.Future[None] = loop.create_future()
        self._task = loop.create_task(self._live())

    @property
    def is_alive(self) -> bool:
        return not self._task.done() and self._task.get_loop() is asyncio.get_running_loop()

    @property
    def is_followed(self) -> bool:
        return any(self._followers.values())

    async def join(self, kind: str, follower: Follower) -> None:
        """Follow a stream, and send what it shows now."""
        await asyncio.shield(self._begun)
        if kind == names.DEPTH:
            await self._begin_book()
        elif kind.startswith(names.KLINE):
            await self._show_candles(kind)
        self._followers[kind].add(follower)
        if (state := self._states.get(kind)) is not None:
            follower.tell(state, is_state=True)

    def leave(self, kind: str, follower: Follower) -> None:
        self._followers[kind].discard(follower)
        if kind == names.DEPTH and not self._followers[kind]:
            self._book = None

    def stop(self) -> None:
        self._task.cancel()

    async def _live(self) -> None:
        listener = self._hub.enter(self._feed)
        try:
            stream = OpenStream(self._hub, self._feed, listener, seconds=float("inf"))
            await self._hub.settled()
            self._name = await in_thread(binance_name, self.symbol)
            await self._take(stream.opened(await in_thread(self._feed.opening, time.monotonic())))
            self._begun.set_result(None)
            while not stream.is_ended:
                if await stream.woken(self._pause()) and not stream.is_ended:
                    await self._take(await stream.next())
                await self._keep_up()
            self._cut(self._followers, MAY_HAVE_MISSED)
        except Exception as error:
            logger.exception("what is sent of %s to clients of Binance's streams has ended", self.symbol)
            if not self._begun.done():
                self._begun.set_exception(error)
            self._cut(self._followers, "come again")
        finally:
            self._begun.cancel()
            self._hub.leave(listener)

    def _pause(self) -> float:
        """How long the source may wait for a message."""
        due = [self._candles_due] if self._open else []
        if self._is_book_moved and self._book is not None:
            due.append(self._book_due)
        return max(0.001, min(due, default=float("inf")) - time.monotonic())

    async def _take(self, messages: Iterable[Outgoing]) -> None:
        for message in messages:
            if message.type in (TRADES, MISSED_TRADES):
                self._take_trades(message)
            elif message.type == DEPTH:
                self._take_depth(orjson.loads(message.data))
            elif message.type == TICKER:
                await self._take_ticker()
            elif message.type == RESET:
                self._cut((names.TRADE, names.AGGREGATE), MAY_HAVE_MISSED)

    def _take_trades(self, message: Outgoing) -> None:
        trades = orjson.loads(message.data)
        new = trades if message.type == MISSED_TRADES else self._feed.new_trades(trades)
        self._has_traded = True
        if new is None:
            self._cut((names.TRADE, names.AGGREGATE), MAY_HAVE_MISSED)
            return
        for kind, write in ((names.TRADE, events.trade_event), (names.AGGREGATE, events.aggregate_event)):
            if self._followers[kind]:
                for trade in new:
                    self._tell(kind, write(self._name, trade))

    def _take_depth(self, depth: OrderBook) -> None:
        sequence, bids, asks = depth["sequence"], depth["bids"], depth["asks"]
        self._is_book_moved = True
        for kind, levels in names.PARTIAL.items():
            self._show(kind, events.partial_depth(sequence, bids, asks, levels))
        best = events.best_prices(bids, asks)
        if best != self._best:
            self._best = best
            self._show(names.BOOK_TICKER, events.book_ticker(self._name, sequence, best))

    async def _take_ticker(self) -> None:
        try:
            shown = await in_thread(read_ticker, self.symbol)
        except Exception as error:
            # The next ticker has it.
            logger.warning("the ticker of %s cannot be read: %r", self.symbol, error)
            return
        self._show(names.TICKER, data_text(events.ticker(shown)))
        self._show(names.MINI_TICKER, data_text(events.mini_ticker(shown)))

    async def _keep_up(self) -> None:
        """Read what is due."""
        now = time.monotonic()
        if self._is_book_moved and self._book is not None and now >= self._book_due:
            self._book_due = now + BOOK_SECONDS
            await self._tell_changes()
        if self._open and now >= self._candles_due:
            self._candles_due = now + CANDLE_SECONDS
            await self._tell_candles()

    async def _begin_book(self) -> None:
        async with self._book_lock:
            if self._book is None:
                book = await in_thread(read_book, self.symbol)
                self._book, self._told = book, book.sequence

    async def _tell_changes(self) -> None:
        async with self._book_lock:
            if (before := self._book) is None:
                return
            self._is_book_moved = False
            try:
                now, touched = await in_thread(read_changed_book, self.symbol, before.sequence)
            except TooMuchMissed:
                self._book = None
                self._cut((names.DEPTH,), MAY_HAVE_MISSED)
                return
            except Exception as error:
                logger.warning("the book of %s cannot be read for its followers: %r", self.symbol, error)
                self._is_book_moved, self._book_due = True, time.monotonic() + AGAIN_SECONDS
                return
            if now.sequence <= before.sequence or self._book is not before:
                return
            self._book = now
            changes = update(self._told + 1, before, now, touched)
            if changes is not None:
                self._told = now.sequence
                self._tell(names.DEPTH, events.depth_event(self._name, changes))

    async def _show_candles(self, kind: str) -> None:
        """The candle that is open now, for a first follower."""
        if not self._followers[kind]:
            span = _span(kind)
            self._open[kind] = span.number(_closing_time())
            await self._read_candles(kind, span)

    async def _tell_candles(self) -> None:
        until = _closing_time()
        for kind in list(self._open):
            span = _span(kind)
            if not self._followers[kind]:
                del self._open[kind]
                self._states.pop(kind, None)
            elif self._has_traded or span.number(until) > self._open[kind]:
                await self._read_candles(kind, span)
        # Of the interval that has just begun the trades are told when the one before it is closed.
        self._has_traded = any(_span(kind).number(datetime.now(UTC)) > self._open[kind] for kind in self._open)

    async def _read_candles(self, kind: str, span: Span) -> None:
        until = _closing_time()
        number, shown = span.number(until), self._open[kind]
        try:
            candles = await in_thread(read_candles, self.symbol, span, until, min(number - shown + 1, MOST_CANDLES))
        except Exception as error:
            logger.warning("the candles of %s cannot be read: %r", self.symbol, error)
            return
        self._open[kind] = number
        for candle in candles:
            is_closed = span.number(candle.opens_at) < number
            self._show(kind, events.kline_event(self._name, span, candle, is_closed=is_closed), is_last=not is_closed)

    def _show(self, kind: str, text: str, *, is_last: bool = True) -> None:
        """Tell a new state, unless it is the old one. What is not the last is followed by another, and is kept too."""
        if self._states.get(kind) != text:
            self._states[kind] = text
            self._tell(kind, text, is_state=is_last)

    def _tell(self, kind: str, text: str, *, is_state: bool = False) -> None:
        for follower in self._followers[kind]:
            follower.tell(text, is_state=is_state)

    def _cut(self, kinds: Iterable[str], reason: str) -> None:
        for kind in list(kinds):
            for follower in tuple(self._followers[kind]):
                follower.cut(reason)


def _span(kind: str) -> Span:
    return SPANS[kind.removeprefix(names.KLINE)]


def _closing_time() -> datetime:
    return datetime.now(UTC) - CLOSING
