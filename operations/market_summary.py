"""How a market is just now, for the operator who looks at it."""

from collections.abc import Callable
from typing import NamedTuple

from django.urls import reverse
from django.utils import timezone

from base.storage.fields import plain
from base.web.admin import NOTHING
from base.web.errors import timestamp
from commands.backlog import find_backlog
from marketdata.tape import last_trades
from matching.models import OrderBook
from matching.worker.heartbeat import workers_alive


class Fact(NamedTuple):
    """One line of the page. `path` leads to where it is told at length."""

    name: str
    text: str
    path: str


def read_condition(symbol: str, may: Callable[[str], bool]) -> list[Fact]:
    """Those of the facts that the reader may see, each by the end of an index."""
    facts = (
        ("matching.view_orderbook", "engine", _book),
        ("matching.view_command", "waiting", _waiting),
        ("matching.view_attendance", "workers", _workers),
        ("markets.view_trade", "last trade", _last_trade),
    )
    return [Fact(name, *read(symbol)) for permission, name, read in facts if may(permission)]


def _book(symbol: str) -> tuple[str, str]:
    book = OrderBook.objects.filter(market_id=symbol).first()
    if book is None:
        return "no book yet: it is made for the first order", ""
    told = [book.status, f"{book.next_sequence - 1:,} events"]
    told += [f"order {book.unfinished_order_id} goes on"] if book.unfinished_order_id is not None else []
    told += [f"{book.failures} failed in a row"] if book.failures else []
    return ", ".join(told), reverse("admin:matching_orderbook_change", args=[symbol])


def _waiting(symbol: str) -> tuple[str, str]:
    backlog = find_backlog(symbol)
    text = f"{backlog.waiting:,} commands"
    if backlog.oldest is not None:
        text += f", the oldest for {max(0.0, (timezone.now() - backlog.oldest).total_seconds()):.1f} s"
    return text, f"{reverse('admin:matching_command_changelist')}?q={symbol}"


def _workers(symbol: str) -> tuple[str, str]:
    return f"{workers_alive([symbol])[symbol]} alive", reverse("admin:matching_attendance_changelist")


def _last_trade(symbol: str) -> tuple[str, str]:
    trade = last_trades([symbol]).get(symbol)
    if trade is None:
        return NOTHING, ""
    text = f"{plain(trade.quantity)} @ {plain(trade.price)}, {timestamp(trade.created_at)}"
    return text, reverse("admin:markets_trade_change", args=[trade.pk])
