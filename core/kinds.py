"""Order types as rows: what each needs, allows and reserves, and whether it rests.

The form, intake, the core and the API's document read these rows. Amounts are integers of units.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

from core.fees import fee_reserved, spent
from core.money import notional
from core.types import Order, OrderType, Side, TimeInForce

# The fields of a new order that some types do not take, by their names in `Terms`.
PRICE, QUANTITY, QUOTE_QUANTITY = "price", "quantity", "quote_quantity"
TIME_IN_FORCE, POST_ONLY, EXPIRES_AT = "time_in_force", "post_only", "expires_at"
DISPLAY_QUANTITY = "display_quantity"
STOP_PRICE, TRAILING_OFFSET = "stop_price", "trailing_offset"
# What may rest in the book.
RESTING = (TimeInForce.GTC, TimeInForce.GTD)


class Kind(NamedTuple):
    """One order type.

    `needs` names the fields that an order must have, `forbids` those that it must not have, each with the reason.
    `takes_quote_quantity`: a BUY may have a quote quantity in place of its quantity. `time_in_force` is the default.
    `rests`: what is left of it rests in the book, as far as its time in force allows.
    `becomes`: what an order of this type is once the last price has triggered it; None: it waits for no price.
    `takes_profit`: it waits for a price that is better for its user than the last one, a stop for one that is worse.
    """

    type: OrderType
    needs: tuple[str, ...]
    forbids: Mapping[str, str]
    time_in_force: TimeInForce
    rests: bool
    takes_quote_quantity: bool = False
    becomes: OrderType | None = None
    takes_profit: bool = False

    @property
    def waits(self) -> bool:
        return self.becomes is not None

    @property
    def is_priced(self) -> bool:
        return PRICE in self.needs

    def reserves(self, side: str, price: int | None, quantity: int | None, quote_quantity: int | None) -> int:
        """The amount that intake freezes for the order: base of a SELL, quote of a BUY.

        A MARKET BUY by quantity reserves nothing, because its price is not known yet.
        """
        if side == Side.SELL:
            assert quantity is not None
            return quantity
        if self.is_priced:
            assert price is not None and quantity is not None
            return notional(price, quantity)
        return quote_quantity or 0

    def missing(self, given: Container[str]) -> Iterator[tuple[str, str]]:
        """The needed fields that the order does not have, each with the reason."""
        for field in self.needs:
            has_other = field == QUANTITY and self.takes_quote_quantity and QUOTE_QUANTITY in given
            if field not in given and not has_other:
                yield field, "is required" if field == QUANTITY else f"is required for {self.type}"

    def refused(self, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The fields that the order has and must not have, each with the reason. `given` holds only the fields sent."""
        for field, reason in self.forbids.items():
            if given.get(field) or (field in given and field != POST_ONLY):
                yield field, reason
        time_in_force = given.get(TIME_IN_FORCE, self.time_in_force)
        if POST_ONLY not in self.forbids and given.get(POST_ONLY) and time_in_force not in RESTING:
            yield POST_ONLY, "is for timeInForce GTC and GTD only"
        if EXPIRES_AT in given and time_in_force != TimeInForce.GTD:
            yield EXPIRES_AT, "is for timeInForce GTD only"
        if self.takes_quote_quantity and QUOTE_QUANTITY in given:
            if given.get("side") == Side.SELL:
                yield QUOTE_QUANTITY, f"is for {self.type} BUY only"
            if QUANTITY in given:
                yield QUOTE_QUANTITY, "and quantity exclude each other"
        if DISPLAY_QUANTITY in given and self.type is not OrderType.LIMIT:
            yield DISPLAY_QUANTITY, "is for LIMIT only: no other type is an iceberg"
        elif DISPLAY_QUANTITY in given and time_in_force not in RESTING:
            yield DISPLAY_QUANTITY, "is for timeInForce GTC and GTD only"


_MARKET_BUY_ONLY = "is for MARKET BUY only"
_NOT_OF_PLAIN = {
    STOP_PRICE: "is for STOP, STOP_LIMIT, TAKE_PROFIT and TAKE_PROFIT_LIMIT only",
    TRAILING_OFFSET: "is for TRAILING_STOP only",
}
_PLAIN: dict[str, Kind] = {
    kind.type: kind
    for kind in (
        Kind(
            OrderType.LIMIT,
            needs=(PRICE, QUANTITY),
            forbids={QUOTE_QUANTITY: _MARKET_BUY_ONLY, **_NOT_OF_PLAIN},
            time_in_force=TimeInForce.GTC,
            rests=True,
        ),
        Kind(
            OrderType.MARKET,
            needs=(QUANTITY,),
            forbids={
                PRICE: "is for LIMIT only: a MARKET order has no price limit",
                TIME_IN_FORCE: "is for LIMIT only: a MARKET order never rests",
                POST_ONLY: "is for LIMIT only: a MARKET order always takes",
                **_NOT_OF_PLAIN,
            },
            # The engine closes the remainder that cannot trade at once.
            time_in_force=TimeInForce.IOC,
            rests=False,
            takes_quote_quantity=True,
        ),
    )
}


def _waiting(order_type: OrderType, becomes: OrderType, field: str = STOP_PRICE, *, takes_profit: bool = False) -> Kind:
    """A type that waits for the price that this field says, and then is what it becomes."""
    kind = _PLAIN[becomes]
    reason = f"is not for {order_type}, which becomes {becomes}"
    forbids = {name: _NOT_OF_PLAIN.get(name, reason) for name in kind.forbids if name != field}
    needs = (*kind.needs, field)
    return kind._replace(type=order_type, needs=needs, forbids=forbids, becomes=becomes, takes_profit=takes_profit)


KINDS: Mapping[str, Kind] = _PLAIN | {
    kind.type: kind
    for kind in (
        _waiting(OrderType.STOP, OrderType.MARKET),
        _waiting(OrderType.STOP_LIMIT, OrderType.LIMIT),
        _waiting(OrderType.TAKE_PROFIT, OrderType.MARKET, takes_profit=True),
        _waiting(OrderType.TAKE_PROFIT_LIMIT, OrderType.LIMIT, takes_profit=True),
        _waiting(OrderType.TRAILING_STOP, OrderType.MARKET, TRAILING_OFFSET),
    )
}


def asset_given(side: str, base: str, quote: str) -> str:
    """The asset that an order pays with, and therefore reserves."""
    return quote if side == Side.BUY else base


def owed(order: Order, step: int) -> int:
    """The amount that an active order has to have frozen: what it reserves, less what it has spent of it.

    `step` is the smallest one of the quote asset.
    """
    kind = KINDS[order.type]
    if order.quantity is None:
        left = (order.spend_limit or 0) - spent(order, step) - order.prevented_notional
        return kind.reserves(order.side, None, None, left)
    left = order.quantity - order.filled
    return kind.reserves(order.side, order.price, left, None) + fee_reserved(order, left, step)


def spends_available(order: Order) -> bool:
    """Whether the user's available funds limit the order: a MARKET BUY by quantity has nothing frozen.

    A stop that becomes one spends nothing before it has been triggered.
    """
    if order.price is not None or order.side is not Side.BUY or order.quantity is None:
        return False
    return order.is_triggered or order.type is OrderType.MARKET
