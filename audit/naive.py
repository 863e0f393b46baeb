"""The naive twin: an exchange of one market, written from docs/api.md alone and sharing no code with the core.

A plain list of resting orders, filtered and sorted again for every fill, and Decimals in two dictionaries. Too slow to
use and too simple to be wrong: what the engine does must be what this does. Tests play beside it, and a replay gives it
again what a market was once given.
"""

from collections import defaultdict
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

ZERO = Decimal(0)
BASE, QUOTE = "base", "quote"
EXPIRES_TAKER = ("EXPIRE_TAKER", "EXPIRE_BOTH")


class NaiveTrade(NamedTuple):
    """What both sides agree on. Buyer and seller are order ids; each pays its fee in what it receives."""

    buyer: int
    seller: int
    price: Decimal
    quantity: Decimal
    buyer_fee: Decimal
    seller_fee: Decimal


class NaiveEvent(NamedTuple):
    """One step in an order's life and how it is left; a fill says which trade of `trades` it was, counted from 0."""

    order: int
    status: str
    reason: str | None
    active: bool
    filled: Decimal
    trade: int | None


@dataclass(eq=False)
class NaiveOrder:
    id: int
    user: object
    side: str
    price: Decimal | None = None  # None is MARKET
    quantity: Decimal | None = None  # None is a MARKET BUY by budget
    budget: Decimal | None = None
    purse: Decimal | None = None  # what a MARKET BUY by quantity may spend; None is what its owner has when it begins
    time_in_force: str = "GTC"
    post_only: bool = False
    stp: str = "EXPIRE_TAKER"
    maker_rate: Decimal = ZERO
    taker_rate: Decimal = ZERO
    filled: Decimal = ZERO
    spent: Decimal = ZERO
    status: str = "PENDING"
    reason: str | None = None
    active: bool = True

    @property
    def is_buy(self) -> bool:
        return self.side == "BUY"

    @property
    def pays_with(self) -> str:
        return QUOTE if self.is_buy else BASE

    @property
    def limit(self) -> Decimal:
        assert self.price is not None
        return self.price

    @property
    def rest(self) -> Decimal:
        return Decimal("Infinity") if self.quantity is None else self.quantity - self.filled

    @property
    def frozen(self) -> Decimal:
        """What is reserved while the order can still trade; a MARKET BUY by quantity reserves nothing."""
        if not self.active or (self.price is None and self.budget is None and self.is_buy):
            return ZERO
        if self.budget is not None:
            return self.budget - self.spent
        return self.rest * (self.limit if self.is_buy else 1)


class NaiveExchange:
    def __init__(self, lot: Decimal, base_step: Decimal = Decimal("1e-8"), quote_step: Decimal = Decimal("1e-8")):
        self.lot, self.steps = lot, {BASE: base_step, QUOTE: quote_step}
        self.available: defaultdict[tuple[object, str], Decimal] = defaultdict(Decimal)
        self.frozen: defaultdict[tuple[object, str], Decimal] = defaultdict(Decimal)
        self.fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.orders: dict[int, NaiveOrder] = {}
        self.resting: list[NaiveOrder] = []  # in the order of arrival, which is their time priority
        self.trades: list[NaiveTrade] = []
        self.events: list[NaiveEvent] = []
        self.is_trading = True
        # For a replay: a taker that has come so far, counted in events of the market, is left where it is.
        self.stops_at: int | None = None
        self.queue: list[tuple[str, NaiveOrder]] = []

    def deposit(self, user: object, asset: str, amount: Decimal) -> None:
        self.available[user, asset] += amount

    def place(self, order: NaiveOrder) -> bool:
        """Freeze and queue, as POST /orders does. False: the funds are not there, and nothing happened."""
        if order.frozen > self.available[order.user, order.pays_with]:
            return False
        self._unfreeze(order, -order.frozen)
        self.orders[order.id] = order
        self.queue.append(("place", order))
        return True

    def cancel(self, order_id: int) -> None:
        self.queue.append(("cancel", self.orders[order_id]))

    def fail(self, order_id: int) -> None:
        """The engine gave the order up, wherever it was: its funds are released."""
        self.queue.append(("fail", self.orders[order_id]))

    def refuse(self, order_id: int) -> None:
        """The market was halted while the order was on its way through the book."""
        self.queue.append(("refuse", self.orders[order_id]))

    def drain(self) -> None:
        """Apply what is queued, in order, as the worker does."""
        while self.queue:
            verb, order = self.queue.pop(0)
            if verb == "place":
                self._match(order)
            elif verb == "fail":
                self._close(order, "FAILED", "INTERNAL_ERROR")
            elif verb == "refuse":
                self._close(order, "CANCELLED" if order.filled else "REJECTED", "MARKET_HALTED")
            elif order in self.resting:
                self._close(order, "CANCELLED", "USER_CANCELLED")

    def open_orders(self) -> list[NaiveOrder]:
        return [order for order in self.orders.values() if order.active]

    def _unfreeze(self, order: NaiveOrder, amount: Decimal) -> None:
        self.frozen[order.user, order.pays_with] -= amount
        self.available[order.user, order.pays_with] += amount

    def _close(self, order: NaiveOrder, status: str, reason: str | None = None) -> None:
        self._unfreeze(order, order.frozen)
        order.status, order.reason, order.active = status, reason, False
        self.resting = [other for other in self.resting if other is not order]
        self._tell(order)

    def _tell(self, order: NaiveOrder, trade: int | None = None) -> None:
        self.events.append(NaiveEvent(order.id, order.status, order.reason, order.active, order.filled, trade))

    @property
    def _has_to_stop(self) -> bool:
        return self.stops_at is not None and len(self.events) >= self.stops_at

    def _crossing(self, taker: NaiveOrder) -> list[NaiveOrder]:
        """Whom the taker may trade with, best price first and the earliest first at one price (sorting is stable)."""
        sign = 1 if taker.is_buy else -1
        others = [maker for maker in self.resting if maker.side != taker.side]
        if taker.price is not None:
            others = [maker for maker in others if maker.limit * sign <= taker.price * sign]
        return sorted(others, key=lambda maker: maker.limit * sign)

    def _fillable(self, taker: NaiveOrder) -> bool:
        found = ZERO
        for maker in self._crossing(taker):
            if maker.user != taker.user or taker.stp == "NONE":
                found += maker.rest
            elif taker.stp in EXPIRES_TAKER:
                break
        return found >= taker.rest

    def _match(self, taker: NaiveOrder) -> None:
        refusal = self._refusal(taker)
        if refusal is not None:
            return self._close(taker, *refusal)
        # A MARKET BUY by quantity may spend what its owner has when the matching begins, and not what it earns by it.
        purse = taker.purse if taker.budget is None else taker.budget
        if purse is None:
            purse = self.available[taker.user, QUOTE]
        while taker.active and not self._has_to_stop:
            makers = self._crossing(taker)
            if not makers:
                return self._no_more_to_take(taker)
            self._meet(taker, makers[0], purse)
        return None

    def _refusal(self, taker: NaiveOrder) -> tuple[str, str] | None:
        if not self.is_trading:
            return "REJECTED", "MARKET_HALTED"
        if taker.post_only and self._crossing(taker):
            return "REJECTED", "WOULD_TAKE"
        if taker.time_in_force == "FOK" and not self._fillable(taker):
            return "EXPIRED", "FOK_NOT_FILLABLE"
        return None

    def _meet(self, taker: NaiveOrder, maker: NaiveOrder, purse: Decimal) -> None:
        quantity = min(taker.rest, maker.rest)
        if taker.price is None and taker.is_buy:
            quantity = min(quantity, (purse - taker.spent) // (maker.limit * self.lot) * self.lot)
        if quantity == 0:
            self._out_of_funds(taker)
        elif maker.user == taker.user and taker.stp != "NONE":
            if taker.stp != "EXPIRE_TAKER":
                self._close(maker, "CANCELLED", "SELF_TRADE")
            if taker.stp in EXPIRES_TAKER:
                self._close(taker, "CANCELLED", "SELF_TRADE")
        else:
            self._trade(taker, maker, quantity)
            if taker.spent == taker.budget and not self._has_to_stop:
                self._close(taker, "FILLED")

    def _out_of_funds(self, taker: NaiveOrder) -> None:
        if taker.budget is not None and taker.filled:
            return self._close(taker, "FILLED")  # only small change is left of the budget
        return self._close(taker, "PARTIALLY_FILLED" if taker.filled else "REJECTED", "INSUFFICIENT_FUNDS")

    def _no_more_to_take(self, taker: NaiveOrder) -> None:
        if taker.price is None:
            self._close(taker, "PARTIALLY_FILLED" if taker.filled else "REJECTED", "NO_LIQUIDITY")
        elif taker.time_in_force == "IOC":
            self._close(taker, "PARTIALLY_FILLED" if taker.filled else "EXPIRED", "IOC_REMAINDER")
        else:
            self.resting.append(taker)
            if not taker.filled:
                taker.status = "OPEN"
                self._tell(taker)

    def _trade(self, taker: NaiveOrder, maker: NaiveOrder, quantity: Decimal) -> None:
        price, cost = maker.limit, maker.limit * quantity
        buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
        rates = {taker: taker.taker_rate, maker: maker.maker_rate}
        buyer_fee = self._fee(BASE, quantity * rates[buyer])
        seller_fee = self._fee(QUOTE, cost * rates[seller])
        reserved = {order: order.frozen for order in (taker, maker)}
        for order in (taker, maker):
            order.filled += quantity
            order.spent += cost
            order.status = "PARTIALLY_FILLED" if order.rest else "FILLED"
            order.active = order.rest > 0
            # What was reserved for this fill becomes available first; the fill is then paid out of available, so that
            # a better price than the limit leaves the difference there.
            self._unfreeze(order, reserved[order] - order.frozen)
        self.resting = [order for order in self.resting if order.active]
        self.available[buyer.user, QUOTE] -= cost
        self.available[seller.user, BASE] -= quantity
        self.available[buyer.user, BASE] += quantity - buyer_fee
        self.available[seller.user, QUOTE] += cost - seller_fee
        self.trades.append(NaiveTrade(buyer.id, seller.id, price, quantity, buyer_fee, seller_fee))
        for order in (taker, maker):
            self._tell(order, len(self.trades) - 1)

    def _fee(self, asset: str, exact: Decimal) -> Decimal:
        fee = (exact / self.steps[asset]).to_integral_value(ROUND_CEILING) * self.steps[asset]
        self.fees[asset] += fee
        return fee
