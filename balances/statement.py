"""The statement of a balance: its ledger entries, a page at a time, with the total after each."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.core import signing
from django.db.models import OuterRef, Q, Subquery
from django.urls import reverse

from balances.models import TRADE_PREFIX, TRANSFER_PREFIX, Balance, HouseAccount, LedgerEntry, Transfer
from base.storage.time_search import ids_near
from base.web.admin import numbered
from base.web.errors import timestamp
from core.money import plain
from markets.models import Trade

PER_PAGE = 100
SALT = "statement"


@dataclass
class Line:
    entry_id: int
    kind: str
    amount: str
    # The total after the entry: available and frozen together, because freezing does not change ownership.
    after: str
    reference: str
    at: str
    # The page of the trade or the transfer.
    path: str = ""


@dataclass
class Page:
    """The lines, newest first. `opening` is the total before the last line; `older` is the place of the next page."""

    lines: list[Line]
    closing: str
    opening: str
    older: str


def read_statement(balance: Balance, place: str = "") -> Page:
    """The page at a place that was `older` of another page, or the newest. Raises BadSignature for any other place.

    A place holds the total at that entry, so that no page has to add up the entries before it. The total never changes,
    because new entries are added at the end alone.
    """
    entries = LedgerEntry.objects.filter(account=balance.user_id, currency_id=balance.currency_id)
    owned: Decimal | None = None
    if place:
        balance_id, last_id, owned_text = signing.loads(place, salt=SALT)
        if balance_id != balance.pk:
            raise signing.BadSignature("a place in another statement")
        entries, owned = entries.filter(id__lt=last_id), Decimal(owned_text)
    # The balance is read in the same statement as its entries. A batch settled in between would make all totals wrong.
    now = Balance.objects.filter(user_id=OuterRef("account"), currency_id=OuterRef("currency_id"))
    total = {name: Subquery(now.values(name)) for name in ("available", "frozen")}
    rows: list[Any] = list(entries.annotate(**total).order_by("-id")[: PER_PAGE + 1])
    if owned is None:
        owned = rows[0].available + rows[0].frozen if rows else Decimal(0)
    return _page(balance, rows, owned)


def _page(balance: Balance, rows: list[Any], closing: Decimal) -> Page:
    shown, owned = rows[:PER_PAGE], closing
    paths = _paths(row.reference for row in shown)
    lines = []
    for row in shown:
        at, path = timestamp(row.created_at), paths.get(row.reference, "")
        lines.append(Line(row.pk, row.kind, plain(row.amount), plain(owned), row.reference, at, path))
        owned -= row.amount
    older = ""
    if len(rows) > PER_PAGE:
        older = signing.dumps([balance.pk, shown[-1].pk, str(owned)], salt=SALT)
    return Page(lines, plain(closing), plain(owned), older)


def _paths(references: Iterable[str]) -> dict[str, str]:
    """The pages of the trades and transfers that the references name, by one query each."""
    named = set(references)
    trades = [
        reference.removeprefix(TRADE_PREFIX).rpartition("-")
        for reference in named
        if reference.startswith(TRADE_PREFIX)
    ]
    made = [reference.removeprefix(TRANSFER_PREFIX) for reference in named if reference.startswith(TRANSFER_PREFIX)]
    numbers: dict[str, list[int]] = {}
    for symbol, _, sequence in trades:
        numbers.setdefault(symbol, []).append(int(sequence))
    these = Q(pk__in=[])
    for symbol, sequences in numbers.items():
        these |= Q(market_id=symbol, sequence__in=sequences)
    paths = {
        f"{TRADE_PREFIX}{trade.trade_id}": reverse("admin:markets_trade_change", args=[trade.pk])
        for trade in (Trade.objects.filter(these).only("market_id", "sequence") if numbers else ())
    }
    for transfer in Transfer.objects.filter(reference__in=made).only("reference") if made else ():
        paths[transfer.ledger_reference] = reverse("admin:balances_transfer_change", args=[transfer.pk])
    return paths


class _Cause(NamedTuple):
    """A trade or a transfer: the reference of its entries, their accounts and currencies, and their time."""

    reference: str
    accounts: tuple[int, ...]
    currencies: tuple[str, ...]
    at: datetime


def entries_named(word: str) -> list[Q]:
    """The entries of a transfer or a trade, by the entries' reference, the transfer's reference or the trade's id."""
    return [_condition(cause) for cause in (*_trades(word.removeprefix(TRADE_PREFIX)), *_transfers(word))]


def _trades(trade_id: str) -> Iterable[_Cause]:
    for trade in Trade.objects.select_related("market").filter(numbered(trade_id)):
        accounts = (trade.buyer_id, trade.seller_id, HouseAccount.FEES.value)
        currencies = (trade.market.base_id, trade.market.quote_id)
        yield _Cause(f"{TRADE_PREFIX}{trade.trade_id}", accounts, currencies, trade.created_at)


def _transfers(word: str) -> Iterable[_Cause]:
    for made in Transfer.objects.filter(reference__in=[word, word.removeprefix(TRANSFER_PREFIX)]):
        accounts = (made.account, HouseAccount.EXTERNAL.value)
        yield _Cause(made.ledger_reference, accounts, (made.currency_id,), made.created_at)


def _condition(cause: _Cause) -> Q:
    """The entries of the cause, by the index of accounts and currencies, among the ids of a few seconds."""
    mine = Q(account__in=cause.accounts, currency_id__in=cause.currencies, reference=cause.reference)
    return mine & ids_near(LedgerEntry, cause.at)
