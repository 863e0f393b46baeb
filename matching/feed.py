"""The feed for other systems: each order update and each trade of a market, under its number, off by default.

After the commit the worker adds the entries of a batch to the market's two Redis streams, in the round trip of the
depth, and publishes them on an AMQP exchange where the broker is RabbitMQ. An entry may be lost, because a worker may
die after its commit. So a consumer compares the numbers and reads what it misses from the rows: the events of orders
are numbered without a gap, and a trade names the trade before it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from base.streams import Message
from base.streams.amqp import AmqpMessage
from base.streams.publisher import Write
from core import outcome
from core.batch import Batch
from marketdata import answers
from marketdata.tape import represent_print, represent_trade
from markets.models import Trade
from orders.feed import stored_updates
from orders.models import OrderEvent
from orders.representation import ORDER_STATUS_UPDATE

TRADES, ORDERS = "trades", "orders"
TRADE = "trade"
KEY_PREFIX = "feed:"
# An entry's own id in the stream is its number, so that a consumer goes on from there. One that comes late, because two
# workers published out of order, is refused by Redis and left out: its consumer finds it in the rows.
_ADD = """
for at = 2, #ARGV, 3 do
    redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], ARGV[at] .. '-0',
        'id', ARGV[at], 'event', ARGV[at + 1], 'data', ARGV[at + 2])
end
"""


class Entry(NamedTuple):
    """A message of the feed. Its number is that of its event; a trade's is that of its taker's."""

    number: int
    event: str
    data: Any


def entries_of(batch: Batch, updates: Iterable[Message], created_at: Any) -> dict[str, list[Entry]]:
    """The entries of a batch, by feed. `updates` are the order updates of its events, in their order."""
    symbol = batch.rules.symbol
    numbers = (event.sequence for event in batch.events)
    orders = [Entry(number, ORDER_STATUS_UPDATE, update.data) for number, update in zip(numbers, updates, strict=True)]
    trades, previous = [], batch.previous_trade
    for trade in batch.trades:
        data = _of_core(symbol, trade, previous, created_at)
        trades.append(Entry(trade.sequence, TRADE, data))
        previous = trade.sequence
    return {ORDERS: orders, TRADES: trades}


def writes_of(symbol: str, entries: Mapping[str, Sequence[Entry]]) -> list[Write]:
    """The Redis commands that add them to the market's streams: one for each stream, because a command costs time."""
    return [
        ("EVAL", _ADD, 1, stream_key(feed, symbol), settings.FEED_LENGTH, *_flat(found))
        for feed, found in entries.items()
        if found
    ]


def amqp_messages(symbol: str, entries: Mapping[str, Sequence[Entry]]) -> Iterator[AmqpMessage]:
    """The same for the AMQP exchange. The number and the event are headers."""
    for feed, found in entries.items():
        for number, event, data in found:
            yield AmqpMessage(f"{feed}.{symbol}", {"id": number, "event": event}, data)


def stream_key(feed: str, symbol: str) -> str:
    return f"{KEY_PREFIX}{feed}:{symbol}"


def read_orders(symbol: str, after: int, limit: int) -> list[Entry]:
    """The stored order updates after this number, oldest first."""
    events = list(OrderEvent.objects.filter(market_id=symbol, sequence__gt=after).order_by("sequence")[:limit])
    updates = stored_updates(events)
    return [Entry(event.sequence, update.type, update.data) for event, update in zip(events, updates, strict=True)]


def read_trades(symbol: str, after: int, limit: int) -> list[Entry]:
    """The stored trades after this number, oldest first."""
    tape = Trade.objects.filter(market_id=symbol)
    earlier = tape.filter(sequence__lte=after).order_by("-sequence").values_list("sequence", flat=True)
    previous, entries = earlier.first() or 0, []
    for trade in tape.filter(sequence__gt=after).order_by("sequence")[:limit]:
        entries.append(Entry(trade.sequence, TRADE, _of_row(trade, previous)))
        previous = trade.sequence
    return entries


def _of_core(symbol: str, trade: outcome.Trade, previous: int, created_at: Any) -> answers.TradeOfFeed:
    line = (trade.sequence, trade.price, trade.quantity, trade.taker.side)
    return {
        **represent_print(symbol, *line, created_at),
        "symbol": symbol,
        "buyOrderId": trade.buyer.id,
        "sellOrderId": trade.seller.id,
        "previous": previous,
    }


def _of_row(trade: Trade, previous: int) -> answers.TradeOfFeed:
    return {
        **represent_trade(trade),
        "symbol": trade.market_id,
        "buyOrderId": trade.buy_order_id,
        "sellOrderId": trade.sell_order_id,
        "previous": previous,
    }


def _flat(entries: Iterable[Entry]) -> list[Any]:
    return [part for number, event, data in entries for part in (number, event, orjson.dumps(data))]
