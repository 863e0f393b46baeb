"""The engine's rows in the admin, to look at: which market is how far, and what is waiting for its worker."""

from django.contrib import admin
from django.db.models import Q

from exchange.admin import ReadOnlyAdmin, numbers
from matching.models import Command, OrderBook


@admin.register(OrderBook)
class OrderBookAdmin(ReadOnlyAdmin):
    list_display = ("market", "next_sequence", "updated_at")
    # Not the token: it is the engine's own.
    fields = ("market", "next_sequence", "updated_at")
    ordering = ("market",)
    search_help_text = "A symbol, exactly."

    def find(self, word: str) -> Q:
        return Q(market_id=word)


@admin.register(Command)
class CommandAdmin(ReadOnlyAdmin):
    list_display = ("id", "market", "kind", "order_id", "created_at")
    list_filter = ("market", "kind")
    search_help_text = "An order id or a symbol, exactly; several words narrow."

    def find(self, word: str) -> Q:
        return Q(order_id__in=numbers(word)) | Q(market_id=word)
