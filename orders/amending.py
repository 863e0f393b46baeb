"""Amend an order: what it asks for changes, at its place in the book where it only shrinks.

Intake stores a command with the new terms, and freezes at once what they need beside what the order has frozen. The
worker goes by the order as it is then: it refuses what does not suffice or what was filled meanwhile, and releases what
was not needed. Amends that wait are counted as if they had been applied, because who amends twice in a moment means the
second on top of the first.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

from django.db import transaction

from balances.services import freeze_one, insufficient_funds
from base.storage.outages import again_on_deadlock
from base.web.errors import InvalidField, MarketNotTrading, TooManyWaiting, refuse
from base.web.forms import Form
from base.web.queries import INSTANT_FIELD
from base.web.rules import POSITIVE
from base.web.values import camel
from commands.models import Command
from commands.queue import refuse_when_busy, submit_change
from core import types as core
from core.amend import AMENDABLE
from core.kinds import EXPIRES_AT, PRICE, QUANTITY, STOP_PRICE, owed
from core.money import DIGITS, MAX_UNITS, plain, to_decimal, to_units, units_or_none
from core.types import ACTIVE_PHASES, TAKES_ORDERS, CommandKind, OrderType, Phase, Side
from markets.models import Market
from markets.services import known_market
from orders.errors import NothingToAmend
from orders.expiry import expiry_errors
from orders.exposure import amended, lock_exposure, notional_of, read_terms, stored_terms
from orders.market_rules import market_errors, reference_errors
from orders.models import Order
from orders.resting import reference_price
from orders.services import closed, find_order
from orders.share import refuse_beyond_share

# How many amends of one order may wait for the worker.
MOST_WAITING = 10
Terms = dict[str, Any]


class AmendForm(Form):
    """What an order shall be. A field that is not sent stays as it is."""

    price: Annotated[Decimal | None, POSITIVE] = None
    quantity: Annotated[Decimal | None, POSITIVE] = None
    display_quantity: Annotated[Decimal | None, POSITIVE] = None
    stop_price: Annotated[Decimal | None, POSITIVE] = None
    expires_at: Annotated[datetime | None, INSTANT_FIELD] = None


@again_on_deadlock
def amend_order(user_id: int, order_id: int, wanted: Terms) -> Order:
    """Store an amend behind the commands that came before it, with the funds that it needs.

    Raises OrderNotFound, OrderClosed, MarketNotTrading, InvalidField, ValidationFailed, NothingToAmend, AccountBlocked,
    LimitExceeded, InsufficientFunds, MarketBusy and TooManyWaiting.
    """
    with transaction.atomic():
        # Read before the order, so that what is applied in between is seen twice and not missed.
        waiting = _waiting(order_id)
        order = find_order(user_id, order_id)
        if not order.active:
            raise closed(order)
        if len(waiting) >= MOST_WAITING:
            raise _too_many(order)
        market = known_market(order.market_id)
        if market.status not in TAKES_ORDERS:
            raise MarketNotTrading(f"{market.symbol} is {market.status}", symbol=market.symbol, status=market.status)
        steps = _steps(order, waiting)
        becomes = steps[-1] | wanted
        _refuse(order, market, steps[-1], wanted)
        reserved = _reserved(order, market, steps, becomes)
        _refuse_by_limits(order, market, becomes, reserved)
        refuse_when_busy(market.symbol)
        refuse_beyond_share(user_id, market.symbol)
        submit_change(CommandKind.AMEND, market.symbol, order.id, stored_terms(wanted), reserved)
        if reserved:
            # Last, because the worker may wait for the balance's row.
            freeze_one((user_id, market.pays_with(order.side)), reserved)
    return order


def terms_of(order: Order) -> dict[str, Any]:
    """What an amend may change of the order, as its row has it."""
    return {name: getattr(order, name) for name in AMENDABLE}


def _waiting(order_id: int) -> list[Terms]:
    """The terms of the order's amends that wait."""
    commands = Command.objects.filter(order_id=order_id, kind=CommandKind.AMEND).order_by("id")
    return [read_terms(data or {}) for data in commands.values_list("data", flat=True)[:MOST_WAITING]]


def _too_many(order: Order) -> TooManyWaiting:
    return TooManyWaiting(
        f"{MOST_WAITING} amends of order {order.id} wait: nothing was stored, try again in a moment",
        symbol=order.market_id,
        waiting=MOST_WAITING,
        maxWaiting=MOST_WAITING,
    )


def _steps(order: Order, waiting: Iterable[Terms]) -> list[dict[str, Any]]:
    """The order's terms as they are, and as they will be after each of the amends that wait."""
    steps = [terms_of(order)]
    for terms in waiting:
        steps.append(steps[-1] | terms)
    return steps


def _refuse(order: Order, market: Market, now: Terms, wanted: Terms) -> None:
    """Check what is wanted of an order with the terms of now. Raises InvalidField, ValidationFailed, NothingToAmend."""
    if all(now[name] == value for name, value in wanted.items()):
        raise NothingToAmend(f"nothing of order {order.id} would change", orderId=order.id)
    refuse(list(_not_taken(order, now, wanted)))
    gone = order.filled_quantity + (order.prevented_quantity or 0)
    if QUANTITY in wanted and wanted[QUANTITY] <= gone:
        message = f"quantity {plain(wanted[QUANTITY])} is not above {plain(gone)}, which is filled already"
        raise InvalidField(QUANTITY, "QUANTITY_BELOW_FILLED", message, filledQuantity=plain(gone))
    # Both, where one of them changes: the value of the order has limits too.
    amounts = {name: value for name, value in (now | wanted).items() if name != EXPIRES_AT}
    changed = {name for name, value in wanted.items() if now[name] != value}
    errors = market_errors(amounts, market) if changed - {EXPIRES_AT} else []
    if not errors and PRICE in changed and order.phase != Phase.WAITING:
        errors = reference_errors(amounts, order.side, market, cache(reference_price))
    refuse(errors + expiry_errors(wanted.get(EXPIRES_AT)))


def _not_taken(order: Order, now: Terms, wanted: Terms) -> Iterable[InvalidField]:
    """The fields that the order has nothing of, or that cannot change any more."""
    for name in wanted:
        reason = None
        if now[name] is None or (name == STOP_PRICE and order.type == OrderType.TRAILING_STOP):
            reason = f"is not a field that this {order.type} order has"
        elif name == STOP_PRICE and order.triggered_at is not None:
            reason = "was reached already"
        elif name == QUANTITY and order.group_id is not None:
            reason = "of an order that cancels another one stays as it is"
        if reason is not None:
            yield InvalidField(camel(name), "FIELD_NOT_ALLOWED", f"{camel(name)} {reason}")


def _reserved(order: Order, market: Market, steps: Iterable[Terms], becomes: Terms) -> Decimal:
    """What the amended order needs beside what it will have frozen at least. Raises InsufficientFunds.

    Of a group the limit leg has what the dearer of both legs needs.
    """
    step = 10 ** (DIGITS - market.quote.scale)
    other = _other_leg(order)
    holder = order if other is None or order.type == OrderType.LIMIT else other
    needs, others = _needs(order, steps, step), [0]
    if other is not None:
        others = _needs(other, _steps(other, _waiting(other.id)), step)
    least = min(to_units(holder.frozen), max(min(needs), min(others)))
    missing = max(0, max(owed(_core_order(order, becomes), step), *others) - least)
    if missing > MAX_UNITS:
        # More than anybody can own, and perhaps more than the column can hold.
        raise insufficient_funds(market.pays_with(order.side), to_decimal(missing))
    return to_decimal(missing)


def _needs(order: Order, steps: Iterable[Terms], step: int) -> list[int]:
    """What the order needs with each of these terms, but for those that will be refused because so much is filled."""
    orders = [_core_order(order, terms) for terms in steps]
    return [owed(each, step) for each in orders if each.quantity is None or each.quantity > each.filled]


def _other_leg(order: Order) -> Order | None:
    """The other order of a group, while both are open."""
    if order.group_id is None:
        return None
    legs = Order.objects.filter(user_id=order.user_id, group_id=order.group_id, phase__in=ACTIVE_PHASES)
    # Not `first`, which orders by the id: MySQL would rather walk all of the user's orders along it.
    return next(iter(legs.exclude(id=order.id).order_by()), None)


def _refuse_by_limits(order: Order, market: Market, terms: Terms, reserved: Decimal) -> None:
    """Raises AccountBlocked and LimitExceeded."""
    exposure = lock_exposure(order.user_id)
    if exposure is None:
        return
    becomes = amended(order, terms[PRICE], terms[QUANTITY], reserved)
    refusal = exposure.refusal(becomes, market, instead=notional_of(order))
    if refusal is not None:
        raise refusal


def _core_order(order: Order, terms: Terms) -> core.Order:
    """The order with these terms, as far as the core needs it to tell what it must have frozen."""
    prevented = units_or_none(order.prevented_quantity) or 0
    quantity = units_or_none(terms[QUANTITY])
    return core.Order(
        id=order.id,
        user_id=order.user_id,
        side=Side(order.side),
        type=OrderType(order.type),
        price=units_or_none(terms[PRICE]),
        quantity=None if quantity is None else quantity - prevented,
        maker_fee_rate=to_units(order.maker_fee_rate),
        taker_fee_rate=to_units(order.taker_fee_rate),
        fee_in_quote=order.fee_in_quote,
        spend_limit=units_or_none(order.quote_quantity),
        filled=to_units(order.filled_quantity),
        filled_notional=to_units(order.filled_notional),
        prevented=prevented,
        prevented_notional=units_or_none(order.prevented_notional) or 0,
    )
