"""Assets, markets and the tape in the admin. Markets are opened and changed by the same services as over the API."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from exchange.admin import PlainAdmin, ReadOnlyAdmin, numbered, numbers, shown
from markets.models import Asset, Market, Trade
from matching import switching

# Generic for the type checker only.
if TYPE_CHECKING:
    _MarketForm = forms.ModelForm[Market]
else:
    _MarketForm = forms.ModelForm

# Orders were checked against them.
FIXED = ("symbol", "base", "quote", "tick_size", "lot_size")
CHANGEABLE = (
    "status",
    "min_quantity",
    "max_quantity",
    "min_notional",
    "maker_fee_rate",
    "taker_fee_rate",
    "self_trade_prevention",
)


class CodedAdmin(PlainAdmin):
    """Things known by a code. Codes are in upper case, and MySQL compares them exactly."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return super().get_search_results(request, queryset, search_term.upper())


@admin.register(Asset)
class AssetAdmin(CodedAdmin):
    """An asset is made and never changed: amounts were counted in its scale, and only transfers move its supply."""

    list_display = ("code", "scale", "supply")
    ordering = ("code",)
    search_fields = ("code",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return ["code", "scale"] if obj is None else ["code", "scale", shown(Asset, "supply")]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class MarketForm(_MarketForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding and "min_quantity" in self.fields:
            self.fields["min_quantity"].required = False
            self.fields["min_quantity"].help_text = "The lot size if left empty."

    def clean(self) -> dict[str, Any]:
        super().clean()
        values: dict[str, Any] = self.cleaned_data
        if "min_quantity" in values and values["min_quantity"] is None:
            values["min_quantity"] = values.get("lot_size")
        return values


@admin.register(Market)
class MarketAdmin(CodedAdmin):
    form = MarketForm
    list_display = ("symbol", "base", "quote", "tick_size", "lot_size", "maker_fee_rate", "taker_fee_rate", "status")
    list_filter = ("status", "quote")
    ordering = ("symbol",)
    search_fields = ("symbol",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        if obj is None:
            return [*FIXED, *CHANGEABLE]
        return [*self.get_readonly_fields(request, obj), *CHANGEABLE]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return [] if obj is None else [shown(Market, name) for name in (*FIXED, "created_at")]

    def save_model(self, request: HttpRequest, obj: Market, form: Any, change: bool) -> None:
        """By the services. Of a market that is there, only what was changed is written: others may change the rest."""
        if change:
            switching.change_market(obj, **{name: form.cleaned_data[name] for name in form.changed_data})
        else:
            values = {**form.cleaned_data, "base": obj.base_id, "quote": obj.quote_id}
            switching.create_market(**values)


@admin.register(Trade)
class TradeAdmin(ReadOnlyAdmin):
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
    search_help_text = "A trade id such as BTC-USDT-17, an order id or a symbol, exactly; several words narrow."

    def find(self, word: str) -> Q:
        orders = numbers(word)
        return numbered(word) | Q(buy_order_id__in=orders) | Q(sell_order_id__in=orders) | Q(market_id=word)
