"""The market summary: the present state of a market, on its page in the admin."""

from collections.abc import Callable
from typing import NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from base.web.admin import NOTHING
from base.web.errors import timestamp
from commands.queue import find_backlog
from core.money import plain
from marketdata.tape import last_trades
from markets.models import Market
from matching.models import OrderBook
from matching.worker.heartbeat import live_workers


class SummaryLine(NamedTuple):
    """One line of the summary. `path` is the page with the details, if there is one."""

    name: str
    text: str
    path: str


def market_summary(request: HttpRequest, market: Market) -> SafeString:
    """The market's status, and the lines for which the reader has the permission."""
    status = SummaryLine("status", market.status, "")
    lines = [status, *read_summary(market.symbol, request.user.has_perm)]
    cells = [(line.name.capitalize(), _linked(line)) for line in lines]
    return format_html(
        "<table><tbody>{}</tbody></table>",
        format_html_join("", '<tr><th scope="row">{}</th><td>{}</td></tr>', cells),
    )


def read_summary(symbol: str, may: Callable[[str], bool]) -> list[SummaryLine]:
    """The lines that the reader may see. Each is one entry of an index."""
    lines = (
        ("matching.view_orderbook", "engine", _book),
        ("commands.view_command", "waiting", _waiting),
        ("matching.view_workerheartbeat", "workers", _workers),
        ("markets.view_trade", "last trade", _last_trade),
    )
    return [SummaryLine(name, *read(symbol)) for permission, name, read in lines if may(permission)]


def _linked(line: SummaryLine) -> SafeString | str:
    return format_html('<a href="{}">{}</a>', line.path, line.text) if line.path else line.text


def _book(symbol: str) -> tuple[str, str]:
    book = OrderBook.objects.filter(market_id=symbol).first()
    if book is None:
        return "no book yet: it is made for the first order", ""
    parts = [book.status, f"{book.next_sequence - 1:,} events"]
    parts += [f"order {book.unfinished_order_id} goes on"] if book.unfinished_order_id is not None else []
    parts += [f"{book.failures} failed in a row"] if book.failures else []
    return ", ".join(parts), reverse("admin:matching_orderbook_change", args=[symbol])


def _waiting(symbol: str) -> tuple[str, str]:
    backlog = find_backlog(symbol)
    text = f"{backlog.waiting:,} commands"
    if backlog.oldest is not None:
        text += f", the oldest for {max(0.0, (timezone.now() - backlog.oldest).total_seconds()):.1f} s"
    return text, f"{reverse('admin:commands_command_changelist')}?q={symbol}"


def _workers(symbol: str) -> tuple[str, str]:
    return f"{live_workers([symbol])[symbol]} alive", reverse("admin:matching_workerheartbeat_changelist")


def _last_trade(symbol: str) -> tuple[str, str]:
    trade = last_trades([symbol]).get(symbol)
    if trade is None:
        return NOTHING, ""
    text = f"{plain(trade.quantity)} @ {plain(trade.price)}, {timestamp(trade.created_at)}"
    return text, reverse("admin:markets_trade_change", args=[trade.pk])
