"""The engine's rows in the admin: books, inboxes, changes of trading status, workers, and dead letters."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from base.web.admin import NOTHING, ReadOnlyAdmin, numbers
from base.web.admin_blocks import page_block
from base.web.errors import ExchangeError
from commands.models import Command
from markets.trade_admin import OfMarketsAdmin
from matching.models import DeadLetter, OrderBook, StatusChange, WorkerHeartbeat
from operations import accounts, api_keys, dead_letters
from operations.acts import acts_on_market, acts_on_user
from operations.dead_letters import NotSafe
from operations.market_book import book_block
from operations.market_summary import market_summary
from operations.open_orders import open_orders_block
from users.acts import IN_THE_ADMIN, Actor, actor_of

page_block("markets.Market", "Now", 1)(market_summary)
page_block("markets.Market", "Book", 2, whole=True)(lambda request, market: book_block(request, market.symbol))
page_block("markets.Market", "What staff did", 1)(acts_on_market)
page_block("matching.OrderBook", "Book", whole=True)(lambda request, row: book_block(request, row.market_id))
page_block("users.User", "Orders and limits", 1)(accounts.trading)
page_block("users.User", "Open orders", 3, whole=True)(open_orders_block)
page_block("users.User", "API keys", 4)(api_keys.keys_block)
page_block("users.User", "What staff did", 4)(acts_on_user)

DEAL_PERMISSION = "matching.change_deadletter"


@admin.register(OrderBook)
class OrderBookAdmin(ReadOnlyAdmin):
    list_display = ("market", "status", "next_sequence", "unfinished_order_id", "failures", "updated_at")
    # Not the token, which only the engine needs.
    fields = ("market", "status", "next_sequence", "unfinished_order_id", "failures", "updated_at")
    list_filter = ("status",)
    change_form_template = "admin/row_with_blocks.html"
    ordering = ("market",)
    search_help_text = "A symbol, exactly."

    def find(self, word: str) -> list[Q]:
        return [Q(market_id=word)]


@admin.register(Command)
class CommandAdmin(OfMarketsAdmin):
    list_display = ("id", "market", "kind", "order", "created_at")
    list_filter = ("market", "kind")
    # A number is an order's id, because no operator knows the id of a command.
    search_help_text = "An order id or a symbol, exactly; several words narrow."

    @admin.display
    def order(self, command: Command) -> str:
        return _order_link(command.order_id)

    def find(self, word: str) -> list[Q]:
        return []

    def narrow(self, word: str) -> Q | None:
        orders = numbers(word)
        return Q(order_id__in=orders) if orders else None


@admin.register(StatusChange)
class StatusChangeAdmin(OfMarketsAdmin):
    list_display = ("id", "market", "status", "sequence", "reason", "created_at")
    list_filter = ("status", "market", "created_at")
    search_help_text = "A symbol, exactly."


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(ReadOnlyAdmin):
    """A worker that was killed stays in the list for an hour: `seen_at` shows when it last renewed its row."""

    list_display = ("name", "serves", "started_at", "seen_at")
    list_filter = ("serves_all",)
    search_help_text = "A worker's name, exactly."

    @admin.display
    def serves(self, worker: WorkerHeartbeat) -> str:
        if worker.is_beat:
            return "the schedule"
        named = ", ".join(worker.symbols)
        if worker.serves_all:
            return f"all markets except {named}" if named else "all markets"
        return named or NOTHING

    def narrow(self, word: str) -> Q | None:
        return Q(name=word)


@admin.register(DeadLetter)
class DeadLetterAdmin(OfMarketsAdmin):
    """Operators who may change dead letters can requeue or resolve them; nobody edits them."""

    list_display = (
        "id",
        "market",
        "kind",
        "order",
        "error",
        "attempts",
        "created_at",
        "resolution",
        "successor",
    )
    list_filter = (("resolution", admin.EmptyFieldListFilter), "resolution", "market", "kind", "created_at")
    list_select_related = ("resolved_by",)
    readonly_fields = ("order", "successor")
    actions = ("requeue", "resolve")  # type: ignore[assignment]
    search_help_text = "The id of a dead letter or of an order, or a symbol, exactly; several words narrow."

    @admin.display
    def order(self, letter: DeadLetter) -> str:
        return _order_link(letter.order_id)

    @admin.display(description="placed again as")
    def successor(self, letter: DeadLetter) -> str:
        return _order_link(letter.successor_id)

    @admin.action(description="Requeue: try it again, where that is safe", permissions=["deal"])
    def requeue(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        _deal_with(request, letters, dead_letters.requeue)

    @admin.action(description="Resolve: nothing is left to do", permissions=["deal"])
    def resolve(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        _deal_with(request, letters, dead_letters.resolve)

    def has_deal_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(DEAL_PERMISSION)

    def find(self, word: str) -> list[Q]:
        return [Q(id__in=numbers(word)), Q(order_id__in=numbers(word))]


def _order_link(order_id: int | None) -> SafeString:
    if order_id is None:
        return SafeString(NOTHING)
    return format_html('<a href="{}">{}</a>', reverse("admin:orders_order_change", args=[order_id]), order_id)


def _deal_with(request: HttpRequest, letters: QuerySet[DeadLetter], deal: Callable[[int, Actor], DeadLetter]) -> None:
    """Deal with each dead letter in its own transaction. One that is not safe is reported, and the others go on."""
    actor = actor_of(request, IN_THE_ADMIN)
    for letter_id in letters.order_by("id").values_list("id", flat=True):
        try:
            letter = deal(letter_id, actor)
        except NotSafe as error:
            messages.error(request, str(error))
        except ExchangeError as error:
            messages.error(request, f"dead letter {letter_id}: {error.message}")
        else:
            messages.success(request, f"Dead letter {letter.pk} is {letter.resolution}.")
