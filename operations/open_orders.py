"""A user's open orders on the user's page in the admin, to be cancelled one by one, some of them, or all."""

from django.db.models import Sum
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from core.money import plain
from core.types import ACTIVE_PHASES
from orders.models import OpenOrders, Order
from orders.powers import CANCEL_PERMISSION, VIEW_PERMISSION
from users.models import User

# The newest that are shown; the list of orders has all of them.
MOST_SHOWN = 20


def open_orders_block(request: HttpRequest, user: User) -> SafeString | str:
    """The newest open orders, for who may see orders, with buttons for who may cancel them."""
    if not request.user.has_perm(VIEW_PERMISSION):
        return ""
    orders = list(Order.objects.filter(user=user, phase__in=ACTIVE_PHASES).order_by("-id")[:MOST_SHOWN])
    context = {
        "owner": user,
        "orders": [(order, _price(order), _quantity(order), plain(order.filled_quantity)) for order in orders],
        "number": OpenOrders.objects.filter(user=user).aggregate(number=Sum("number"))["number"] or 0,
        "may_cancel": request.user.has_perm(CANCEL_PERMISSION),
        "listed": f"{reverse('admin:orders_order_changelist')}?user__id__exact={user.pk}",
    }
    return render_to_string("admin/open_orders.html", context)


def _price(order: Order) -> str:
    if order.price is not None:
        return plain(order.price)
    return f"stop {plain(order.stop_price)}" if order.stop_price is not None else "-"


def _quantity(order: Order) -> str:
    if order.quantity is not None:
        return plain(order.quantity)
    return f"for {plain(order.quote_quantity)}" if order.quote_quantity is not None else "-"
