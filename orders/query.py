"""What a request asks of orders: whose, which one, and those that its query string leaves."""

from typing import Any

from rest_framework.request import Request

from base.web.authentication import caller_id, own_user_id, permitted
from base.web.errors import MarketNotFound, OrderNotFound
from base.web.forms import printable
from base.web.queries import TRUE_OR_FALSE, Query, parameters
from base.web.rules import one_of
from base.web.values import AsOf, parse_id
from core.types import ACTIVE_PHASES, Phase, Side, Status, phases_of
from markets.answers import Symbol
from markets.services import known_market
from orders import services
from orders.ids import order_ids
from orders.models import Order
from orders.powers import PLACE_PERMISSION, VIEW_PERMISSION
from users.acts import Actor, actor_of
from users.services import find_user

OF_MARKET = Query("symbol", Symbol, "Those of this market.", (MarketNotFound,))
OF_SIDE = Query("side", one_of(Side), "Those of this side.")
FILTERS = (
    OF_MARKET,
    OF_SIDE,
    Query("status", one_of(Status), "Those with this status."),
    Query("active", TRUE_OR_FALSE, "Those that can still trade, or cannot."),
)


def owner_of(request: Request, permission: str = VIEW_PERMISSION) -> int:
    """Whose orders: the caller's, or for staff with the permission those of the userId in the query.

    Raises NotYourAccount, and for staff PermissionRequired and UserNotFound.
    """
    asked_for = parameters(request)["user_id"]
    if asked_for is None:
        return caller_id(request)
    return account_for(request, parse_id(asked_for) or 0, permission)


def account_for(request: Request, asked_for: int | None, permission: str) -> int:
    """The account to act for. Raises NotYourAccount, and for staff PermissionRequired and UserNotFound."""
    user_id = own_user_id(request, asked_for, permission)
    return user_id if user_id == caller_id(request) else find_user(user_id).id


def own_order(request: Request, order_id: str) -> Order:
    """The order that the path names: of the user whom the query names, else the caller's own, or with the permission
    anybody's.

    Raises OrderNotFound, NotYourAccount, PermissionRequired and UserNotFound.
    """
    wanted = known_id(order_id)
    if parameters(request)["user_id"] is not None:
        return services.find_order(owner_of(request), wanted)
    try:
        return services.find_order(caller_id(request), wanted)
    except OrderNotFound:
        # Asked last: whether the caller is staff is another query.
        if not request.user.is_staff:
            raise
    return anybodys_order(request, wanted, VIEW_PERMISSION)


def anybodys_order(request: Request, order_id: int, permission: str) -> Order:
    """Whoever owns it, for staff with the permission. Raises PermissionRequired and OrderNotFound."""
    permitted(request, permission)
    order = services.orders_as_of().filter(id=order_id).first()
    if order is None:
        raise OrderNotFound(f"there is no order {order_id}", orderId=order_id)
    return order


def known_id(order_id: str) -> int:
    wanted = parse_id(order_id)
    if wanted is None:
        raise OrderNotFound(f"there is no order {printable(order_id)}")
    if not order_ids.may_exist(wanted):
        # As `find_order` refuses another user's.
        raise OrderNotFound(f"there is no order {wanted}", orderId=wanted)
    return wanted


def as_of_order(order: Order) -> AsOf:
    """What an answer about the order includes, and what is read after it."""
    return {order.market_id: order.newest_event}  # type: ignore[attr-defined]


def in_states(request: Request) -> tuple[list[dict[str, Any]] | None, str]:
    """The states of the orders that the query asks for, None for all; and the index that holds a user's orders so.

    Closed orders of any status are not read by the index of the states, which would have to be sorted for each page.
    """
    asked = parameters(request)
    status, is_active = asked["status"], asked["active"]
    if status is None:
        return (
            ([{"phase": phase} for phase in ACTIVE_PHASES], "order_user_phase") if is_active else (None, "order_user")
        )
    # The phase follows from the status, and the index begins with it.
    phases = set(phases_of(Status(status)))
    if is_active is not None:
        phases &= set(ACTIVE_PHASES) if is_active else {Phase.CLOSED}
    return [{"phase": phase, "status": status} for phase in sorted(phases)], "order_user_phase"


def narrowing(request: Request) -> dict[str, Any]:
    """What else the query asks for, which no index holds. Raises MarketNotFound."""
    asked = parameters(request)
    is_closed = asked["status"] is None and asked["active"] is False
    phase = Phase.CLOSED if is_closed else None
    wanted = {"market_id": named_market(request), "side": asked["side"], "phase": phase}
    return {name: value for name, value in wanted.items() if value is not None}


def named_market(request: Request) -> str | None:
    """The market that the query names, None for all. Raises MarketNotFound."""
    symbol = parameters(request)["symbol"]
    return None if symbol is None else known_market(symbol).symbol


def acting(request: Request, user_id: int | None) -> tuple[int, Actor | None]:
    """The account that an order is for; and who places it, where that is another: staff with the permission."""
    owner_id = account_for(request, user_id, PLACE_PERMISSION)
    return owner_id, None if owner_id == caller_id(request) else actor_of(request)
