"""The core's market and the naive twin with the same commands of all order kinds, compared event by event."""

import random
from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal

from audit.naive import BASE, QUOTE, NaiveEvent, NaiveExchange, NaiveOrder, NaiveTrade
from core.money import to_decimal, to_units
from core.outcome import Event, Trade
from core.types import CommandKind, Order, OrderType, SelfTradePrevention, Side, TimeInForce
from tests.support import commands, kinds, worker
from tests.support.commands import CAST, Cancel, CancelAll, Deposit, Place, Restart
from tests.support.kinds import Amend, CancelFor, Extended, Oco, Replace, SetStatus
from tests.support.worker import Worker

_ASSETS = {BASE: worker.BASE, QUOTE: worker.QUOTE}
TYPES = {
    ("STOP", True): OrderType.STOP_LIMIT,
    ("STOP", False): OrderType.STOP,
    ("TAKE_PROFIT", True): OrderType.TAKE_PROFIT_LIMIT,
    ("TAKE_PROFIT", False): OrderType.TAKE_PROFIT,
    ("TRAILING", False): OrderType.TRAILING_STOP,
    (None, True): OrderType.LIMIT,
    (None, False): OrderType.MARKET,
}
_STATUS_COMMANDS = {
    "TRADING": CommandKind.RESUME,
    "HALTED": CommandKind.HALT,
    "CANCEL_ONLY": CommandKind.CANCEL_ONLY,
    "AUCTION": CommandKind.AUCTION,
    "DELISTED": CommandKind.DELIST,
}
# The band by which an opening price is limited.
BAND = "0.05"
# The core is told when an order is due, and asks for nothing but that it is the order's own time.
SOME_DAY = "some day"


class AllKinds:
    """Both exchanges. Commands wait until `drain`, so that the worker has batches of them."""

    def __init__(self, market: commands.Market, batch_size: int, most_fills: int, forgetful: bool) -> None:
        self.market = market
        self.worker = Worker(market, batch_size, most_fills, forgetful)
        self.twin = NaiveExchange(Decimal(market.lot), Decimal(market.base_step), Decimal(market.quote_step))
        self.twin.tick, self.twin.band = Decimal(market.tick), Decimal(BAND)
        tick, lot = Decimal(market.tick), Decimal(market.lot)
        # Enough for some orders and too little for others.
        self.stake = {BASE: lot * 60, QUOTE: tick * lot * 6000}
        self.total: defaultdict[str, Decimal] = defaultdict(Decimal)
        for user in CAST:
            self._deposit(user)
        self.ids: list[int] = []
        self.next_id = 1
        self.compared_events = self.compared_trades = 0

    def play(self, command: kinds.Command) -> None:
        match command:
            case Place() | Extended():
                self._place(command)
            case Oco():
                self._place_oco(command)
            case Deposit(user):
                self._deposit(user)
            case Restart():
                self.worker.market = self.worker.load()
            case SetStatus(status):
                self._set_status(status)
            case CancelAll(side):
                for order in self.twin.side(side):
                    self._cancel(order, "USER_CANCELLED")
            case _ if self.ids:
                self._change(command)

    def _change(self, command: kinds.Command) -> None:
        """What concerns an order that was placed before."""
        match command:
            case Cancel(place):
                self._cancel(self._order(place), "USER_CANCELLED")
            case CancelFor(place, reason):
                self._cancel(self._order(place), reason)
            case Amend(place):
                self._amend(self._order(place), command)
            case Replace(place, by):
                self._replace(self._order(place), by)

    def drain(self) -> None:
        self.twin.drain()
        self.worker.drain()
        self.compare()

    def _order(self, place: int) -> NaiveOrder:
        return self.twin.orders[self.ids[place % len(self.ids)]]

    def _deposit(self, user: str) -> None:
        for asset, stake in self.stake.items():
            self.twin.deposit(user, asset, stake)
            self.worker.available[user, _ASSETS[asset]] += to_units(stake)
            self.total[asset] += stake

    def _new(self, command: Place | Extended) -> NaiveOrder:
        order = kinds.extended_order(command, self.market, self.next_id)
        self.next_id += 1
        return order

    def _place(self, command: Place | Extended) -> None:
        order = self._new(command)
        if self.twin.place(order):
            self.ids.append(order.id)
            self.worker.store(core_order(order))
            self.worker.submit(CommandKind.NEW, order.id)

    def _place_oco(self, command: Oco) -> None:
        stop, limit = kinds.legs(command, self.market, self.next_id)
        self.next_id += 2
        if self.twin.place_oco(stop, limit):
            self.ids += [limit.id, stop.id]
            self.worker.store(core_order(limit), core_order(stop))
            self.worker.submit(CommandKind.OCO, limit.id, {"stop": stop.id})

    def _cancel(self, order: NaiveOrder, reason: str) -> None:
        # DELETE /orders answers 409 for one that is closed; the others are the exchange's own.
        if not order.active:
            return
        if reason == "GTD_EXPIRED":
            if order.time_in_force == "GTD":
                self.twin.expire(order.id)
                self.worker.submit(CommandKind.EXPIRE, order.id, {"expires_at": SOME_DAY})
            return
        self.twin.cancel(order.id, reason)
        self.worker.submit(CommandKind.CANCEL, order.id, None if reason == "USER_CANCELLED" else {"reason": reason})

    def _amend(self, order: NaiveOrder, command: Amend) -> None:
        changes = kinds.changes(command, self.market)
        before = self.twin.frozen[order.user, order.pays_with]
        if not is_amendable(order, changes) or not self.twin.amend(order.id, changes):
            return
        reserved = to_units(self.twin.frozen[order.user, order.pays_with] - before)
        names = {"display": "display_quantity"}
        data = {names.get(name, name): to_units(value) for name, value in changes.items()}
        self.worker.submit(CommandKind.AMEND, order.id, data, reserved)

    def _replace(self, old: NaiveOrder, by: Place | Extended) -> None:
        order = self._new(by)
        before = self.twin.frozen[order.user, order.pays_with]
        if old.group is not None or old.user != order.user or not self.twin.replace(old.id, order):
            return
        reserved = to_units(self.twin.frozen[order.user, order.pays_with] - before)
        self.ids.append(order.id)
        self.worker.store(core_order(order))
        self.worker.submit(CommandKind.REPLACE, order.id, {"replaces": old.id}, reserved)

    def _set_status(self, status: str) -> None:
        self.twin.set_status(status)
        data = {"priceBand": to_units(Decimal(BAND))} if status == "TRADING" else None
        self.worker.submit(_STATUS_COMMANDS[status], None, data)

    def compare(self) -> None:
        """All that happened since the last time."""
        core = list(map(core_event, self.worker.events[self.compared_events :]))
        twin = [
            event._replace(trade=None if event.trade is None else 1)
            for event in self.twin.events[self.compared_events :]
        ]
        for place, pair in enumerate(zip(core, twin, strict=False)):
            assert pair[0] == pair[1], (f"event {self.compared_events + place + 1}", *pair)
        assert len(core) == len(twin), (core[len(twin) :][:3], twin[len(core) :][:3])
        core_trades = list(map(core_trade, self.worker.trades[self.compared_trades :]))
        assert core_trades == self.twin.trades[self.compared_trades :]
        changed = {event.order for event in twin}
        self.compared_events, self.compared_trades = len(self.twin.events), len(self.twin.trades)
        self._compare_orders(changed)
        self._compare_balances()
        for side in Side:
            found = [order.id for order in self.worker.market.book.ladders[side]]
            assert found == [order.id for order in self.twin.side(side)], side

    def compare_all(self) -> None:
        """The same of all orders, also of those that nothing happened to since."""
        self.compare()
        self._compare_orders(self.twin.orders)

    def _compare_orders(self, order_ids: Collection[int]) -> None:
        for order_id in order_ids:
            core, twin = _core_state(self.worker.rows[order_id]), _twin_state(self.twin.orders[order_id])
            assert core == twin, f"order {order_id}: core {core}, twin {twin}"

    def _compare_balances(self) -> None:
        twin, reserved = self.twin, self.worker.reserved()
        for user in CAST:
            for asset, name in _ASSETS.items():
                found = (self.worker.available[user, name], self.worker.frozen[user, name])
                assert found == (to_units(twin.available[user, asset]), to_units(twin.frozen[user, asset])), user
                assert found[1] == reserved[user, name], "what is frozen is what the orders have reserved"
        for asset, total in self.total.items():
            held = sum(twin.available[user, asset] + twin.frozen[user, asset] for user in CAST)
            assert held + twin.fees[asset] == total, "money is conserved"


def is_amendable(order: NaiveOrder, changes: dict[str, Decimal]) -> bool:
    """Whether PATCH /orders would take the values of an order that is open."""
    fields = {
        "price": order.price,
        "quantity": order.quantity,
        "display": order.display,
        "stop_price": order.stop_price,
    }
    if not order.active or any(fields[name] in (None, value) for name, value in changes.items()):
        return False
    if order.group is not None and "quantity" in changes:
        return False
    display, quantity = changes.get("display", order.display), changes.get("quantity", order.quantity)
    if display is not None and quantity is not None and display >= quantity:
        return False
    if order.price is None and order.stop is None:
        return False
    return quantity is None or quantity > order.filled + order.prevented


def core_order(order: NaiveOrder) -> Order:
    """The core's order of one that the twin has taken in, as a worker reads its row."""
    units = {
        name: None if value is None else to_units(value)
        for name, value in (
            ("price", order.price),
            ("quantity", order.quantity),
            ("spend_limit", order.quote_quantity),
            ("price_band", order.price_band),
            ("stop_price", order.stop_price),
            ("trailing_offset", order.trailing_offset),
            ("display_quantity", order.display),
        )
    }
    extended = (order.stop_price, order.trailing_offset, order.display, order.group)
    is_gtd = order.time_in_force == "GTD"
    return Order(
        id=order.id,
        user_id=order.user,
        side=Side(order.side),
        type=TYPES[order.stop, order.price is not None],
        time_in_force=TimeInForce(order.time_in_force),
        post_only=order.post_only,
        self_trade_prevention=SelfTradePrevention(order.stp),
        maker_fee_rate=to_units(order.maker_rate),
        taker_fee_rate=to_units(order.taker_rate),
        fee_in_quote=order.fee_in_quote,
        frozen=to_units(order.frozen),
        group_id=order.group,
        expires_at=SOME_DAY if is_gtd else None,
        is_extended=is_gtd or any(value is not None for value in extended),
        **units,
    )


def core_event(event: Event) -> NaiveEvent:
    trade = None if event.trade is None else 1
    return NaiveEvent(event.order.id, event.status, event.reason, event.active, to_decimal(event.filled), trade)


def core_trade(trade: Trade) -> NaiveTrade:
    money = map(to_decimal, (trade.price, trade.quantity, trade.buyer_fee, trade.seller_fee))
    return NaiveTrade(trade.buyer.id, trade.seller.id, *money, trade.taker.side, to_decimal(trade.rebate))


def _core_state(order: Order) -> tuple[object, ...]:
    amounts = (order.filled, order.filled_notional, order.frozen, order.prevented)
    tip = None if order.tip is None or not order.active else to_decimal(order.tip)
    quantity = None if order.quantity is None else to_decimal(order.quantity + order.prevented)
    price = None if order.price is None else to_decimal(order.price)
    return order.status, order.reason, order.active, *map(to_decimal, amounts), tip, price, quantity


def _twin_state(order: NaiveOrder) -> tuple[object, ...]:
    tip = order.tip if order.active else None
    amounts = (order.filled, order.spent, order.frozen, order.prevented, tip, order.price, order.quantity)
    return order.status, order.reason, order.active, *amounts


def play(both: AllKinds, dice: random.Random, length: int, chosen: Collection[str]) -> None:
    """Random commands, with a drain after one to sixty of them."""
    left = 0
    for _ in range(length):
        left = left or dice.choice((1, 1, 2, 5, 20, 60))
        both.play(kinds.random_command(dice, chosen))
        left -= 1
        if not left:
            both.drain()
    both.drain()
