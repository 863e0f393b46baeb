"""What an operator may do with a dead letter: requeue or resolve it."""

from collections.abc import Callable
from functools import partial

from django.db import transaction
from django.utils import timezone

from base.storage.outages import again_on_deadlock
from commands.queue import submit_cancels
from core.kinds import KINDS, TIME_IN_FORCE
from core.types import CommandKind, OrderType, Status
from markets.services import read_market
from matching.models import DeadLetter, Resolution
from orders.expiry import expire_again
from orders.models import Order
from orders.placing import place_order
from orders.terms import OrderTerms
from users.acts import Actor, record
from users.models import ActKind, User

_KINDS = {
    Resolution.REQUEUED: ActKind.DEAD_LETTER_REQUEUED,
    Resolution.RESOLVED: ActKind.DEAD_LETTER_RESOLVED,
}


# What depends on an order that is there already.
_OF_TWO_ORDERS = (CommandKind.AMEND, CommandKind.REPLACE, CommandKind.OCO)


class NotSafe(Exception):
    """To try this again could do something that its owner did not ask for, or it has been resolved already."""


def requeue(letter_id: int, actor: Actor) -> DeadLetter:
    """Try again what failed, once.

    FAILED is an order's final status, and its owner has received the event. So a new order is placed, with the same
    terms and correlation id, and with the funds, the market's rules and the fees of today. Raises NotSafe, and the
    errors of placing an order.
    """
    return _deal_with(letter_id, actor, Resolution.REQUEUED, partial(_retry, actor))


def resolve(letter_id: int, actor: Actor) -> DeadLetter:
    """Note that nothing is left to do. Raises NotSafe if the dead letter is resolved or requeued already."""
    return _deal_with(letter_id, actor, Resolution.RESOLVED, lambda _: None)


@again_on_deadlock
@transaction.atomic
def _deal_with(
    letter_id: int, actor: Actor, resolution: Resolution, act: Callable[[DeadLetter], int | None]
) -> DeadLetter:
    # Locked, so that of two operators who requeue it only one places an order.
    letter = DeadLetter.objects.select_for_update().get(id=letter_id)
    if letter.resolution is not None:
        raise NotSafe(f"dead letter {letter.pk} is {letter.resolution} already")
    letter.successor_id = act(letter)
    letter.resolution, letter.resolved_at, letter.resolved_by_id = resolution.value, timezone.now(), actor.user_id
    letter.save(update_fields=["successor_id", "resolution", "resolved_at", "resolved_by"])
    owner_id = Order.objects.filter(id=letter.order_id or 0).values_list("user_id", flat=True).first()
    after = {"resolution": letter.resolution, "successor": letter.successor_id}
    record(_KINDS[resolution], owner_id, actor, subject=f"dead letter {letter.pk}", after=after)
    return letter


def _retry(actor: Actor, letter: DeadLetter) -> int | None:
    """Place the order or the cancel again. Returns the id of the new order, if there is one."""
    order = None if letter.order_id is None else Order.objects.filter(id=letter.order_id).first()
    if order is None:
        raise NotSafe(f"{letter.kind} of {letter.market_id} cannot be requeued: set the market's status again")
    if letter.kind == CommandKind.CANCEL:
        if not order.active:
            raise NotSafe(f"order {order.id} is {order.status}: there is nothing to cancel")
        submit_cancels(order.market_id, [order.id])
        return None
    if letter.kind == CommandKind.EXPIRE:
        if not order.active:
            raise NotSafe(f"order {order.id} is {order.status}: there is nothing to close")
        expire_again(order)
        return None
    if letter.kind in _OF_TWO_ORDERS:
        # Its owner was told that it failed, and may have amended or cancelled the order since.
        raise NotSafe(f"{letter.kind} of order {order.id} cannot be requeued: its owner has to ask for it again")
    if order.status != Status.FAILED or order.filled_quantity:
        raise NotSafe(f"order {order.id} is {order.status} with {order.filled_quantity:f} filled: it has had an effect")
    if not User.objects.filter(id=order.user_id, is_active=True).exists():
        raise NotSafe(f"user {order.user_id} is not active any more")
    market = read_market(order.market_id)
    if letter.kind == CommandKind.REFUSE or order.meets_id is not None or order.user_id == market.counterparty_id:
        raise NotSafe(f"order {order.id} is part of a fate of the sandbox: its owner has to order it again")
    return place_order(order.user_id, market, _same_terms(order), order.correlation_id, actor).order.id


def _same_terms(order: Order) -> OrderTerms:
    """The terms of the failed order, without its client order id, which belongs to that order for ever."""
    takes_time_in_force = TIME_IN_FORCE not in KINDS[order.type].forbids
    return OrderTerms(
        side=order.side,
        type=order.type,
        price=order.price,
        quantity=order.quantity,
        quote_quantity=order.quote_quantity,
        display_quantity=order.display_quantity,
        time_in_force=order.time_in_force if takes_time_in_force else None,
        expires_at=order.expires_at,
        post_only=order.post_only,
        self_trade_prevention=order.self_trade_prevention,
        stop_price=None if order.type == OrderType.TRAILING_STOP else order.stop_price,
        trailing_offset=order.trailing_offset,
    )
