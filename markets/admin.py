"""Assets, markets and trades in the admin. Markets are opened and changed by the same services as over the API."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from base.web.admin import NOTHING, PlainAdmin, shown
from base.web.confirmation import Question, ask_and_act
from base.web.errors import ExchangeError
from core.types import MarketStatus
from markets import services
from markets.fee_admin import RatesAdmin
from markets.models import Asset, Market, Trade
from markets.trade_admin import TradeAdmin
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
HIDES = (
    "It disappears from the public lists of markets and tickers. Who knows its name still reads it and trades in it; to"
    " end its trading, halt or delist it."
)
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
    list_display = (
        *("symbol", "base", "quote", "tick_size", "lot_size", "maker_fee_rate", "taker_fee_rate"),
        *("status", "hidden"),
    )
    list_filter = ("status", "is_hidden", "quote")
    list_select_related = ("base", "quote")
    ordering = ("symbol",)
    search_fields = ("symbol",)
    actions = ("halt", "cancel_only", "auction", "resume", "delist")

    @admin.display(boolean=True, description="simulated fates")
    def fates(self, market: Market) -> bool:
        return market.simulated_fates

    @admin.display(ordering="is_hidden")
    def hidden(self, market: Market) -> str:
        return "hidden" if market.is_hidden else NOTHING

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
        hide = self.admin_site.admin_view(self.confirm_hidden)
        return [
            path("status/<str:status>/", view, name="markets_market_status"),
            path("hidden/<str:symbol>/", hide, name="markets_market_hidden"),
            *super().get_urls(),
        ]

    def confirm_hidden(self, request: HttpRequest, symbol: str) -> HttpResponse:
        """Ask for a reason (GET), and hide the market, or show one that is hidden (POST)."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        market = get_object_or_404(Market, pk=symbol)
        hides = not market.is_hidden
        question = Question(
            title=f"{'Hide' if hides else 'Show'} {market}",
            effect=HIDES if hides else "It appears in the public lists of markets and tickers again.",
            button="Hide" if hides else "Show",
            back=_page_of([market]),
        )

        def act(filled: dict[str, Any]) -> str:
            services.change_market(market, actor_of(request, filled["reason"]), is_hidden=hides)
            return f"{market} is {'hidden' if hides else 'shown'}."

        return ask_and_act(request, question, act)

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
        """The form, with what may be done to the market."""
        market = self.get_object(request, object_id)
        may_change = market is not None and market.status != MarketStatus.DELISTED
        extra = {**(extra_context or {}), "statuses": list(MarketStatus) if may_change else []}
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
        if obj is None:
            return []
        fates = ["fates"] if settings.SANDBOX else []
        return [*(shown(Market, name) for name in (*FIXED, "created_at", "status", "is_hidden")), *fates]

    def save_model(self, request: HttpRequest, obj: Market, form: Any, change: bool) -> None:
        """Save by the services. Of an existing market only the changed fields, because others may change the rest."""
        actor = actor_of(request, form.cleaned_data.pop("reason", "") or IN_THE_ADMIN)
        if change:
            changed = [name for name in form.changed_data if name != "reason"]
            services.change_market(obj, actor, **{name: form.cleaned_data[name] for name in changed})
        else:
            values = {**form.cleaned_data, "base": obj.base_id, "quote": obj.quote_id}
            services.create_market(actor=actor, **values)


def _confirm(chosen: QuerySet[Market], status: MarketStatus) -> HttpResponse:
    symbols = urlencode({"symbol": list(chosen.values_list("pk", flat=True))}, doseq=True)
    return HttpResponseRedirect(f"{reverse('admin:markets_market_status', args=[status.value])}?{symbols}")


def _page_of(markets: list[Market]) -> str:
    if len(markets) == 1:
        return reverse("admin:markets_market_change", args=[markets[0].pk])
    return reverse("admin:markets_market_changelist")


admin.site.register(Trade, TradeAdmin)
