"""The public stream of a market: its depth, its trades and its ticker.

The worker publishes depth and trades after its commit, one message of each for a batch. The stream process conflates
them, and reads the ticker once a second for all streams of the market.
"""

import functools
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from base.streams import Message
from base.streams.conflation import Conflator
from base.streams.gap_detector import Position
from base.streams.hub import HasAll
from base.streams.messages import RESET, data_text
from base.streams.request import StreamRequest
from base.streams.threads import Shared
from core import outcome
from core.book import Book
from core.types import Status
from marketdata.answers import OrderBook
from marketdata.depth import represent_book
from marketdata.indicative import find_order_book
from marketdata.tape import represent_print
from marketdata.tickers import find_ticker
from markets.models import Trade
from markets.services import known_market

logger = logging.getLogger(__name__)

LEVELS = 20
CHANNEL_PREFIX = "market-"
DEPTH, TRADES, TICKER = "depth", "trades", "ticker"
# How orders end that never rested, unless they did before: a GTD order in time, and what an auction's band leaves over.
# The orders that they traded with, or removed, have their own events.
_MOSTLY_NEVER_RESTED = (Status.REJECTED, Status.EXPIRED)
_RESTED = (Status.OPEN, Status.PARTIALLY_FILLED)
_SEQUENCE = re.compile(r'"sequence":([0-9]{1,18})')


def market_channel(symbol: str) -> str:
    return CHANNEL_PREFIX + symbol


def market_messages(
    book: Book,
    events: Sequence[outcome.Event],
    trades: Sequence[outcome.Trade],
    now: datetime,
    *,
    has_new_status: bool = False,
) -> list[Message]:
    """The public messages of a batch. Never raises, because streams read later what is not published.

    `has_new_status`: the depth of an auction has other fields.
    """
    try:
        return list(_messages(book, events, trades, now, has_new_status))
    except Exception:
        logger.exception("the public messages of a batch of %s were not made", book.rules.symbol)
        return []


def _messages(
    book: Book,
    events: Sequence[outcome.Event],
    trades: Sequence[outcome.Trade],
    now: datetime,
    has_new_status: bool,
) -> Iterator[Message]:
    symbol = book.rules.symbol
    channel = market_channel(symbol)
    if trades:
        prints = ((trade.sequence, trade.price, trade.quantity, trade.taker.side) for trade in trades)
        yield Message(channel, TRADES, [represent_print(symbol, *line, now) for line in prints])
    if has_new_status or any(event.status not in _MOSTLY_NEVER_RESTED or event.previous in _RESTED for event in events):
        yield Message(channel, DEPTH, represent_book(symbol, book, LEVELS))


class Readings:
    """The shared readings of one market's depth and ticker."""

    def __init__(self, symbol: str) -> None:
        self.depth = Shared(lambda: find_order_book(symbol, LEVELS))
        self.ticker = Shared(lambda: find_ticker(symbol))


@functools.cache
def readings(symbol: str) -> Readings:
    """Those of a market that exists."""
    return Readings(symbol)


class MarketFeed:
    """What one stream sends of a market. Everything up to `_position` was sent: as it came, or as part of a depth."""

    user_id = None
    permit = None

    def __init__(self, symbol: str) -> None:
        self.channels = frozenset({market_channel(symbol)})
        self._symbol = symbol
        self._position = 0
        self._last_sent: dict[str, str] = {}

    def opening(self, since: float) -> list[Message]:
        depth = readings(self._symbol).depth.read(since)
        self._position = depth["sequence"]
        return self._state(depth, since)

    def missed(self, since: float) -> list[Message]:
        """Depth and ticker, if the depth is not the one that was sent last; after trades, a reset before them."""
        depth = readings(self._symbol).depth.read(since)
        if depth["sequence"] <= self._position:
            return []
        # Read after the depth, so that every trade up to the depth's sequence is found.
        has_traded = Trade.objects.filter(market_id=self._symbol, sequence__gt=self._position).exists()
        self._position = depth["sequence"]
        if has_traded:
            return [self._message(RESET, {"reason": "MAY_HAVE_MISSED"}), *self._state(depth, since)]
        # The sequence alone may differ, because rejected orders have events too and change nothing in public.
        if _levels(data_text(depth)) != _levels(self._last_sent[DEPTH]):
            return self._state(depth, since)
        # Not sent, because it is equal; but a queued depth from before this reading is old from now on.
        self._last_sent[DEPTH] = data_text(depth)
        return []

    def confirm(self, position: Position) -> None:
        self._position = max(self._position, position.newest.get(self._symbol, 0))

    def is_new(self, kind: str, data: str) -> bool:
        """False for a depth older than the one that was sent last, and for a ticker that equals the last one."""
        last_sent = self._last_sent.get(kind, "")
        if kind == TRADES:
            return True
        if data == last_sent or (kind == DEPTH and _sequence(data) < _sequence(last_sent)):
            return False
        self._last_sent[kind] = data
        return True

    def bookmark(self, kind: str, message_id: str, has_all: HasAll | None) -> str:
        """Never asked, because no message of a market has an id."""
        return message_id

    def _state(self, depth: OrderBook, since: float) -> list[Message]:
        ticker = readings(self._symbol).ticker.read(since)
        self._last_sent = {DEPTH: data_text(depth), TICKER: data_text(ticker)}
        return [self._message(DEPTH, depth), self._message(TICKER, ticker)]

    def _message(self, kind: str, data: Mapping[str, Any]) -> Message:
        return Message(market_channel(self._symbol), kind, data)


def open_market_feed(symbol: str, request: StreamRequest) -> MarketFeed:
    """Open the public feed of a market. Raises TooManyRequests, MarketNotFound."""
    request.meter.count(None)
    return open_market(symbol)


def open_market(symbol: str) -> MarketFeed:
    """Raises MarketNotFound."""
    return MarketFeed(known_market(symbol).symbol)


def _newer(older: str, newer: str) -> str:
    """The depth with the larger sequence, because two workers of one market may publish out of order."""
    return newer if _sequence(newer) >= _sequence(older) else older


def _joined(older: str, newer: str) -> str:
    """Two JSON arrays joined into one, without parsing them."""
    return f"{older[:-1]},{newer[1:]}"


def _sequence(depth: str) -> int:
    """The first sequence in the text, which is the depth's own. To parse all of it for each stream would cost more."""
    match = _SEQUENCE.search(depth)
    return int(match[1]) if match else 0


def _levels(depth: str) -> str:
    """The depth without its sequence."""
    return _SEQUENCE.sub("", depth, count=1)


def _ticker_message(channel: str, since: float) -> Message:
    return Message(channel, TICKER, readings(channel.removeprefix(CHANNEL_PREFIX)).ticker.read(since))


CONFLATOR = Conflator({DEPTH: _newer, TRADES: _joined, TICKER: lambda _, newer: newer}, _ticker_message)
