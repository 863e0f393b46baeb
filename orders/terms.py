"""The terms of an order: the form in which they are sent, the rules that they keep, what they reserve, their row."""

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from balances.services import insufficient_funds
from base.web.errors import ClientOrderIdReused, ExchangeError, InvalidField, MarketNotTrading, refuse
from base.web.forms import Form
from base.web.queries import INSTANT_FIELD
from base.web.rules import FLAG, IDENTIFIER, POSITIVE, items, one_of, text
from base.web.values import camel
from commands.queue import refuse_when_busy
from core.fees import reserving_rate
from core.kinds import (
    EXPIRES_AT,
    KINDS,
    PRICE,
    QUANTITY,
    QUOTE_QUANTITY,
    RESTING,
    STOP_PRICE,
    TIME_IN_FORCE,
    TRAILING_OFFSET,
    Kind,
)
from core.money import DIGITS, MAX_UNITS, fee, plain_or_none, to_decimal, to_units, units_or_none
from core.types import FeeCurrency, MarketStatus, OrderType, SelfTradePrevention, Side, TimeInForce
from markets.fees import rates_of
from markets.models import SYMBOL_PATTERN, Market
from markets.services import find_market
from orders.answers import CLIENT_ORDER_ID_PATTERN
from orders.errors import NotInAuction
from orders.expiry import expiry_errors
from orders.market_rules import Reference, market_errors, reference_errors
from orders.models import Order
from orders.share import refuse_beyond_share

BATCH_LIMIT = 100
# The fields that some type needs.
_NEEDED = (PRICE, QUANTITY, QUOTE_QUANTITY, STOP_PRICE, TRAILING_OFFSET)


class OrderForm(Form):
    """A new order. What its fields owe to each other is in orders.terms."""

    symbol: Annotated[str, text(SYMBOL_PATTERN, 33)]
    side: Annotated[str, one_of(Side)]
    type: Annotated[str, one_of([kind.type for kind in KINDS.values()])]
    quantity: Annotated[Decimal | None, POSITIVE] = None
    quote_quantity: Annotated[Decimal | None, POSITIVE] = None
    price: Annotated[Decimal | None, POSITIVE] = None
    display_quantity: Annotated[Decimal | None, POSITIVE] = None
    time_in_force: Annotated[str | None, one_of(TimeInForce)] = None
    expires_at: Annotated[datetime | None, INSTANT_FIELD] = None
    stop_price: Annotated[Decimal | None, POSITIVE] = None
    trailing_offset: Annotated[Decimal | None, POSITIVE] = None
    post_only: Annotated[bool | None, FLAG] = None
    client_order_id: Annotated[str | None, text(CLIENT_ORDER_ID_PATTERN, 64, null=True)] = None
    self_trade_prevention: Annotated[str | None, one_of(SelfTradePrevention)] = None
    # Older clients send it: accepted if it is the caller's own.
    user_id: Annotated[int | None, IDENTIFIER] = None


class BatchForm(Form):
    """Many new orders."""

    orders: Annotated[list[Any], items(BATCH_LIMIT, OrderForm)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """What a user asks for, after the form has checked each field."""

    side: str
    type: str
    price: Decimal | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    time_in_force: str | None = None
    expires_at: datetime | None = None
    post_only: bool = False
    client_order_id: str | None = None
    self_trade_prevention: str | None = None
    display_quantity: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_offset: Decimal | None = None

    @property
    def amounts(self) -> dict[str, Any]:
        """What the rules of a market are about."""
        fields = ("type", "price", "quantity", "quote_quantity", "stop_price", "trailing_offset", "display_quantity")
        return {field: getattr(self, field) for field in fields}


@dataclass(frozen=True, slots=True)
class Accepted:
    """An order that is stored. `is_repeated`: an earlier request with the same client order id stored it."""

    order: Order
    is_repeated: bool


def draft_order(
    user_id: int,
    market: Market,
    terms: OrderTerms,
    now: datetime,
    correlation_id: str = "",
    replaces: int | None = None,
) -> Order:
    """The row of the order, not stored yet. Its reserved amount is set once the market's rules have been checked.

    `replaces` is the order that it replaces.
    """
    rates = rates_of(user_id, market)
    return Order(
        user_id=user_id,
        # By its key, because the market is a shared object that no row may keep.
        market_id=market.symbol,
        side=terms.side,
        type=terms.type,
        price=terms.price,
        quantity=terms.quantity,
        quote_quantity=terms.quote_quantity,
        display_quantity=terms.display_quantity,
        stop_price=terms.stop_price,
        trailing_offset=terms.trailing_offset,
        time_in_force=terms.time_in_force or KINDS[terms.type].time_in_force,
        expires_at=terms.expires_at,
        post_only=terms.post_only,
        client_order_id=terms.client_order_id,
        self_trade_prevention=terms.self_trade_prevention or market.self_trade_prevention,
        maker_fee_rate=rates.maker,
        taker_fee_rate=rates.taker,
        fee_in_quote=terms.side == Side.BUY and market.fee_currency == FeeCurrency.QUOTE,
        price_band=market.price_band,
        fingerprint=_fingerprint(market.symbol, terms, replaces),
        correlation_id=correlation_id or new_correlation_id(now),
        created_at=now,
        updated_at=now,
    )


def refuse_by_market(user_id: int, market: Market, terms: OrderTerms, reference: Reference) -> None:
    """Check the market's rules. `reference` reads the reference price of a market, where a rule asks for it.

    Raises MarketNotTrading, InvalidField, ValidationFailed, MarketBusy, TooManyWaiting.
    """
    refuse_by_status(market, terms)
    amounts = terms.amounts
    errors = market_errors(amounts, market) or reference_errors(amounts, terms.side, market, reference)
    refuse(errors + expiry_errors(terms.expires_at))
    # Last, because these ask the client to send the order again, and one that breaks a rule would be refused.
    refuse_when_busy(market.symbol)
    refuse_beyond_share(user_id, market.symbol)


def refuse_by_status(market: Market, terms: OrderTerms) -> None:
    """Raises MarketNotTrading and NotInAuction."""
    state = {"symbol": market.symbol, "status": market.status}
    if market.status == MarketStatus.AUCTION:
        if terms.type != OrderType.LIMIT or terms.time_in_force not in (None, *RESTING):
            raise NotInAuction(f"{market.symbol} is in an auction, which takes LIMIT GTC and GTD orders alone", **state)
    elif market.status != MarketStatus.TRADING:
        raise MarketNotTrading(f"{market.symbol} is {market.status}", **state)


def repeat(earlier: Order, draft: Order) -> Accepted:
    """The order that is stored under the draft's client order id. Raises ClientOrderIdReused if its terms differ."""
    if earlier.fingerprint != draft.fingerprint:
        key = draft.client_order_id
        raise ClientOrderIdReused(
            f"clientOrderId {key} belongs to another order", field="clientOrderId", orderId=earlier.id
        )
    return Accepted(earlier, is_repeated=True)


def reserved(order: Order, market: Market) -> Decimal:
    """The amount that intake freezes for the order, which must keep the market's rules. Raises InsufficientFunds."""
    amounts = (units_or_none(amount) for amount in (order.price, order.quantity, order.quote_quantity))
    kind = KINDS[order.type]
    units = kind.reserves(order.side, *amounts)
    if order.fee_in_quote and kind.is_priced:
        rates = to_units(order.maker_fee_rate), to_units(order.taker_fee_rate)
        units += fee(units, reserving_rate(*rates), 10 ** (DIGITS - market.quote.scale))
        if units > MAX_UNITS:
            # More than anybody can own, and perhaps more than the column can hold.
            raise insufficient_funds(market.quote_id, to_decimal(units))
    return to_decimal(units)


def _fingerprint(symbol: str, terms: OrderTerms, replaces: int | None) -> str:
    """A digest of the request that does not depend on how its numbers are written. The names are in order."""
    fields: dict[str, Any] = {
        "client_order_id": terms.client_order_id,
        "post_only": terms.post_only,
        "price": plain_or_none(terms.price),
        "quantity": plain_or_none(terms.quantity),
        "quote_quantity": plain_or_none(terms.quote_quantity),
        "self_trade_prevention": terms.self_trade_prevention,
        "side": terms.side,
        "symbol": symbol,
        # GTC for an order without a time in force, also for MARKET, because the stored digests were made so.
        "time_in_force": terms.time_in_force or "GTC",
        "type": terms.type,
    }
    # A field that is not given leaves the digest as it was before there was such a field.
    later = {
        "display_quantity": plain_or_none(terms.display_quantity),
        "stop_price": plain_or_none(terms.stop_price),
        "trailing_offset": plain_or_none(terms.trailing_offset),
        "replaces": replaces,
        "expires_at": None if terms.expires_at is None else terms.expires_at.astimezone(UTC).isoformat(),
    }
    fields |= {name: value for name, value in later.items() if value is not None}
    return hashlib.blake2b(json.dumps(fields).encode(), digest_size=16).hexdigest()


def shape_errors(values: dict[str, Any]) -> list[InvalidField]:
    """Check the rules between fields that hold in every market. `values` has the fields that could be read."""
    kind = KINDS.get(values.get("type", ""))
    refused = kind.refused(values) if kind is not None else ()
    return [InvalidField(camel(field), "FIELD_NOT_ALLOWED", f"{camel(field)} {reason}") for field, reason in refused]


# In place of a type that could not be read, because every order needs a quantity at least.
_ANY_KIND = Kind(OrderType.MARKET, needs=(QUANTITY,), forbids={}, time_in_force=TimeInForce.GTC, rests=False)


def missing_errors(values: dict[str, Any], sent: set[str]) -> list[InvalidField]:
    """Check that the fields which the order type needs were sent."""
    kind = KINDS.get(values.get("type", ""), _ANY_KIND)
    fields = {name for name in _NEEDED if camel(name) in sent}
    missing = [*kind.missing(fields)]
    if values.get(TIME_IN_FORCE) == TimeInForce.GTD and camel(EXPIRES_AT) not in sent:
        missing.append((EXPIRES_AT, "is required for timeInForce GTD"))
    return [InvalidField(camel(field), "FIELD_REQUIRED", f"{camel(field)} {reason}") for field, reason in missing]


def new_correlation_id(now: datetime) -> str:
    """48 bits of the time in milliseconds, 74 bits of chance. (Python's own comes with 3.14.)"""
    chance = int.from_bytes(os.urandom(10), "big")
    milliseconds = int(now.timestamp() * 1000)
    number = milliseconds << 80 | 0x7 << 76 | (chance >> 68) << 64 | 0b10 << 62 | chance & (1 << 62) - 1
    return f"{number:032x}"


def read_order(data: dict[str, Any]) -> tuple[Market, OrderTerms, int | None]:
    """The market, the order and the userId that was sent. Raises InvalidField or ValidationFailed.

    What comes back is well formed; place_order checks whether it fits the market.
    """
    values, errors = OrderForm.parse(data)
    errors += missing_errors(values, set(data))
    errors += shape_errors(values)
    market = find_market(values["symbol"]) if "symbol" in values else None
    if market is None and "symbol" in values:
        errors.append(InvalidField("symbol", "MARKET_NOT_FOUND", f"there is no market {values['symbol']}"))
    if errors:
        # The market's rules are named along with others; alone they are checked once the order is known to be new.
        refuse(errors + (market_errors(values, market) if market is not None else []))
    assert market is not None
    user_id = values.pop("user_id", None)
    del values["symbol"]
    return market, OrderTerms(**values), user_id


def read_batch(data: dict[str, Any]) -> list[tuple[Market, OrderTerms, int | None] | ExchangeError]:
    """Each order of a batch as read_order has it, or its refusal. Raises InvalidField or ValidationFailed."""
    return [_read_item(position, item) for position, item in enumerate(BatchForm.read(data).orders)]


def _read_item(position: int, item: Any) -> tuple[Market, OrderTerms, int | None] | ExchangeError:
    if not isinstance(item, dict):
        field = f"orders[{position}]"
        return InvalidField(field, "OBJECT_REQUIRED", f"{field} must be an object")
    try:
        return read_order(item)
    except ExchangeError as error:
        return error
