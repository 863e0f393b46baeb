"""What a source reads of its market, in threads: the book with what happened in it, trades, candles."""

from collections.abc import Sequence
from datetime import datetime

from base.streams.gap_detector import Position
from base.streams.messages import RESET, Message
from binance_api.streams.changes import Reading, reading
from core.money import to_units
from core.types import Side
from marketdata import candles
from marketdata.answers import Trade as ShownTrade
from marketdata.candles import Figures, Span, Window
from marketdata.depth_cache import read_exact
from marketdata.feed import MarketFeed, market_channel
from marketdata.tape import represent_trade
from markets.models import Trade
from markets.services import known_market
from orders.models import OrderEvent
from orders.terms_text import parse_terms

# The most levels of a side that differences are sent of. REST answers fewer, so that a level which comes and goes at
# the end of what is read here is none that a client has.
LEVELS = 1_200
# The most events between two readings; more are many seconds of a busy market, in which nothing could be read.
MOST_EVENTS = 20_000
# The most trades that are read after a gap.
MOST_MISSED = 1_000


class TooMuchMissed(Exception):
    """More happened since the last reading than is sent."""


class SourceFeed(MarketFeed):
    """What a source receives of its market. After a gap it has the trades that were missed, where our own clients
    are sent to REST; a reset only where these cannot be sent in their order any more.
    """

    def __init__(self, symbol: str) -> None:
        super().__init__(symbol)
        # The trades that were given out beyond the position, and the last of all.
        self._given: set[int] = set()
        self._last = 0
        # How often it has read what was missed.
        self.looks = 0

    def opening(self, since: float) -> list[Message]:
        messages = super().opening(since)
        # A trade that was committed before is no trade of this source, even if its message is still to come.
        newest = Trade.objects.filter(market_id=self._symbol).order_by("-sequence").values_list("sequence", flat=True)
        self._last = newest.first() or 0
        self._position = max(self._position, self._last)
        return messages

    def missed(self, since: float) -> list[Message]:
        before = self._position
        messages = super().missed(since)
        self.looks += 1
        if not any(message.type == RESET for message in messages):
            return messages
        state = [message for message in messages if message.type != RESET]
        return [*self._missed_trades(before), *state]

    def confirm(self, position: Position) -> None:
        super().confirm(position)
        self._given = {number for number in self._given if number > self._position}

    def new_trades(self, trades: Sequence[ShownTrade]) -> list[ShownTrade] | None:
        """Those of a received message that were not given out yet; None where one of them is late."""
        new = [each for each in trades if each["sequence"] > self._position and each["sequence"] not in self._given]
        return self._give(new)

    def _missed_trades(self, after: int) -> list[Message]:
        rows = Trade.objects.filter(market_id=self._symbol, sequence__gt=after).order_by("sequence")
        trades = [represent_trade(row) for row in rows[: MOST_MISSED + 1]]
        new = self._give([trade for trade in trades if trade["sequence"] not in self._given])
        channel = market_channel(self._symbol)
        if new is None or len(trades) > MOST_MISSED:
            return [Message(channel, RESET, {"reason": "MAY_HAVE_MISSED"})]
        return [Message(channel, MISSED_TRADES, new)] if new else []

    def _give(self, new: list[ShownTrade]) -> list[ShownTrade] | None:
        if not new:
            return []
        if new[0]["sequence"] < self._last:
            return None
        self._last = new[-1]["sequence"]
        self._given.update(trade["sequence"] for trade in new)
        return new


# What was read after a gap: these are not looked at again.
MISSED_TRADES = "missed-trades"


def read_book(symbol: str) -> Reading:
    return reading(*read_exact(symbol, LEVELS))


def read_changed_book(symbol: str, after: int) -> tuple[Reading, tuple[set[int], set[int]]]:
    """The book as it is now, and the prices of bids and asks at which anything happened since the event `after`.

    Raises TooMuchMissed.
    """
    now = read_book(symbol)
    if now.sequence - after > MOST_EVENTS:
        raise TooMuchMissed(symbol)
    events = OrderEvent.objects.filter(market_id=symbol, sequence__gt=after, sequence__lte=now.sequence)
    touched: tuple[set[int], set[int]] = set(), set()
    for side, price, placed_price, terms in events.values_list(
        "order__side", "order__price", "order__placed_price", "terms"
    ):
        # As the order was after the event: what left a price is found there by the readings, or came there before.
        at = parse_terms(terms).price if terms is not None else _units(placed_price or price)
        if at is not None:
            touched[side == Side.SELL].add(at)
    return now, touched


def read_candles(symbol: str, span: Span, until: datetime, limit: int) -> list[Figures]:
    return candles.read(known_market(symbol), span, Window(None, until, limit))


def _units(price: object) -> int | None:
    return None if price is None else to_units(price)  # type: ignore[arg-type]
