"""The core alone, beside two order books from PyPI, on the same stream: no database, no Celery, one thread.

The peers are the pure-Python books on PyPI that match by price and time and are driven by integers: LightMatchingEngine
and pyorderbook. Each engine begins with the same numbers and makes its own order of them, as its interface wants it.
What only ours does is measured with it: funds reserved and released, fees, and an event for each step of an order.
"""

import gc
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Protocol

import pyorderbook
from lightmatchingengine.lightmatchingengine import LightMatchingEngine
from lightmatchingengine.lightmatchingengine import Side as LightSide

from core.book import Book
from core.money import UNIT
from core.taker import place
from core.types import Order, OrderType, Rules, SelfTradePrevention, Side, TimeInForce
from tools.bench.bench import Bench, steps
from tools.bench.flow import Cancel, Place, Plain, flow
from tools.bench.report import Row

ROUNDS = 5
SYMBOL = "BTC-USD"
TICK, LOT = UNIT // 100, UNIT // 10_000
# Looked up and packed once: the books are to be compared, not the ways to make an order.
SIDES, LIMIT = {str(side): side for side in Side}, OrderType.LIMIT
TERMS: tuple[Any, ...] = (TimeInForce.GTC, False, SelfTradePrevention.NONE, UNIT // 1000, UNIT // 500)

# Of the peers, in their order: how many times as fast the core is to be.
REACH = (1.5, 2.0)

# Called at each step with what is being done.
Progress = Callable[[str], object]


class Engine(Protocol):
    """A book that plays the stream. What `place` returns is looked into by `quantities`, and only when not timed."""

    name: str

    def place(self, order: Place) -> Any: ...

    def cancel(self, gone: Cancel) -> object: ...

    def quantities(self, placed: Any) -> list[int]:
        """The quantity of each trade, in lots, of what `place` returned."""
        ...


class Ours:
    """core, with the fees of a real market."""

    name = "core"

    def __init__(self) -> None:
        self.book = Book(Rules(lot_size=LOT))

    def place(self, order: Place) -> Any:
        price, quantity = order.price * TICK, order.quantity * LOT
        taker = Order(order.key, order.user, SIDES[order.side], LIMIT, price, quantity, *TERMS)
        taker.frozen = price * quantity // UNIT if order.side == "BUY" else quantity
        return place(self.book, taker)

    def cancel(self, gone: Cancel) -> object:
        return self.book.cancel(gone.key)

    def quantities(self, placed: Any) -> list[int]:
        return [trade.quantity // LOT for trade in placed.trades]


class Light:
    """LightMatchingEngine. It gives orders their ids, and must not be asked to cancel one that is filled."""

    name = "lightmatchingengine"

    def __init__(self) -> None:
        self.engine = LightMatchingEngine()
        self.orders: dict[int, Any] = {}

    def place(self, order: Place) -> Any:
        side = LightSide.BUY if order.side == "BUY" else LightSide.SELL
        placed = self.engine.add_order(SYMBOL, order.price, order.quantity, side)
        self.orders[order.key] = placed[0]
        return placed

    def cancel(self, gone: Cancel) -> object:
        order = self.orders[gone.key]
        return self.engine.cancel_order(order.order_id, SYMBOL) if order.leaves_qty else None

    def quantities(self, placed: Any) -> list[int]:
        """It counts what the taker traded at one price as another trade; the makers' halves are the trades."""
        taker, halves = placed
        return [half.trade_qty for half in halves if half.order_id != taker.order_id]


class PyOrderBook:
    """pyorderbook. It makes a Decimal of the price, gives orders a UUID, and raises for one that is filled."""

    name = "pyorderbook"

    def __init__(self) -> None:
        self.book = pyorderbook.Book()
        self.orders: dict[int, Any] = {}

    def place(self, order: Place) -> Any:
        side = pyorderbook.Side.BID if order.side == "BUY" else pyorderbook.Side.ASK
        placed = self.orders[order.key] = pyorderbook.Order(side, SYMBOL, order.price, order.quantity)
        return self.book.match(placed)

    def cancel(self, gone: Cancel) -> object:
        order = self.orders[gone.key]
        return self.book.cancel(order) if order.quantity else None

    def quantities(self, placed: Any) -> list[int]:
        return [trade.fill_quantity for trade in placed.trades]


OURS: Callable[[], Engine] = Ours
PEERS: tuple[Callable[[], Engine], ...] = (Light, PyOrderBook)


def cores(bench: Bench) -> None:
    """The core alone, beside two peers."""
    with steps(ROUNDS) as progress:
        bench.report.add(*measure_cores(bench.of(30_000), progress))


def measure_cores(commands: int, progress: Progress, rounds: int = ROUNDS) -> list[Row]:
    """Our core's rate, and how many times that of each peer it is: the median of rounds in which all take turns."""
    stream = list(flow(commands))
    engines = (OURS, *PEERS)
    tapes = [_tape(make(), stream) for make in engines]
    rates: list[list[float]] = []
    for number in range(1, rounds + 1):
        progress(f"cores: round {number} of {rounds}")
        rates.append([_rate(make(), stream) for make in engines])
    detail = f"{commands:,} commands, {tapes[0][0]:,} trades, one thread, no database"
    rows = [Row("core alone", median(ours for ours, *_ in rates), "orders/s", detail=detail)]
    for index, (make, reach) in enumerate(zip(PEERS, REACH, strict=True), start=1):
        ratio = median(rate[0] / rate[index] for rate in rates)
        peer = median(rate[index] for rate in rates)
        detail = f"{peer:,.0f} orders/s, {_compared(tapes[index], tapes[0])}"
        rows.append(Row(f"core / {make().name}", ratio, "x", reach=reach, detail=detail))
    return rows


def _tape(engine: Engine, stream: Sequence[Plain]) -> tuple[int, int]:
    """How many trades the stream makes, and of how many lots in all."""
    trades = lots = 0
    for command in stream:
        if isinstance(command, Cancel):
            engine.cancel(command)
            continue
        quantities = engine.quantities(engine.place(command))
        trades += len(quantities)
        lots += sum(quantities)
    return trades, lots


def _rate(engine: Engine, stream: Sequence[Plain]) -> float:
    """Commands a second. The garbage collector waits, as in timeit: it would charge each engine at random."""
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        for command in stream:
            if isinstance(command, Cancel):
                engine.cancel(command)
            else:
                engine.place(command)
        return len(stream) / (time.perf_counter() - began)
    finally:
        gc.enable()


def _compared(found: tuple[int, int], ours: tuple[int, int]) -> str:
    if found == ours:
        return "the same trades"
    return f"not the same: {found[0]:,} trades of {found[1]:,} lots, ours {ours[0]:,} of {ours[1]:,}"
