"""Trades in the admin, and what all lists of rows of markets share."""

from django.contrib import admin
from django.db.models import Q
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from base.web.admin import ReadOnlyAdmin, numbered, numbers
from markets.models import Market, Trade


class OfMarketsAdmin(ReadOnlyAdmin):
    """Rows that belong to a market. A word that is a symbol finds the rows of that market and no others."""

    def reserved(self, word: str) -> Q | None:
        return Q(market_id=word) if Market.objects.filter(symbol=word).exists() else None


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


def _parties(order_id: int, user_id: int) -> SafeString:
    order, user = (
        reverse("admin:orders_order_change", args=[order_id]),
        reverse("admin:users_user_change", args=[user_id]),
    )
    return format_html('<a href="{}">order {}</a>, <a href="{}">user {}</a>', order, order_id, user, user_id)
