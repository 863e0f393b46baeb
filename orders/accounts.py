"""What ends an account's trading: the kill switch, deactivation, and an operator who cancels all of its orders.

The user's row is changed first. Intake holds it while it stores an order (`exposure`), so this waits for the orders
that are being stored, and every later one is refused: what is found open after that is all that there can be.
"""

from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from django.db import transaction

from balances.models import Balance
from base.storage.outages import again_on_deadlock
from base.web.accounts import forget_account
from base.web.errors import AccountNotEmpty, OrderClosed
from base.web.values import camel
from core.money import plain
from orders.log import account_changed
from orders.models import Order
from orders.powers import subject_of
from orders.services import cancel_named, cancel_order, cancel_orders
from users.acts import Actor, record
from users.api_key import Ending
from users.api_keys import end_keys
from users.models import ActKind, User, new_stamp
from users.services import confirm_password, find_user, lock_user


@again_on_deadlock
@transaction.atomic
def kill(user_id: int, actor: Actor) -> int:
    """Block new orders, cancel all open ones and end all sessions and keys, in one act.

    Return how many cancels. Raises UserNotFound.
    """
    states = _change(user_id, "is_blocked", True, stamp=new_stamp())
    end_keys(user_id, Ending.BLOCKED)
    cancelled = cancel_orders(user_id)
    _record(ActKind.BLOCKED, user_id, actor, states, cancelled=cancelled)
    return cancelled


@again_on_deadlock
@transaction.atomic
def lift(user_id: int, actor: Actor) -> None:
    """Let a user who was blocked place orders again. Raises UserNotFound."""
    _record(ActKind.UNBLOCKED, user_id, actor, _change(user_id, "is_blocked", False))


@again_on_deadlock
@transaction.atomic
def deactivate(user_id: int, actor: Actor) -> int:
    """Close the account to its owner and cancel its open orders. Return how many. Raises UserNotFound."""
    states = _change(user_id, "is_active", False, stamp=new_stamp())
    end_keys(user_id, Ending.DEACTIVATED)
    cancelled = cancel_orders(user_id)
    _record(ActKind.DEACTIVATED, user_id, actor, states, cancelled=cancelled)
    return cancelled


def close(user_id: int, password: str, actor: Actor) -> None:
    """Deactivate an account for its owner, who has to own nothing. Raises InvalidCredentials and AccountNotEmpty."""
    user = find_user(user_id)
    # Before the transaction, because it takes a while.
    confirm_password(user, password)
    _close_if_empty(user_id, actor)


@again_on_deadlock
@transaction.atomic
def _close_if_empty(user_id: int, actor: Actor) -> None:
    """Whoever moves money to or from an account from outside locks its user's row too. Within the exchange a balance
    grows by a trade alone, and who has funds in an order is not empty.
    """
    lock_user(user_id)
    held = Balance.objects.filter(user_id=user_id).exclude(available=Decimal(0), frozen=Decimal(0))
    left = [{"currency": each.currency_id, "totalBalance": plain(each.total)} for each in held.order_by("currency")]
    if left:
        owned = ", ".join(f"{each['totalBalance']} {each['currency']}" for each in left)
        raise AccountNotEmpty(f"the account still owns {owned}", balances=left)
    deactivate(user_id, actor)


@again_on_deadlock
@transaction.atomic
def activate(user_id: int, actor: Actor) -> None:
    """Open the account to its owner again. Raises UserNotFound."""
    _record(ActKind.ACTIVATED, user_id, actor, _change(user_id, "is_active", True))


@again_on_deadlock
@transaction.atomic
def cancel_for(user_id: int, actor: Actor, symbol: str | None = None, side: str | None = None) -> int:
    """Cancel the open orders of a user on behalf of an operator: in one market or in all, of one side or of both.

    Return how many.
    """
    cancelled = cancel_orders(user_id, symbol, side)
    named = {"symbol": symbol, "side": side}
    which = {name: value for name, value in named.items() if value is not None}
    record(ActKind.ORDERS_CANCELLED, user_id, actor, details={"cancelled": cancelled, **which})
    return cancelled


@again_on_deadlock
@transaction.atomic
def cancel_named_for(user_id: int, order_ids: Sequence[int], client_order_ids: Sequence[str], actor: Actor) -> int:
    """Cancel these orders of the user, as far as they are open. Return how many.

    By another than the user those alone that the actor placed, because nobody has asked what the actor may do. That is
    an act.
    """
    is_own = actor.user_id == user_id
    cancelled = cancel_named(user_id, order_ids, client_order_ids, None if is_own else actor.user_id)
    if cancelled and not is_own:
        record(ActKind.ORDERS_CANCELLED, user_id, actor, details={"cancelled": cancelled})
    return cancelled


@again_on_deadlock
@transaction.atomic
def cancel_orders_as_operator(orders: Sequence[Order], actor: Actor) -> int:
    """Cancel these orders, whoever owns them, as far as they are still open. Return how many."""
    cancelled = 0
    for order in orders:
        try:
            cancel_order_as_operator(order, actor)
        except OrderClosed:
            continue
        cancelled += 1
    return cancelled


@again_on_deadlock
@transaction.atomic
def cancel_order_as_operator(order: Order, actor: Actor) -> Order:
    """Cancel an order of anybody's. Raises OrderClosed."""
    cancelled = cancel_order(order.user_id, order.id)
    before, details = {"status": cancelled.status}, {"orderId": order.id}
    record(ActKind.ORDERS_CANCELLED, order.user_id, actor, subject=subject_of(order.id), before=before, details=details)
    return cancelled


# A field of the account before and after.
_States = tuple[dict[str, bool], dict[str, bool]]


def _change(user_id: int, field: str, value: bool, **more: str) -> _States:
    """Set the field, under the row's lock. Raises UserNotFound."""
    before = getattr(lock_user(user_id), field)
    User.objects.filter(id=user_id).update(**{field: value}, **more)
    transaction.on_commit(partial(forget_account, user_id))
    return {camel(field): before}, {camel(field): value}


def _record(kind: ActKind, user_id: int, actor: Actor, states: _States, **details: int) -> None:
    """Store the act, and log it once it is committed."""
    before, after = states
    record(kind, user_id, actor, before=before, after=after, details=details)
    log = partial(account_changed, f"account {kind.lower()}", user_id, actor.user_id, **details)
    transaction.on_commit(log)
