"""The history of a market in a round, from its rows: its commands, found by its events, and played by the core."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import localcontext
from itertools import takewhile
from typing import Any, cast

from audit.recorded import Recorded, Unexplained
from audit.reference_data import BookState, MarketState
from audit.replay import EXACT, is_same
from audit.rows import EventRow, OrderRow, TradeRow, batched_keys, fetch, read
from classroom.history.archive import MarketPart
from classroom.history.core_player import CannotBeRecorded, Recorder
from classroom.history.digest import digest
from core.money import to_decimal
from core.types import MarketStatus
from markets.models import Trade
from orders.models import Order


@dataclass
class History:
    """One market from an event on, as its file has it."""

    part: MarketPart
    commands: list[dict[str, Any]]
    events: list[EventRow]
    orders: dict[int, OrderRow]
    trades: list[TradeRow]


def record(market: MarketState, first: int, end: int, status: MarketStatus = MarketStatus.HALTED) -> History:
    """The events from `first` on and before `end`. Nothing rested when the first happened; the market had this status.

    Raises CannotBeRecorded, in words.
    """
    symbol = market.symbol
    events = list(
        takewhile(lambda each: each.sequence < end, read(EventRow, by="sequence", after=first - 1, market_id=symbol))
    )
    orders = _orders(symbol, {event.order_id for event in events})
    if any(order.sequence is not None and order.sequence < first for order in orders.values()):
        raise CannotBeRecorded(f"orders rested in {symbol} before the round began")
    before = Trade.objects.filter(market=symbol, sequence__lt=first).order_by("-sequence")
    part = _part(market, first, before.values_list("price", flat=True).first(), status)
    recorder = _recorded(market, part, orders, events, end)
    rows = read(TradeRow, by="sequence", after=first - 1, market_id=symbol)
    trades = list(takewhile(lambda each: each.sequence < end, rows))
    counted = {"events": len(events), "trades": len(trades), "commands": len(recorder.written)}
    part = part.model_copy(update={**counted, "digest": digest(recorder)})
    return History(part, recorder.written, events, orders, trades)


def _recorded(
    market: MarketState, part: MarketPart, orders: dict[int, OrderRow], events: Sequence[EventRow], end: int
) -> Recorder:
    """Have the core play what the rows tell, and compare each event with its row. Raises CannotBeRecorded."""
    recorder = cast(Recorder, part.core_player(Recorder))
    changes = [each for each in market.changes if part.first_sequence <= each.sequence <= end]
    state = replace(market, changes=changes, commands=[], book=BookState(end, None, None, 0, MarketStatus.HALTED))
    recorded = Recorded(state, orders, events, cast(Any, recorder))
    compared = 0
    with localcontext(EXACT):
        while compared < len(events):
            try:
                recorded.set_trading_status(compared)
                if len(recorder.events) == compared:
                    recorded.go_on(compared)
            except Unexplained as error:
                raise CannotBeRecorded(str(error)) from error
            for twins, event in zip(recorder.events[compared:], events[compared:], strict=False):
                if not is_same(twins, event):
                    raise CannotBeRecorded(
                        f"event {market.symbol}-{event.sequence} is not what its commands lead to:"
                        " `manage.py audit --replay` looks closer"
                    )
            compared = len(recorder.events)
        if compared > len(events):
            raise CannotBeRecorded(f"the commands of {market.symbol} lead to more events than are stored")
        recorded.set_trading_status(len(events))
    return recorder


def _orders(symbol: str, ids: set[int]) -> dict[int, OrderRow]:
    found: dict[int, OrderRow] = {}
    for chunk in batched_keys(sorted(ids)):
        rows = Order.objects.filter(id__in=chunk, market=symbol).values_list(*OrderRow._fields)
        found.update((order.id, order) for order in fetch(rows, OrderRow))
    return found


def _part(market: MarketState, first: int, last_price: Any, status: MarketStatus) -> MarketPart:
    units = {"tick": market.tick, "lot": market.lot, "base_step": market.base_step, "quote_step": market.quote_step}
    return MarketPart(
        symbol=market.symbol,
        base=market.base,
        quote=market.quote,
        status=status,
        first_sequence=first,
        last_price=last_price,
        events=0,
        trades=0,
        commands=0,
        digest="0" * 64,
        **{name: to_decimal(value) for name, value in units.items()},
    )
