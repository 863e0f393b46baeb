"""Orders and their timelines in the admin, read only: only intake and the market's worker write them.

Operators with the permission cancel orders here, by the same command as their owners.
"""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.translation import ngettext

from base.web.admin import NOTHING, ReadOnlyAdmin, amount, numbered, numbers, users_named
from base.web.confirmation import Question, ask_and_act
from markets.models import Trade
from markets.trade_admin import OfMarketsAdmin
from orders.accounts import cancel_orders_as_operator
from orders.correlation import correlated, may_be_correlation_id
from orders.models import DeadManSwitch, OpenOrders, Order, OrderEvent, OrderExpiry, Trail
from orders.powers import CANCEL_PERMISSION
from orders.representation import represent_event, represent_fill
from users.acts import actor_of

# A taker that met a whole book has more events and trades than this; their own lists show all of them.
MOST_STEPS = 200
# The most orders that one confirmation cancels.
MOST_CANCELS = 500


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
        "created_at",
    )
    list_filter = ("status", "phase", "market", "side", "type", "time_in_force", "created_at")
    list_select_related = ("user",)
    actions = ("cancel",)  # type: ignore[assignment]
    search_help_text = (
        "An order id, client order id, user name, symbol or correlation id, exactly; several words narrow."
    )

    @admin.display(description="quantity")
    def quantity_asked(self, order: Order) -> str:
        """The quantity, or the quote quantity in its place."""
        if order.quantity is not None:
            return amount(order.quantity)
        return amount(order.quote_quantity, "for") if order.quote_quantity is not None else NOTHING

    def find(self, word: str) -> list[Q]:
        by_user = Q(user_id__in=users_named(word))
        return [Q(id__in=numbers(word)), by_user, Q(client_order_id=word), correlated(word)]

    def narrow(self, word: str) -> Q | None:
        return Q(correlation_id=word) if may_be_correlation_id(word) else None

    @admin.action(description="Cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Order]) -> HttpResponse:
        """Ask for a reason first."""
        ids = list(chosen.order_by("id").values_list("id", flat=True)[:MOST_CANCELS])
        return redirect(f"{reverse('admin:orders_order_cancel')}?{urlencode({'id': ids}, doseq=True)}")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(CANCEL_PERMISSION)

    def get_urls(self) -> list[URLPattern]:
        cancel = self.admin_site.admin_view(self.confirm_cancel)
        return [path("cancel/", cancel, name="orders_order_cancel"), *super().get_urls()]

    def confirm_cancel(self, request: HttpRequest) -> HttpResponse:
        """Show the open ones of the chosen orders (GET), and cancel them (POST)."""
        if not self.has_cancel_permission(request):
            raise PermissionDenied
        ids = [number for word in request.GET.getlist("id")[:MOST_CANCELS] for number in numbers(word)]
        chosen = [order for order in Order.objects.filter(id__in=ids).order_by("id") if order.active]
        question = Question(
            title=f"Cancel {len(chosen)} order{'' if len(chosen) == 1 else 's'}",
            effect="Each cancel waits behind the commands that came before it. Orders that are closed are left out.",
            button="Cancel",
            back=_page_to_return_to(request),
            head=("order", "user", "market", "what", "status"),
            rows=[(str(each.pk), str(each.user_id), each.market_id, str(each), each.status) for each in chosen],
        )

        def act(filled: dict[str, Any]) -> str:
            number = cancel_orders_as_operator(chosen, actor_of(request, filled["reason"]))
            stored = ngettext("%d cancel is stored", "%d cancels are stored", number) % number
            return f"{stored}; the engine applies it behind the commands that wait already."

        return ask_and_act(request, question, act)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        order = Order.objects.select_related("market").filter(id__in=numbers(object_id)).first()
        timeline = _timeline(order) if order is not None else {}
        may_cancel = order is not None and order.active and self.has_cancel_permission(request)
        extra = {**(extra_context or {}), **timeline, "may_cancel": may_cancel}
        return super().change_view(request, object_id, form_url, extra)


def _page_to_return_to(request: HttpRequest) -> str:
    """That of the user whose orders they are, where the request came from there."""
    owners = numbers(request.GET.get("of", ""))
    if owners:
        return reverse("admin:users_user_change", args=owners)
    return reverse("admin:orders_order_changelist")


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


@admin.register(OrderExpiry)
class OrderExpiryAdmin(ReadOnlyAdmin):
    """Of GTD orders that are open. `due_at` is empty once the command that closes the order is stored."""

    list_display = ("id", "market", "due_at")
    search_help_text = "An order id."

    def narrow(self, word: str) -> Q | None:
        return Q(id__in=numbers(word))


@admin.register(Trail)
class TrailAdmin(OfMarketsAdmin):
    list_display = ("id", "market", "side", "from_sequence", "extreme")
    search_help_text = "A symbol, exactly."


@admin.register(DeadManSwitch)
class DeadManSwitchAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "symbol", "triggers_at")
    list_select_related = ("user",)
    search_help_text = "A user name, exactly."

    def narrow(self, word: str) -> Q | None:
        users = users_named(word)
        return Q(user_id__in=users) if users else None


def _timeline(order: Order) -> dict[str, Any]:
    """The order's events and fills, for the template."""
    events = OrderEvent.objects.filter(order=order).order_by("sequence")[:MOST_STEPS]
    trades = Trade.objects.select_related("market").filter(Q(buy_order_id=order.id) | Q(sell_order_id=order.id))
    return {
        "timeline": [represent_event(event) for event in events],
        "fills": [(trade.id, represent_fill(order.side, trade)) for trade in trades.order_by("sequence")[:MOST_STEPS]],
        "most_steps": MOST_STEPS,
    }
