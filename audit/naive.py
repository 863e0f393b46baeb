"""The naive twin: an exchange of one market, written from docs/api.md alone and sharing no code with the core.

A list of resting orders, filtered and sorted again for every fill, and Decimals in two dictionaries. The twin is too
slow to use and too simple to be wrong: the engine must do the same. Tests compare both step by step, and a replay gives
the twin the commands of a stored market again.
"""

from collections import defaultdict
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

ZERO = Decimal(0)
BASE, QUOTE = "base", "quote"
EXPIRES_TAKER = ("EXPIRE_TAKER", "EXPIRE_BOTH")


class NaiveTrade(NamedTuple):
    """A trade. Buyer and seller are order ids; each pays its fee in the asset that it receives."""

    buyer: int
    seller: int
    price: Decimal
    quantity: Decimal
    buyer_fee: Decimal
    seller_fee: Decimal


class NaiveEvent(NamedTuple):
    """One step in an order's life, with the state after it. `trade` is a fill's place in the exchange's `trades`."""

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
    quantity: Decimal | None = None  # None is a MARKET BUY by quote quantity
    quote_quantity: Decimal | None = None
    # The most that a MARKET BUY by quantity may spend; None is what its user has available when it begins.
    spend_limit: Decimal | None = None
    price_band: Decimal | None = None  # a fraction; None is without a band
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
        """The amount that is frozen while the order may still trade; a MARKET BUY by quantity has nothing frozen."""
        if not self.active or (self.price is None and self.quote_quantity is None and self.is_buy):
            return ZERO
        if self.quote_quantity is not None:
            return self.quote_quantity - self.spent
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
        self.status = "TRADING"
        # In a replay: a taker stops once the market has so many events.
        self.stops_at: int | None = None
        self.queue: list[tuple[str, NaiveOrder]] = []

    def deposit(self, user: object, asset: str, amount: Decimal) -> None:
        self.available[user, asset] += amount

    def place(self, order: NaiveOrder) -> bool:
        """Freeze and queue, as POST /orders does. False if the funds do not suffice; nothing is changed then."""
        if order.frozen > self.available[order.user, order.pays_with]:
            return False
        self._unfreeze(order, -order.frozen)
        self.orders[order.id] = order
        self.queue.append(("place", order))
        return True

    def cancel(self, order_id: int) -> None:
        self.queue.append(("cancel", self.orders[order_id]))

    def fail(self, order_id: int) -> None:
        """The engine gives the order up, wherever it is. Its funds are released."""
        self.queue.append(("fail", self.orders[order_id]))

    def refuse(self, order_id: int) -> None:
        """The market is halted while the order is on its way through the book."""
        self.queue.append(("refuse", self.orders[order_id]))

    def delist_next(self) -> None:
        """Delisting cancels the next order: bids before asks, on each side in the order in which they would trade."""
        bids = sorted((order for order in self.resting if order.is_buy), key=lambda order: -order.limit)
        asks = sorted((order for order in self.resting if not order.is_buy), key=lambda order: order.limit)
        for order in [*bids, *asks][:1]:
            self.queue.append(("delist", order))

    def drain(self) -> None:
        """Apply the queue in order, as the worker does."""
        while self.queue:
            verb, order = self.queue.pop(0)
            if verb == "place":
                self._match(order)
            elif verb == "fail":
                self._close(order, "FAILED", "INTERNAL_ERROR")
            elif verb == "refuse":
                self._close(order, "CANCELLED" if order.filled else "REJECTED", self._why_not_trading())
            elif verb == "delist":
                self._close(order, "CANCELLED", "MARKET_DELISTED")
            elif order in self.resting:
                self._close(order, "CANCELLED", "USER_CANCELLED")

    def is_refused(self, order: NaiveOrder) -> bool:
        """Whether POST /orders refuses a price out of the band, or a MARKET BUY of who has nothing available."""
        if order.price is None:
            return order.is_buy and not self.available[order.user, QUOTE]
        return not self._is_within(order, order.price, self._reference())

    def open_orders(self) -> list[NaiveOrder]:
        return [order for order in self.orders.values() if order.active]

    def _unfreeze(self, order: NaiveOrder, amount: Decimal) -> None:
        self.frozen[order.user, order.pays_with] -= amount
        self.available[order.user, order.pays_with] += amount

    def _close(self, order: NaiveOrder, status: str, reason: str | None = None) -> None:
        self._unfreeze(order, order.frozen)
        order.status, order.reason, order.active = status, reason, False
        self.resting = [other for other in self.resting if other is not order]
        self._record(order)

    def _record(self, order: NaiveOrder, trade: int | None = None) -> None:
        self.events.append(NaiveEvent(order.id, order.status, order.reason, order.active, order.filled, trade))

    @property
    def _has_to_stop(self) -> bool:
        return self.stops_at is not None and len(self.events) >= self.stops_at

    def _reference(self) -> Decimal | None:
        """The last trade's price, else the middle of the best bid and the best ask, else none."""
        if self.trades:
            return self.trades[-1].price
        bids = [order.limit for order in self.resting if order.is_buy]
        asks = [order.limit for order in self.resting if not order.is_buy]
        return (max(bids) + min(asks)) / 2 if bids and asks else None

    def _is_within(self, taker: NaiveOrder, price: Decimal, reference: Decimal | None) -> bool:
        """Whether the price is no further from the reference price than the taker's band allows."""
        if taker.price_band is None or reference is None:
            return True
        if taker.is_buy:
            return price <= reference * (1 + taker.price_band)
        return price >= reference * (1 - taker.price_band)

    def _crossing(self, taker: NaiveOrder) -> list[NaiveOrder]:
        """The orders that the taker crosses, best price first, and the earliest first at one price (stable sorting)."""
        sign = 1 if taker.is_buy else -1
        others = [maker for maker in self.resting if maker.side != taker.side]
        if taker.price is not None:
            others = [maker for maker in others if maker.limit * sign <= taker.price * sign]
        return sorted(others, key=lambda maker: maker.limit * sign)

    def _fillable(self, taker: NaiveOrder) -> bool:
        found, reference = ZERO, self._reference()
        for maker in self._crossing(taker):
            if not self._is_within(taker, maker.limit, reference):
                break
            if maker.user != taker.user or taker.stp == "NONE":
                found += maker.rest
            elif taker.stp in EXPIRES_TAKER:
                break
        return found >= taker.rest

    def _match(self, taker: NaiveOrder) -> None:
        refusal = self._refusal(taker)
        if refusal is not None:
            return self._close(taker, *refusal)
        # Fixed when matching begins: it does not follow the taker's own trades.
        reference = self._reference()
        # A MARKET BUY by quantity may spend what is available when matching begins, and not what it earns by matching.
        spend_limit = taker.spend_limit if taker.quote_quantity is None else taker.quote_quantity
        if spend_limit is None:
            spend_limit = self.available[taker.user, QUOTE]
        while taker.active and not self._has_to_stop:
            makers = self._crossing(taker)
            if not makers:
                return self._no_more_to_take(taker)
            if not self._is_within(taker, makers[0].limit, reference):
                return self._close(taker, "PARTIALLY_FILLED" if taker.filled else "REJECTED", "PRICE_PROTECTION")
            self._meet(taker, makers[0], spend_limit)
        return None

    def _refusal(self, taker: NaiveOrder) -> tuple[str, str] | None:
        if self.status != "TRADING":
            return "REJECTED", self._why_not_trading()
        if taker.post_only and self._crossing(taker):
            return "REJECTED", "WOULD_TAKE"
        if taker.time_in_force == "FOK" and not self._fillable(taker):
            return "EXPIRED", "FOK_NOT_FILLABLE"
        return None

    def _why_not_trading(self) -> str:
        return "MARKET_DELISTED" if self.status == "DELISTED" else "MARKET_HALTED"

    def _meet(self, taker: NaiveOrder, maker: NaiveOrder, spend_limit: Decimal) -> None:
        quantity = min(taker.rest, maker.rest)
        if taker.price is None and taker.is_buy:
            quantity = min(quantity, (spend_limit - taker.spent) // (maker.limit * self.lot) * self.lot)
        if quantity == 0:
            self._out_of_funds(taker)
        elif maker.user == taker.user and taker.stp != "NONE":
            if taker.stp != "EXPIRE_TAKER":
                self._close(maker, "CANCELLED", "SELF_TRADE")
            if taker.stp in EXPIRES_TAKER:
                self._close(taker, "CANCELLED", "SELF_TRADE")
        else:
            self._trade(taker, maker, quantity)
            if taker.spent == taker.quote_quantity and not self._has_to_stop:
                self._close(taker, "FILLED")

    def _out_of_funds(self, taker: NaiveOrder) -> None:
        if taker.quote_quantity is not None and taker.filled:
            return self._close(taker, "FILLED")  # the rest of the quote quantity does not buy a lot
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
                self._record(taker)

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
            # The amount that was frozen for this fill becomes available first, and the fill is then paid out of
            # available: the difference of a better price than the limit stays available.
            self._unfreeze(order, reserved[order] - order.frozen)
        self.resting = [order for order in self.resting if order.active]
        self.available[buyer.user, QUOTE] -= cost
        self.available[seller.user, BASE] -= quantity
        self.available[buyer.user, BASE] += quantity - buyer_fee
        self.available[seller.user, QUOTE] += cost - seller_fee
        self.trades.append(NaiveTrade(buyer.id, seller.id, price, quantity, buyer_fee, seller_fee))
        for order in (taker, maker):
            self._record(order, len(self.trades) - 1)

    def _fee(self, asset: str, exact: Decimal) -> Decimal:
        fee = (exact / self.steps[asset]).to_integral_value(ROUND_CEILING) * self.steps[asset]
        self.fees[asset] += fee
        return fee
