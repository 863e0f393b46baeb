"""What staff do for others with orders: the permissions, which are those of the admin, and the acts that are kept."""

from collections.abc import Iterable

from core.money import plain
from orders.models import Order
from users.acts import Actor, act_of, record_all
from users.models import ActKind, StaffAct

VIEW_PERMISSION = "orders.view_order"
PLACE_PERMISSION = "orders.place_for_others"
CANCEL_PERMISSION = "orders.cancel_for_others"


def record_placed(placed: Iterable[tuple[Order, Actor | None]]) -> None:
    """An act for each order that an actor placed for its user, in the transaction that stores the orders."""
    acts = [_placed(order, actor) for order, actor in placed if actor is not None]
    if acts:
        record_all(acts)


def subject_of(order_id: int) -> str:
    """How acts name an order."""
    return f"order {order_id}"


def _placed(order: Order, actor: Actor) -> StaffAct:
    amounts = {"price": order.price, "quantity": order.quantity, "quoteQuantity": order.quote_quantity}
    words = {"symbol": order.market_id, "side": order.side, "type": order.type, "timeInForce": order.time_in_force}
    after = words | {name: plain(amount) for name, amount in amounts.items() if amount is not None}
    return act_of(ActKind.ORDER_PLACED, order.user_id, actor, subject=subject_of(order.id), after=after)
