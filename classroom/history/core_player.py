"""The core plays commands: the engine's own decisions, without its shell. It can also write down what it is told."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from audit.naive import NaiveEvent, NaiveOrder, NaiveTrade
from classroom.history import commands
from classroom.history.commands import Command, write_changes, write_order
from core.amend import refuse_amend
from core.kinds import owed
from core.market import Market
from core.money import to_decimal, to_units
from core.outcome import Event, Trade
from core.types import (
    TRADING_STATUS_AFTER,
    CommandKind,
    MarketStatus,
    Order,
    OrderType,
    PendingCommand,
    Reason,
    Rules,
    SelfTradePrevention,
    Side,
    Status,
    TimeInForce,
)

# More than any user could own, and more than any order could meet.
PLENTY = 10**26
_NO_END = 10**12
_TYPES = {
    (None, False): OrderType.MARKET,
    (None, True): OrderType.LIMIT,
    ("STOP", False): OrderType.STOP,
    ("STOP", True): OrderType.STOP_LIMIT,
    ("TAKE_PROFIT", False): OrderType.TAKE_PROFIT,
    ("TAKE_PROFIT", True): OrderType.TAKE_PROFIT_LIMIT,
    ("TRAILING", False): OrderType.TRAILING_STOP,
}
_CORE_NAMES = {"price": "price", "quantity": "quantity", "stop_price": "stop_price", "display": "display_quantity"}
_KINDS = {status: CommandKind(kind) for kind, status in TRADING_STATUS_AFTER.items()}


class CannotBeRecorded(Exception):
    """What happened in a market cannot be said by commands, with the reason in words."""


class _Everybody(dict[Any, int]):
    """The available funds of anybody: intake has checked them, and what a buyer may spend is in its order."""

    def __missing__(self, _account: object) -> int:
        return PLENTY


class RestingOrder:
    """An order that rests, in decimals."""

    def __init__(self, order: Order) -> None:
        assert order.price is not None and order.quantity is not None, order
        self.id = order.id
        self.user = order.user_id
        self.limit = to_decimal(order.price)
        self.rest = to_decimal(order.quantity - order.filled)
        self.visible = self.rest if order.tip is None else to_decimal(order.tip)


class CorePlayer:
    """Has what `audit.recorded` asks of a twin, so that a market's rows can be played by the core."""

    def __init__(
        self, rules: Rules, first_sequence: int = 1, last_price: int | None = None, status: str = MarketStatus.HALTED
    ) -> None:
        self.market = Market(rules, status, first_sequence, last_price=last_price)
        self.orders: dict[int, NaiveOrder] = {}
        self.events: list[NaiveEvent] = []
        self.trades: list[NaiveTrade] = []
        self._core: dict[int, Order] = {}

    # What plays a command of a file.

    def do_place(self, order: NaiveOrder) -> None:
        self._decide(CommandKind.NEW, self._new(order))

    def do_place_oco(self, stop: NaiveOrder, limit: NaiveOrder) -> None:
        waiting, resting = self._new(stop), self._new(limit)
        resting.frozen, waiting.frozen = max(waiting.frozen, resting.frozen), 0
        self._decide(CommandKind.OCO, resting, stop=waiting)

    def do_place_refused(self, order: NaiveOrder, reason: str) -> None:
        outcome = self.market.book.refuse(self._new(order), Status.REJECTED, Reason(reason))
        self._keep(outcome.events, outcome.trades)

    def do_place_late(self, order: NaiveOrder) -> None:
        self._decide(CommandKind.EXPIRE, self._new(order))

    def do_cancel(self, order_id: int, reason: str) -> None:
        self._apply(PendingCommand(1, CommandKind.CANCEL, self._core[order_id].id, None, {"reason": reason}))

    def do_expire(self, order_id: int) -> None:
        order = self._core[order_id]
        self._apply(PendingCommand(1, CommandKind.EXPIRE, order.id, None, {"expires_at": order.expires_at}))

    def do_amend(self, order_id: int, changes: dict[str, Any]) -> None:
        order, known = self._core[order_id], self.orders[order_id]
        for name, value in changes.items():
            setattr(known, name, value)
        # The stop price of one that trails is no term that anybody sets.
        named = {name: value for name, value in changes.items() if name != "stop_price" or known.stop != "TRAILING"}
        data = {_CORE_NAMES[name]: None if value is None else to_units(value) for name, value in named.items()}
        self._apply(PendingCommand(1, CommandKind.AMEND, order.id, order, data, reserved=PLENTY))

    def do_refuse_amend(self, order_id: int) -> None:
        self._keep(refuse_amend(self.market.book, self._core[order_id], 0).events, ())

    def do_status(self, status: str, band: Decimal | None) -> None:
        data = None if band is None else {"priceBand": to_units(band)}
        self._apply(PendingCommand(1, _KINDS[MarketStatus(status)], 0, None, data))

    def side(self, side: str) -> list[RestingOrder]:
        """The orders that rest on a side, in the order in which they would trade."""
        sign = -1 if side == Side.BUY else 1
        found = [order for order in self.market.book.orders.values() if order.side == side]
        found.sort(key=lambda order: (sign * (order.price or 0), order.place))
        return [RestingOrder(order) for order in found]

    @property
    def next_sequence(self) -> int:
        return self.market.book.next_sequence

    def _new(self, order: NaiveOrder) -> Order:
        self.orders[order.id] = replace(order)
        new = self._core[order.id] = core_order(order)
        new.frozen = owed(new, self.market.rules.quote_step)
        return new

    def _decide(self, kind: CommandKind, order: Order, stop: Order | None = None) -> None:
        self._apply(PendingCommand(1, kind, order.id, order, stop=stop))

    def _apply(self, command: PendingCommand) -> None:
        """Apply the command, and let fire what it triggered. What spends available funds fires in a turn of its own."""
        pending: list[PendingCommand] = [command]
        while pending:
            batch = self.market.decide(pending, spendable=_Everybody(), most_fills=_NO_END)
            self._keep(batch.events, batch.trades)
            pending = [PendingCommand(1, CommandKind.TRIGGER, order.id, order) for order in batch.triggered]

    def _keep(self, events: Iterable[Event], trades: Iterable[Trade]) -> None:
        places = {trade.sequence: len(self.trades) + place for place, trade in enumerate(list(trades))}
        for trade in trades:
            self.trades.append(_trade(trade))
        for event in events:
            self._core[event.order.id] = event.order
            place = None if event.trade is None else places[event.trade.sequence]
            reason = None if event.reason is None else str(event.reason)
            filled = to_decimal(event.filled)
            self.events.append(NaiveEvent(event.order.id, str(event.status), reason, event.active, filled, place))


class Recorder(CorePlayer):
    """The same as the twin of `audit.recorded`: it is given the commands of stored rows, and writes them down.

    All that is due fires within the step of its command. `queue` and the rest are what a twin is asked for.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.written: list[Command] = []
        self.queue: list[Command] = []
        self.due: list[NaiveOrder] = []
        self.stops_at: int | None = None
        self.triggers_until: int | None = None
        self.tick = self.band = None
        # The order that was queued and taken out again, because its time was over.
        self._late: dict[str, Any] = {}

    def deposit(self, *_: object) -> None:
        """Nobody's funds are counted here."""

    def look_at_the_last_price(self) -> None:
        """The core has done so within the command."""

    @property
    def status(self) -> str:
        return self.market.status

    @status.setter
    def status(self, status: str) -> None:
        self._do({"do": commands.STATUS, "status": str(status)})

    def place(self, order: NaiveOrder) -> bool:
        self._late = {"do": commands.LATE, "order": write_order(order)}
        self.orders[order.id] = order
        return self._queue({"do": commands.PLACE, "order": self._late["order"]})

    def place_oco(self, stop: NaiveOrder, limit: NaiveOrder) -> bool:
        self.orders |= {stop.id: stop, limit.id: limit}
        return self._queue({"do": commands.OCO, "stop": write_order(stop), "limit": write_order(limit)})

    def place_refused(self, order: NaiveOrder, reason: str) -> bool:
        return self._queue({"do": commands.REFUSED, "order": write_order(order), "reason": str(reason)})

    def cancel(self, order_id: int, reason: str = Reason.USER_CANCELLED) -> None:
        self._queue({"do": commands.CANCEL, "id": order_id, "reason": str(reason)})

    def expire(self, order_id: int) -> None:
        is_late = order_id not in self._core
        self._queue(self._late if is_late else {"do": commands.EXPIRE, "id": order_id})

    def amend(self, order_id: int, changes: dict[str, Any]) -> bool:
        return self._queue({"do": commands.AMEND, "id": order_id, "changes": write_changes(changes)})

    def refuse_amend(self, order_id: int) -> None:
        self._queue({"do": commands.REFUSE_AMEND, "id": order_id})

    def open_now(self) -> None:
        band = None if self.band is None else write_changes({"band": self.band})["band"]
        self._queue({"do": commands.STATUS, "status": MarketStatus.TRADING.value, "band": band})

    def fail(self, order_id: int) -> None:
        raise CannotBeRecorded(f"order {order_id} failed: the engine gave it up, and no command says that")

    def refuse(self, order_id: int) -> None:
        raise CannotBeRecorded(f"order {order_id} was refused on its way through the book, and no command says that")

    def delist_next(self) -> None:
        raise CannotBeRecorded("the market was delisted")

    def step(self) -> None:
        self._do(self.queue.pop(0))

    def _queue(self, command: Command) -> bool:
        self.queue.append(command)
        return True

    def _do(self, command: Command) -> None:
        if command["do"] == commands.STATUS and command["status"] == self.market.status:
            return
        self.written.append(command)
        commands.play(self, command)


def core_order(order: NaiveOrder) -> Order:
    """The core's order, before it is taken up."""
    units = {
        name: None if (value := getattr(order, name)) is None else to_units(value)
        for name in ("price", "quantity", "stop_price", "trailing_offset", "display", "price_band")
    }
    limit = order.spend_limit if order.quote_quantity is None else order.quote_quantity
    beyond = (order.stop, order.display, order.group)
    return Order(
        id=order.id,
        user_id=int(str(order.user)),
        side=Side(order.side),
        type=_TYPES[order.stop, order.price is not None],
        price=units["price"],
        quantity=units["quantity"],
        time_in_force=TimeInForce(order.time_in_force),
        post_only=order.post_only,
        self_trade_prevention=SelfTradePrevention(order.stp),
        maker_fee_rate=to_units(order.maker_rate),
        taker_fee_rate=to_units(order.taker_rate),
        fee_in_quote=order.fee_in_quote,
        spend_limit=None if limit is None else to_units(limit),
        price_band=units["price_band"],
        is_extended=any(each is not None for each in beyond) or order.time_in_force == TimeInForce.GTD,
        stop_price=units["stop_price"],
        trailing_offset=units["trailing_offset"],
        display_quantity=units["display"],
        group_id=order.group,
    )


def _trade(trade: Trade) -> NaiveTrade:
    taker = Side.BUY if trade.taker is trade.buyer else Side.SELL
    return NaiveTrade(
        trade.buyer.id,
        trade.seller.id,
        to_decimal(trade.price),
        to_decimal(trade.quantity),
        to_decimal(trade.buyer_fee),
        to_decimal(trade.seller_fee),
        str(taker),
        to_decimal(trade.rebate),
    )
