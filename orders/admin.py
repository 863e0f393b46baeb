"""Orders and their timelines in the admin, read only: only intake and the market's worker write them."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from base.web.admin import numbered, numbers, users_named
from core.money import plain
from markets.admin import OfMarketsAdmin
from markets.models import Trade
from orders.correlation import correlated, may_be_correlation_id
from orders.models import OpenOrders, Order, OrderEvent
from orders.representation import represent_event, represent_fill

# A taker that met a whole book has more events and trades than this; their own lists show all of them.
MOST_STEPS = 200


@admin.register(Order)
class OrderAdmin(OfMarketsAdmin):
    list_display = (
        "id",
        "user",
        "market",
        "side",
        "type",
        "price",
        "quantity_asked",
        "filled_quantity",
        "status",
        "reason",
        "phase",
        "created_at",
    )
    list_filter = ("status", "phase", "market", "side", "type", "time_in_force", "created_at")
    list_select_related = ("user",)
    search_help_text = (
        "An order id, client order id, user name, symbol or correlation id, exactly; several words narrow."
    )

    @admin.display(description="quantity")
    def quantity_asked(self, order: Order) -> str:
        """The quantity, or the quote quantity in its place."""
        if order.quantity is not None:
            return plain(order.quantity)
        return f"for {plain(order.quote_quantity)}" if order.quote_quantity is not None else "-"

    def find(self, word: str) -> list[Q]:
        by_user = Q(user_id__in=users_named(word))
        return [Q(id__in=numbers(word)), by_user, Q(client_order_id=word), correlated(word)]

    def narrow(self, word: str) -> Q | None:
        return Q(correlation_id=word) if may_be_correlation_id(word) else None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        order = Order.objects.select_related("market").filter(id__in=numbers(object_id)).first()
        timeline = _timeline(order) if order is not None else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **timeline})


@admin.register(OpenOrders)
class OpenOrdersAdmin(OfMarketsAdmin):
    list_display = ("user", "market", "number")
    list_filter = ("market",)
    list_select_related = ("user",)
    search_help_text = "A user name or a symbol, exactly; several words narrow."

    def find(self, word: str) -> list[Q]:
        return [Q(user_id__in=users_named(word))]


@admin.register(OrderEvent)
class OrderEventAdmin(OfMarketsAdmin):
    list_display = (
        "event_id",
        "order",
        "user",
        "status",
        "reason",
        "active",
        "filled_quantity",
        "trade_sequence",
        "created_at",
    )
    list_filter = ("status", "active", "market", "created_at")
    list_select_related = ("user",)
    search_help_text = (
        "An event id such as BTC-USDT-17, an order id, a user name or a symbol, exactly; several words narrow."
    )

    def find(self, word: str) -> list[Q]:
        return [numbered(word), Q(order_id__in=numbers(word))]

    def narrow(self, word: str) -> Q | None:
        users = users_named(word)
        return Q(user_id__in=users) if users else None


def _timeline(order: Order) -> dict[str, Any]:
    """The order's events and fills, for the template."""
    events = OrderEvent.objects.filter(order=order).order_by("sequence")[:MOST_STEPS]
    trades = Trade.objects.select_related("market").filter(Q(buy_order_id=order.id) | Q(sell_order_id=order.id))
    return {
        "timeline": [represent_event(event) for event in events],
        "fills": [(trade.id, represent_fill(order, trade)) for trade in trades.order_by("sequence")[:MOST_STEPS]],
        "most_steps": MOST_STEPS,
    }
