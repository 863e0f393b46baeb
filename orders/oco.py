"""One cancels the other: a limit leg and a stop leg, with one reservation, stored together or not at all.

The limit leg holds what the dearer of both needs, and its id is the group's. The worker takes both in by one command.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from django.db import transaction
from django.utils import timezone

from balances.services import freeze_one
from base.storage.outages import again_on_deadlock
from base.web.errors import ClientOrderIdReused, InvalidField, refuse
from base.web.forms import Form
from base.web.rules import POSITIVE, one_of, text
from commands.queue import refuse_when_busy, submit_with_data
from core.money import plain
from core.types import CommandKind, OrderType, Side
from markets.models import SYMBOL_PATTERN, Market
from markets.services import find_market
from orders import open_orders
from orders.answers import CLIENT_ORDER_ID_PATTERN
from orders.exposure import lock_exposure
from orders.ids import order_ids
from orders.market_rules import market_errors, notional_errors, price_errors
from orders.models import Order
from orders.placing import count_result
from orders.resting import last_price
from orders.rows import insert_orders, until_stored
from orders.share import refuse_beyond_share
from orders.terms import Accepted, OrderTerms, draft_order, refuse_by_status, repeat, reserved

# What the client's key gets for each leg, so it may be that much shorter.
LIMIT_SUFFIX, STOP_SUFFIX = "-limit", "-stop"
LONGEST_KEY = 58
KEY_PATTERN = CLIENT_ORDER_ID_PATTERN.replace("64", str(LONGEST_KEY))
STOP_LIMIT_PRICE = "stopLimitPrice"


class OcoForm(Form):
    """Two orders of which one cancels the other."""

    symbol: Annotated[str, text(SYMBOL_PATTERN, 33)]
    side: Annotated[str, one_of(Side)]
    quantity: Annotated[Decimal, POSITIVE]
    price: Annotated[Decimal, POSITIVE]
    stop_price: Annotated[Decimal, POSITIVE]
    stop_limit_price: Annotated[Decimal | None, POSITIVE] = None
    client_order_id: Annotated[str | None, text(KEY_PATTERN, LONGEST_KEY, null=True)] = None


@dataclass(frozen=True, slots=True)
class Group:
    """Both legs, as they are stored. `is_repeated`: an earlier request with the same client order id stored them."""

    limit: Order
    stop: Order
    is_repeated: bool


# What the legs are called, the limit leg first.
Keys = tuple[str, str]


def place_oco(user_id: int, form: OcoForm, keys: Keys | None = None) -> Group:
    """Store both legs with their reserved funds and their command. They are called by `keys`, else after the group.

    Raises MarketNotTrading, NotInAuction, InvalidField, ValidationFailed, ClientOrderIdReused, InsufficientFunds,
    TooManyOpenOrders, AccountBlocked, LimitExceeded, MarketBusy, TooManyWaiting; nothing is stored then. Raises
    Unavailable.
    """
    market = find_market(form.symbol)
    if market is None:
        raise InvalidField("symbol", "MARKET_NOT_FOUND", f"there is no market {form.symbol}")
    if form.side == Side.BUY and form.stop_limit_price is None:
        raise InvalidField(STOP_LIMIT_PRICE, "FIELD_REQUIRED", f"{STOP_LIMIT_PRICE} is required for a BUY")
    group: Group = until_stored(lambda: _place(user_id, market, form, keys))
    for leg in (group.limit, group.stop):
        count_result(market.symbol, Accepted(leg, group.is_repeated))
    return group


@again_on_deadlock
def _place(user_id: int, market: Market, form: OcoForm, keys: Keys | None) -> Group:
    with transaction.atomic():
        limit, stop = _drafts(user_id, market, form, keys)
        if (earlier := _stored(limit, stop)) is not None:
            return earlier
        _refuse_by_market(user_id, market, form)
        limit.frozen = max(reserved(limit, market), reserved(stop, market))
        exposure = lock_exposure(user_id)
        if exposure is not None and (refusal := exposure.refusal(limit, market)) is not None:
            raise refusal
        insert_orders([limit, stop], checks_users=exposure is None)
        Order.objects.filter(id__in=[limit.id, stop.id]).update(group_id=limit.id)
        limit.group_id = stop.group_id = limit.id
        order_ids.issued([limit.id, stop.id])
        submit_with_data(CommandKind.OCO, [(market.symbol, limit.id, {"stop": stop.id})])
        _take(limit, market)
    return Group(limit, stop, is_repeated=False)


def _drafts(user_id: int, market: Market, form: OcoForm, keys: Keys | None) -> tuple[Order, Order]:
    """The rows of the limit leg and of the stop leg. Their fingerprints are of the whole request."""
    key, shared = form.client_order_id, dict[str, Any](side=form.side, quantity=form.quantity)
    limit_key, stop_key = keys or (key and key + LIMIT_SUFFIX, key and key + STOP_SUFFIX)
    kind = OrderType.STOP if form.stop_limit_price is None else OrderType.STOP_LIMIT
    stop_fields: dict[str, Any] = {"type": kind, "price": form.stop_limit_price, "stop_price": form.stop_price}
    terms = (
        OrderTerms(**shared, type=OrderType.LIMIT, price=form.price, client_order_id=limit_key),
        OrderTerms(**shared, **stop_fields, client_order_id=stop_key),
    )
    now = timezone.now()
    limit, stop = (draft_order(user_id, market, each, now) for each in terms)
    together = f"{limit.fingerprint} {stop.fingerprint}".encode()
    limit.fingerprint = stop.fingerprint = hashlib.blake2b(together, digest_size=16).hexdigest()
    return limit, stop


def _stored(limit: Order, stop: Order) -> Group | None:
    """The legs that are stored under the same keys. Raises ClientOrderIdReused if they are of another request."""
    if limit.client_order_id is None:
        return None
    keys = {limit.client_order_id: limit, stop.client_order_id: stop}
    found = {
        order.client_order_id: repeat(order, keys[order.client_order_id]).order
        for order in Order.objects.filter(user_id=limit.user_id, client_order_id__in=keys)
    }
    if not found:
        return None
    if len(found) < len(keys):
        [order] = found.values()
        raise ClientOrderIdReused(f"clientOrderId {order.client_order_id} belongs to another order", orderId=order.id)
    return Group(found[limit.client_order_id], found[stop.client_order_id], is_repeated=True)


def _refuse_by_market(user_id: int, market: Market, form: OcoForm) -> None:
    legs = OrderTerms(side=form.side, type=OrderType.STOP, quantity=form.quantity)
    refuse_by_status(market, legs)
    amounts = {"price": form.price, "quantity": form.quantity, "stop_price": form.stop_price}
    errors = market_errors(amounts, market)
    if form.stop_limit_price is not None:
        errors += price_errors(STOP_LIMIT_PRICE, form.stop_limit_price, market)
    if not errors:
        worth = form.stop_limit_price or form.stop_price
        errors += notional_errors(worth * form.quantity, market, "quantity")
    refuse(errors or _crossing(market, form))
    refuse_when_busy(market.symbol)
    refuse_beyond_share(user_id, market.symbol)


def _crossing(market: Market, form: OcoForm) -> list[InvalidField]:
    """The limit leg waits for a better price than the last one, the stop leg for a worse one."""
    last = last_price(market.symbol)
    upper, lower = (form.price, form.stop_price) if form.side == Side.SELL else (form.stop_price, form.price)
    if lower < upper and (last is None or lower < last < upper):
        return []
    order = "stopPrice below and price above" if form.side == Side.SELL else "price below and stopPrice above"
    message = f"a {form.side} needs its {order} " + ("each other" if last is None else f"the last price {plain(last)}")
    return [InvalidField("price", "OCO_PRICES_CROSS", message, lastPrice=None if last is None else plain(last))]


def _take(limit: Order, market: Market) -> None:
    """The funds and two places among the open orders, last. Raises InsufficientFunds and TooManyOpenOrders."""
    freeze_one((limit.user_id, market.pays_with(limit.side)), limit.frozen)
    opened, most = Counter({(market.symbol, limit.user_id): 2}), {market.symbol: market.max_open_orders}
    [number] = open_orders.lock_numbers(opened, most).values()
    if number + 2 > market.max_open_orders:
        raise open_orders.too_many(market.symbol, number, market.max_open_orders)
    open_orders.count_opened(opened, most)
