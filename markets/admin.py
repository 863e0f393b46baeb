"""Assets, markets and trades in the admin. Markets are opened and changed by the same services as over the API."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from base.web.admin import PlainAdmin, ReadOnlyAdmin, numbered, numbers, shown
from base.web.admin_blocks import render_blocks
from base.web.errors import ExchangeError
from core.types import MarketStatus
from markets import services
from markets.fee_admin import RatesAdmin
from markets.models import Asset, Market, Trade
from users.acts import IN_THE_ADMIN, REASON_LENGTH, actor_of, record
from users.models import ActKind

# Generic for the type checker only.
if TYPE_CHECKING:
    _MarketForm = forms.ModelForm[Market]
else:
    _MarketForm = forms.ModelForm

# The effects of a trading status, for the operator who must confirm it.
EFFECTS = {
    MarketStatus.HALTED: "New orders are refused from now on. Orders that wait already are matched, then none trades.",
    MarketStatus.CANCEL_ONLY: "New orders are refused from now on; resting orders can be cancelled.",
    MarketStatus.DELISTED: (
        "For good: no other status can be set afterwards. New orders are refused from now on, all resting orders are"
        " cancelled and their funds released. The market disappears from all lists; its history stays."
    ),
    MarketStatus.AUCTION: (
        "LIMIT orders are collected from now on, and nothing trades. The auction ends when the market is resumed: what"
        " crosses then trades at one price."
    ),
    MarketStatus.TRADING: "New orders are accepted and matched again, with the orders that rest in the book.",
}
# They never change, because stored orders were checked against them.
FIXED = ("symbol", "base", "quote", "tick_size", "lot_size")
CHANGEABLE = (
    "min_quantity",
    "max_quantity",
    "min_notional",
    "max_notional",
    "price_band",
    "max_open_orders",
    "maker_fee_rate",
    "taker_fee_rate",
    "fee_currency",
    "self_trade_prevention",
)


class CodedAdmin(PlainAdmin):
    """Rows that are named by a code. Codes are in upper case, and MySQL compares them exactly."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return super().get_search_results(request, queryset, search_term.upper())


@admin.register(Asset)
class AssetAdmin(CodedAdmin):
    """An asset is made and never changed, because amounts are counted in its scale and transfers change its supply."""

    list_display = ("code", "scale", "supply")
    ordering = ("code",)
    search_fields = ("code",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return ["code", "scale"] if obj is None else ["code", "scale", shown(Asset, "supply")]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Asset, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        after = {"scale": obj.scale}
        record(ActKind.ASSET_ADDED, None, actor_of(request, IN_THE_ADMIN), subject=obj.code, after=after)


class MarketForm(_MarketForm):
    reason = forms.CharField(
        required=False, max_length=REASON_LENGTH, help_text="Why; it is kept with the act, and not with the market."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        adding = self.instance._state.adding
        if adding and "min_quantity" in self.fields:
            self.fields["min_quantity"].required = False
            self.fields["min_quantity"].help_text = "The lot size if left empty."
        for name, field in self.fields.items():
            # A field is changed if it differs from the page as it was opened, whatever the row holds by now.
            field.show_hidden_initial = not adding and name != "reason"

    def clean(self) -> dict[str, Any]:
        super().clean()
        values: dict[str, Any] = self.cleaned_data
        if "min_quantity" in values and values["min_quantity"] is None:
            values["min_quantity"] = values.get("lot_size")
        return values


@admin.register(Market)
class MarketAdmin(RatesAdmin, CodedAdmin):
    form = MarketForm
    list_display = ("symbol", "base", "quote", "tick_size", "lot_size", "maker_fee_rate", "taker_fee_rate", "status")
    list_filter = ("status", "quote")
    list_select_related = ("base", "quote")
    ordering = ("symbol",)
    search_fields = ("symbol",)
    actions = ("halt", "cancel_only", "auction", "resume", "delist")

    @admin.action(description="Halt: nothing trades", permissions=["change"])
    def halt(self, request: HttpRequest, chosen: QuerySet[Market]) -> HttpResponse:
        return _confirm(chosen, MarketStatus.HALTED)

    @admin.action(description="Cancel only: no new orders", permissions=["change"])
    def cancel_only(self, request: HttpRequest, chosen: QuerySet[Market]) -> HttpResponse:
        return _confirm(chosen, MarketStatus.CANCEL_ONLY)

    @admin.action(description="Auction: collect orders", permissions=["change"])
    def auction(self, request: HttpRequest, chosen: QuerySet[Market]) -> HttpResponse:
        return _confirm(chosen, MarketStatus.AUCTION)

    @admin.action(description="Resume: trade", permissions=["change"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Market]) -> HttpResponse:
        return _confirm(chosen, MarketStatus.TRADING)

    @admin.action(description="Delist: for good", permissions=["change"])
    def delist(self, request: HttpRequest, chosen: QuerySet[Market]) -> HttpResponse:
        return _confirm(chosen, MarketStatus.DELISTED)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.confirm_status)
        return [path("status/<str:status>/", view, name="markets_market_status"), *super().get_urls()]

    def confirm_status(self, request: HttpRequest, status: str) -> HttpResponse:
        """Ask for a confirmation of the trading status (GET), and set it in each of the named markets (POST)."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        named = request.POST if request.method == "POST" else request.GET
        markets = list(Market.objects.select_related("base", "quote").filter(pk__in=named.getlist("symbol")))
        if status not in list(MarketStatus) or not markets:
            raise Http404
        if request.method == "POST":
            for market in markets:
                self._set_status(request, market, status, request.POST.get("reason", ""))
            return redirect(_page_of(markets))
        context = {"opts": self.opts, "title": f"Make {len(markets)} of the markets {status}", "markets": markets}
        if len(markets) == 1:
            context["title"] = f"Make {markets[0]} {status}"
        shared = {**self.admin_site.each_context(request), "status": status, "effect": EFFECTS[MarketStatus(status)]}
        return TemplateResponse(request, "admin/markets/market/confirm_status.html", {**shared, **context})

    def _set_status(self, request: HttpRequest, market: Market, status: str, reason: str) -> None:
        try:
            services.change_market(market, actor_of(request, reason), status=status)
        except ExchangeError as error:
            messages.error(request, f"{market}: {error.message}")
            return
        self.log_change(request, market, f"Made {status}.")
        messages.success(request, f"{market} is {status}; the engine applies it behind the commands that wait already.")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form, below the market summary."""
        market = self.get_object(request, object_id)
        blocks = render_blocks(request, market)
        may_change = market is not None and market.status != MarketStatus.DELISTED
        extra = {**(extra_context or {}), "blocks": blocks, "statuses": list(MarketStatus) if may_change else []}
        return super().change_view(request, object_id, form_url, extra)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The form, again with the reason if another operator's change meanwhile does not go with this one."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except ExchangeError as error:
            messages.error(request, error.message)
            return redirect(request.path)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        if obj is None:
            return [*FIXED, "status", *CHANGEABLE, "reason"]
        asked = ["reason"] if self.has_change_permission(request, obj) else []
        return [*self.get_readonly_fields(request, obj), *CHANGEABLE, *asked]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """The status is one of them, because a form that was opened before a halt would resume the market."""
        return [] if obj is None else [shown(Market, name) for name in (*FIXED, "created_at", "status")]

    def save_model(self, request: HttpRequest, obj: Market, form: Any, change: bool) -> None:
        """Save by the services. Of an existing market only the changed fields, because others may change the rest."""
        actor = actor_of(request, form.cleaned_data.pop("reason", "") or IN_THE_ADMIN)
        if change:
            changed = [name for name in form.changed_data if name != "reason"]
            services.change_market(obj, actor, **{name: form.cleaned_data[name] for name in changed})
        else:
            values = {**form.cleaned_data, "base": obj.base_id, "quote": obj.quote_id}
            services.create_market(actor=actor, **values)


def _parties(order_id: int, user_id: int) -> SafeString:
    order, user = (
        reverse("admin:orders_order_change", args=[order_id]),
        reverse("admin:users_user_change", args=[user_id]),
    )
    return format_html('<a href="{}">order {}</a>, <a href="{}">user {}</a>', order, order_id, user, user_id)


def _confirm(chosen: QuerySet[Market], status: MarketStatus) -> HttpResponse:
    symbols = urlencode({"symbol": list(chosen.values_list("pk", flat=True))}, doseq=True)
    return HttpResponseRedirect(f"{reverse('admin:markets_market_status', args=[status.value])}?{symbols}")


def _page_of(markets: list[Market]) -> str:
    if len(markets) == 1:
        return reverse("admin:markets_market_change", args=[markets[0].pk])
    return reverse("admin:markets_market_changelist")


class OfMarketsAdmin(ReadOnlyAdmin):
    """Rows that belong to a market. A word that is a symbol finds the rows of that market and no others."""

    def reserved(self, word: str) -> Q | None:
        return Q(market_id=word) if Market.objects.filter(symbol=word).exists() else None


@admin.register(Trade)
class TradeAdmin(OfMarketsAdmin):
    list_display = (
        "trade_id",
        "market",
        "taker_side",
        "price",
        "quantity",
        "buy_order_id",
        "sell_order_id",
        "buyer_fee",
        "seller_fee",
        "created_at",
    )
    list_filter = ("market", "taker_side", "created_at")
    fields = (
        *("trade_id", "market", "sequence", "taker_side", "price", "quantity", "notional", "created_at"),
        *("bought", "buyer_fee", "fee_in_quote", "sold", "seller_fee", "rebate", "entries"),
    )
    readonly_fields = ("trade_id", "bought", "sold", "entries")
    search_help_text = "A trade id such as BTC-USDT-17, an order id or a symbol, exactly; several words narrow."

    @admin.display(description="buy order, buyer")
    def bought(self, trade: Trade) -> SafeString:
        return _parties(trade.buy_order_id, trade.buyer_id)

    @admin.display(description="sell order, seller")
    def sold(self, trade: Trade) -> SafeString:
        return _parties(trade.sell_order_id, trade.seller_id)

    @admin.display(description="ledger")
    def entries(self, trade: Trade) -> SafeString:
        ledger = reverse("admin:balances_ledgerentry_changelist")
        return format_html('<a href="{}?q={}">entries</a>', ledger, trade.trade_id)

    def find(self, word: str) -> list[Q]:
        orders = numbers(word)
        return [numbered(word), Q(buy_order_id__in=orders), Q(sell_order_id__in=orders)]
