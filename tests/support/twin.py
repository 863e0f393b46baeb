"""The core and the naive twin with the same commands. The core's balances are computed from its outcomes alone."""

import random
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from audit.naive import BASE, QUOTE, NaiveExchange, NaiveOrder, NaiveTrade
from core.book import Book
from core.fees import fee_reserved
from core.money import to_decimal, to_units
from core.outcome import Event, Outcome, Trade
from core.taker import place
from core.types import TRANSITIONS, Order, OrderType, Reason, Rules, SelfTradePrevention, Side, Status, TimeInForce
from tests.support.commands import CAST, Cancel, CancelAll, Command, Deposit, Market, Place, Restart, naive_order
from tests.support.tape import reserve


class CoreExchange:
    """The core with balances that are computed from its outcomes alone.

    `forgetful`: the book is built again between the batches of one taker, as after a crash.
    """

    def __init__(self, market: Market, max_steps: int | None = None, forgetful: bool = False) -> None:
        self.forgetful = forgetful
        self.rules = Rules(to_units(Decimal(market.lot)), _units(market.base_step), _units(market.quote_step))
        self.book = Book(self.rules)
        self.max_steps = max_steps
        self.available: defaultdict[tuple[object, str], int] = defaultdict(int)
        self.frozen: defaultdict[tuple[object, str], int] = defaultdict(int)
        self.fees: defaultdict[str, int] = defaultdict(int)
        self.orders: dict[int, Order] = {}
        self.trades: list[Trade] = []
        self.next_event = 1
        self.states: dict[int, tuple[Status, bool, int]] = {}

    def place(self, order: Order) -> bool:
        asset = _pays_with(order)
        if order.frozen > self.available[order.user_id, asset]:
            return False
        self.available[order.user_id, asset] -= order.frozen
        self.frozen[order.user_id, asset] += order.frozen
        self.orders[order.id] = order
        if order.type is OrderType.MARKET and order.side is Side.BUY and order.spend_limit is None:
            order.spend_limit = self.available[order.user_id, QUOTE]
        self.states[order.id] = (Status.PENDING, True, 0)
        while not self._settle(place(self.book, order, self.max_steps)):
            if self.forgetful:
                self.restart(order.id, unfinished=order)
        return True

    def cancel(self, order_id: int) -> None:
        self._settle(self.book.cancel(order_id))

    def delist(self, most: int) -> bool:
        """Cancel so many of the orders that rest. False while some are left."""
        return self._settle(self.book.cancel_first(most, Reason.MARKET_DELISTED))

    def restart(self, seed: int, unfinished: Order | None = None) -> None:
        resting = [order for order in self.orders.values() if order.active and order is not unfinished]
        random.Random(seed).shuffle(resting)
        self.book = Book(self.rules, self.next_event, resting, self.trades[-1].price if self.trades else None)

    def _settle(self, outcome: Outcome) -> bool:
        assert self.max_steps is None or len(outcome.trades) <= self.max_steps
        for trade in outcome.trades:
            self._pay(trade)
        assert [event.trade for event in outcome.events if event.trade and event.order is event.trade.taker] == list(
            outcome.trades
        )
        for event in outcome.events:
            assert event.sequence == self.next_event
            self.next_event += 1
            self._check(event)
        self.trades += outcome.trades
        return outcome.finished

    def _pay(self, trade: Trade) -> None:
        buyer, seller = trade.buyer, trade.seller
        from_available = trade.notional - trade.buyer_unfrozen
        self.frozen[buyer.user_id, QUOTE] -= trade.buyer_unfrozen
        self.available[buyer.user_id, QUOTE] -= from_available
        self.available[buyer.user_id, BASE] += trade.quantity
        self.frozen[seller.user_id, BASE] -= trade.quantity
        self.available[seller.user_id, QUOTE] += trade.notional
        for user, asset, fee in (
            (buyer.user_id, QUOTE if trade.fee_in_quote else BASE, trade.buyer_fee),
            (seller.user_id, QUOTE, trade.seller_fee),
            (trade.maker.user_id, trade.taker_fee_asset(BASE, QUOTE), -trade.rebate),
        ):
            self.available[user, asset] -= fee
            self.fees[asset] += fee

    def _check(self, event: Event) -> None:
        order = event.order
        before, was_active, filled = self.states[order.id]
        assert was_active, "an event after the order's end"
        assert event.status in TRANSITIONS[before], (before, event.status)
        assert event.filled >= filled
        assert event.filled - filled == (event.trade.quantity if event.trade else 0)
        self.states[order.id] = (event.status, event.active, event.filled)
        self.frozen[order.user_id, _pays_with(order)] -= event.released
        self.available[order.user_id, _pays_with(order)] += event.released


class CoreAndTwin:
    """Both exchanges, with the same commands."""

    def __init__(self, market: Market, max_steps: int | None = None, forgetful: bool = False) -> None:
        self.market = market
        self.core = CoreExchange(market, max_steps, forgetful)
        self.twin = NaiveExchange(Decimal(market.lot), Decimal(market.base_step), Decimal(market.quote_step))
        tick, lot = Decimal(market.tick), Decimal(market.lot)
        # Enough for some orders and too little for others.
        self.stake = {BASE: lot * 40, QUOTE: tick * lot * 4000}
        self.total: defaultdict[str, Decimal] = defaultdict(Decimal)
        for user in CAST:
            self._deposit(user)
        self.placed = 0
        self.open: set[int] = set()
        self.compared_trades = 0

    def play(self, command: Command) -> None:
        match command:
            case Place():
                self._place(command)
            case Deposit(user):
                self._deposit(user)
            case Restart(seed):
                self.core.restart(seed)
            case CancelAll(side):
                for order in self.twin.side(side):
                    self._cancel(order.id)
            case Cancel(order) if self.twin.orders:
                self._cancel(list(self.twin.orders)[order % len(self.twin.orders)])

    def delist(self, most: int) -> None:
        """Cancel all that rests, `most` orders at a time, and compare after each time."""
        while self.twin.resting:
            for _ in range(min(most, len(self.twin.resting))):
                self.twin.delist_next()
                self.twin.drain()
            assert self.core.delist(most) == (not self.twin.resting)
            self.compare()

    def _deposit(self, user: str) -> None:
        for asset, stake in self.stake.items():
            self.twin.deposit(user, asset, stake)
            self.core.available[user, asset] += to_units(stake)
            self.total[asset] += stake

    def _cancel(self, order_id: int) -> None:
        self.twin.cancel(order_id)
        self.twin.drain()
        self.core.cancel(order_id)

    def _place(self, command: Place) -> None:
        self.placed += 1
        naive = naive_order(command, self.market, self.placed)
        if command.meets is not None and self.twin.resting:
            naive.meets = self.twin.resting[command.meets % len(self.twin.resting)].id
        accepted = self.twin.place(naive)
        self.twin.drain()
        assert self.core.place(_core_order(naive, self.core.rules.quote_step)) == accepted
        if accepted:
            self.open.add(naive.id)

    def compare(self) -> None:
        """Compare all that the last command may have changed, and check what must hold between commands."""
        self.core.book.check()
        assert not self.core.book.is_crossed()
        for side in Side:
            core, twin = list(map(tuple, self.core.book.depth(side, 1000))), _depth(self.twin, side)
            assert core == twin, f"{side} depth: core {core}, twin {twin}"
        self._compare_balances()
        # Orders that were closed before the command are compared again at the end only: see compare_all.
        self._compare_orders(self.open)
        self.open = {order.id for order in self.twin.resting}
        assert {order.id for order in self.core.orders.values() if order.active} == self.open
        self._compare_trades(self.compared_trades)
        self.compared_trades = len(self.twin.trades)

    def compare_all(self) -> None:
        self.compare()
        self._compare_orders(self.twin.orders)
        self._compare_trades(0)
        fills: defaultdict[int, int] = defaultdict(int)
        for trade in self.core.trades:
            fills[trade.maker.id] += trade.quantity
            fills[trade.taker.id] += trade.quantity
        assert fills == {order.id: order.filled for order in self.core.orders.values() if order.filled}

    def _compare_balances(self) -> None:
        core, twin = self.core, self.twin
        for key in {*core.available, *core.frozen, *twin.available, *twin.frozen}:
            assert core.available[key] == to_units(twin.available[key]) >= 0, ("available", key)
            assert core.frozen[key] == to_units(twin.frozen[key]) >= 0, ("frozen", key)
        reserved: defaultdict[tuple[object, str], int] = defaultdict(int)
        for naive in twin.resting:
            order = core.orders[naive.id]
            reserved[order.user_id, _pays_with(order)] += order.frozen
        assert {key: amount for key, amount in core.frozen.items() if amount} == reserved
        for asset, total in self.total.items():
            held = sum(core.available[user, asset] + core.frozen[user, asset] for user in CAST)
            assert held + core.fees[asset] == to_units(total), "money is conserved"

    def _compare_orders(self, order_ids: Iterable[int]) -> None:
        for order_id in order_ids:
            core, twin = _core_state(self.core.orders[order_id]), _twin_state(self.twin.orders[order_id])
            assert core == twin, f"order {order_id}: core {core}, twin {twin}"

    def _compare_trades(self, since: int) -> None:
        core, twin = list(map(_core_trade, self.core.trades[since:])), self.twin.trades[since:]
        assert core == twin, f"trades: core {core}, twin {twin}"


def _units(text: str) -> int:
    return to_units(Decimal(text))


def _pays_with(order: Order) -> str:
    return QUOTE if order.side is Side.BUY else BASE


def _core_order(naive: NaiveOrder, step: int) -> Order:
    price, quantity, quote_quantity = (
        None if amount is None else to_units(amount) for amount in (naive.price, naive.quantity, naive.quote_quantity)
    )
    order = Order(
        id=naive.id,
        user_id=naive.user,
        side=Side(naive.side),
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        price=price,
        quantity=quantity,
        time_in_force=TimeInForce(naive.time_in_force),
        post_only=naive.post_only,
        self_trade_prevention=SelfTradePrevention(naive.stp),
        maker_fee_rate=to_units(naive.maker_rate),
        fee_in_quote=naive.fee_in_quote,
        taker_fee_rate=to_units(naive.taker_rate),
        spend_limit=quote_quantity,
        price_band=None if naive.price_band is None else to_units(naive.price_band),
        frozen=reserve(Side(naive.side), price, quantity, quote_quantity),
        meets=naive.meets,
    )
    if quantity is not None:
        order.frozen += fee_reserved(order, quantity, step)
    return order


def _core_state(order: Order) -> tuple[object, ...]:
    notional, frozen = to_decimal(order.filled_notional), to_decimal(order.frozen)
    return order.status, order.reason, order.active, to_decimal(order.filled), notional, frozen


def _twin_state(order: NaiveOrder) -> tuple[object, ...]:
    return order.status, order.reason, order.active, order.filled, order.spent, order.frozen


def _core_trade(trade: Trade) -> NaiveTrade:
    money = (trade.price, trade.quantity, trade.buyer_fee, trade.seller_fee)
    assert to_decimal(trade.notional) == to_decimal(trade.price) * to_decimal(trade.quantity)
    return NaiveTrade(
        trade.buyer.id, trade.seller.id, *map(to_decimal, money), trade.taker.side, to_decimal(trade.rebate)
    )


def _depth(twin: NaiveExchange, side: Side) -> list[tuple[int, int, int]]:
    levels: defaultdict[Decimal, list[Decimal]] = defaultdict(list)
    for order in twin.side(side):
        levels[order.price].append(order.visible)
    best_first = sorted(levels, reverse=side is Side.BUY)
    return [(to_units(price), to_units(sum(levels[price])), len(levels[price])) for price in best_first]
