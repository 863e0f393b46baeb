"""The source of a market's streams: one task of the process, which reads once for all who follow.

It listens to the market as a client of our own stream does, and makes the events of Binance's streams of what it
receives.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

import orjson

from base.streams.hub import Hub
from base.streams.messages import RESET, data_text
from base.streams.open_stream import OpenStream, Outgoing
from base.streams.threads import in_thread
from binance_api.streams import events, names
from binance_api.streams.book_stream import BookStream
from binance_api.streams.candle_streams import Candle, CandleStreams
from binance_api.streams.readings import MISSED_TRADES, SourceFeed, TooMuchMissed
from binance_api.symbols import binance_name
from binance_api.tickers import full_tickers, read_tickers
from marketdata.answers import OrderBook
from marketdata.feed import DEPTH, TICKER, TRADES

logger = logging.getLogger(__name__)

MAY_HAVE_MISSED = "events may have been missed: read REST and connect again"
_OF_TRADES = {names.TRADE: events.trade_event, names.AGGREGATE: events.aggregate_event}
_OF_TICKERS = {names.TICKER: events.ticker, names.MINI_TICKER: events.mini_ticker}


class Follower(Protocol):
    """A socket that follows a stream under a name of its own."""

    def send(self, text: str) -> None:
        """Send an event, of which none may be left out."""

    def show(self, text: str, *, is_final: bool = False) -> None:
        """Send an event that shows a state, in the place of an older one that waits; a final one keeps its place."""

    def cut(self, reason: str) -> None:
        """Close the socket, because its client must begin anew."""


class Source:
    """A task of the process that reads once for all who follow. Used from one event loop."""

    def __init__(self) -> None:
        self._followers: defaultdict[str, set[Follower]] = defaultdict(set)
        self._task = asyncio.get_running_loop().create_task(self._live())

    @property
    def is_alive(self) -> bool:
        return not self._task.done() and self._task.get_loop() is asyncio.get_running_loop()

    @property
    def is_followed(self) -> bool:
        return any(self._followers.values())

    def leave(self, kind: str, follower: Follower) -> None:
        self._followers[kind].discard(follower)

    def stop(self) -> None:
        self._task.cancel()

    async def _live(self) -> None:
        """Until the task is stopped."""
        raise NotImplementedError


class MarketSource(Source):
    """What this process sends of one market. Used from one event loop, in which its task runs until it is stopped."""

    def __init__(self, hub: Hub, symbol: str) -> None:
        self.symbol = symbol
        self._hub = hub
        self._feed = SourceFeed(symbol)
        self._name = symbol
        self._depth: OrderBook | None = None
        self._best: events.Best | None = None
        self._book, self._candles = BookStream(symbol), CandleStreams(symbol)
        # Up to which gap of the subscription everything was read.
        self._generation = 0
        self._stream: OpenStream | None = None
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reading: asyncio.Task[None] | None = None
        super().__init__()

    async def join(self, kind: str, follower: Follower) -> None:
        """Follow a stream. One that shows a state shows it at once."""
        # Before anything is awaited, so that the source is not stopped meanwhile.
        self._followers[kind].add(follower)
        await asyncio.shield(self._begun)
        if kind == names.DEPTH:
            await self._book.begin()
        elif (state := await self._state(kind)) is not None:
            follower.show(state)
        if self._stream is not None:
            # Something new may be due, and a market in which nothing happens has no message.
            self._stream.wake()

    def leave(self, kind: str, follower: Follower) -> None:
        super().leave(kind, follower)
        if not self._followers[names.DEPTH]:
            self._book.end()

    async def _live(self) -> None:
        listener = self._hub.enter(self._feed)
        try:
            stream = self._stream = OpenStream(self._hub, self._feed, listener, seconds=float("inf"))
            await self._hub.settled()
            self._name = await in_thread(binance_name, self.symbol)
            self._generation = self._hub.generation
            await self._take(stream.opened(await in_thread(self._feed.opening, time.monotonic())))
            self._begun.set_result(None)
            while not stream.is_ended:
                if await stream.woken(self._pause()) and not stream.is_ended:
                    await self._take(await self._next(stream))
                await self._keep_up()
            self._cut(self._followers, MAY_HAVE_MISSED)
        except Exception as error:
            logger.exception("the source of %s for Binance's streams has ended", self.symbol)
            if not self._begun.done():
                self._begun.set_exception(error)
            self._cut(self._followers, "come again")
        finally:
            self._begun.cancel()
            if self._reading is not None:
                self._reading.cancel()
            self._hub.leave(listener)

    async def _next(self, stream: OpenStream) -> list[Outgoing]:
        generation, looks = self._hub.generation, self._feed.looks
        messages = await stream.next()
        if self._feed.looks > looks:
            self._generation = generation
        return messages

    def _pause(self) -> float:
        """How long the source may wait for a message."""
        return max(0.001, min(self._book.due, self._candles.due) - time.monotonic())

    async def _take(self, messages: Iterable[Outgoing]) -> None:
        for message in messages:
            if message.type in (TRADES, MISSED_TRADES):
                self._take_trades(message)
            elif message.type == DEPTH:
                self._take_depth(orjson.loads(message.data))
            elif message.type == TICKER:
                await self._take_ticker()
            elif message.type == RESET:
                self._cut(_OF_TRADES, MAY_HAVE_MISSED)

    def _take_trades(self, message: Outgoing) -> None:
        self._candles.traded()
        if message.type == TRADES and self._generation != self._hub.generation:
            # After a gap: they are read with those that were missed before them.
            return
        trades = orjson.loads(message.data)
        new = trades if message.type == MISSED_TRADES else self._feed.new_trades(trades)
        if new is None:
            self._cut(_OF_TRADES, MAY_HAVE_MISSED)
            return
        for kind, write in _OF_TRADES.items():
            if self._followers[kind]:
                for trade in new:
                    self._tell(kind, write(self._name, trade))

    def _take_depth(self, depth: OrderBook) -> None:
        self._depth = depth
        self._book.moved()
        for kind in names.PARTIAL:
            if self._followers[kind]:
                self._show(kind, self._partial(kind, depth))
        best = events.best_prices(depth["bids"], depth["asks"])
        if best != self._best:
            self._best = best
            self._show(names.BOOK_TICKER, events.book_ticker(self._name, depth["sequence"], best))

    async def _take_ticker(self) -> None:
        for kind in _OF_TICKERS:
            if self._followers[kind] and (text := await self._state(kind)) is not None:
                self._show(kind, text)

    async def _keep_up(self) -> None:
        """Read what is due."""
        now = time.monotonic()
        if now >= self._book.due:
            # In a task of its own, because trades do not wait for the book's turn.
            self._reading = asyncio.get_running_loop().create_task(self._tell_changes())
        if now >= self._candles.due:
            followed = [kind for kind, followers in self._followers.items() if followers]
            for candle in await self._candles.next(followed):
                self._show(candle.kind, self._kline(candle), is_final=candle.is_closed)

    async def _tell_changes(self) -> None:
        try:
            changes = await self._book.next()
            if changes is not None:
                self._tell(names.DEPTH, events.depth_event(self._name, changes))
        except TooMuchMissed:
            self._cut((names.DEPTH,), MAY_HAVE_MISSED)
        except Exception:
            logger.exception("what changed in the book of %s could not be sent", self.symbol)
            self._cut((names.DEPTH,), "come again")
        if self._stream is not None:
            self._stream.wake()

    async def _state(self, kind: str) -> str | None:
        """What a stream of states shows now; None of one that has no state, or none yet."""
        depth = self._depth
        try:
            if kind in _OF_TICKERS:
                (shown,) = await in_thread(lambda: full_tickers(read_tickers([self.symbol])))
                return data_text(_OF_TICKERS[kind](shown))
            if kind.startswith(names.KLINE):
                candle = await self._candles.open_candle(kind)
                return None if candle is None else self._kline(candle)
        except Exception as error:
            # The next event shows it.
            logger.warning("%s of %s cannot be read: %r", kind, self.symbol, error)
            return None
        if depth is not None and kind in names.PARTIAL:
            return self._partial(kind, depth)
        if depth is not None and kind == names.BOOK_TICKER:
            best = events.best_prices(depth["bids"], depth["asks"])
            return events.book_ticker(self._name, depth["sequence"], best)
        return None

    def _kline(self, candle: Candle) -> str:
        return events.kline_event(self._name, candle.span, candle.figures, is_closed=candle.is_closed)

    def _partial(self, kind: str, depth: OrderBook) -> str:
        return events.partial_depth(depth["sequence"], depth["bids"], depth["asks"], names.PARTIAL[kind])

    def _show(self, kind: str, text: str, *, is_final: bool = False) -> None:
        for follower in self._followers[kind]:
            follower.show(text, is_final=is_final)

    def _tell(self, kind: str, text: str) -> None:
        for follower in self._followers[kind]:
            follower.send(text)

    def _cut(self, kinds: Iterable[str], reason: str) -> None:
        for kind in list(kinds):
            for follower in tuple(self._followers[kind]):
                follower.cut(reason)
