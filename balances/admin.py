"""Balances, ledger entries and transfers in the admin, read only, with a form that makes a transfer.

The transfer is that of POST /balances/update: the same form checks it, and the same service makes it, or lets it wait
for another person (`approval_admin`).
"""

import secrets
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.signing import BadSignature
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from balances import answers
from balances.approval_admin import ApprovalAdmin
from balances.approvals import ADJUST_PERMISSION, adjust
from balances.models import Approval, Balance, HouseAccount, LedgerEntry, Transfer
from balances.statement import entries_named, read_statement
from balances.views import LEDGER_PERMISSION, VIEW_PERMISSION, TransferForm
from base.web.admin import NOTHING, ReadOnlyAdmin, amount, numbers, users_named
from base.web.admin_blocks import page_block
from base.web.errors import ExchangeError, InvalidField, ReferenceReused
from core.money import plain
from markets.models import Asset
from users.acts import Actor, actor_of
from users.models import User


class AdjustForm(forms.Form):
    """A deposit or a withdrawal by an operator. The fields are checked by the form of the API."""

    currency = forms.ModelChoiceField(Asset.objects.order_by("code"))
    amount = forms.CharField(
        max_length=32, help_text="Positive deposits, negative withdraws. Plain digits, at most 8 after the point."
    )
    reason = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"size": 60}))
    reference = forms.CharField(
        max_length=64,
        widget=forms.TextInput(attrs={"size": 40}),
        help_text="Makes the transfer happen once: sent again with the same reference, it changes nothing.",
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean(self) -> dict[str, Any]:
        if self.errors:
            return self.cleaned_data
        asset: Asset = self.cleaned_data["currency"]
        typed = {name: self.cleaned_data[name] for name in ("amount", "reason", "reference")}
        values, refused = TransferForm.parse({**typed, "userId": self.user.id, "currency": asset.code})
        for error in refused:
            self.refuse(error)
        return values

    def make(self, actor: Actor) -> tuple[Transfer | Approval, bool] | None:
        """The transfer, or what waits, and whether it was a repeat; None if the service refuses it: the form then has
        the reason.
        """
        try:
            return adjust(actor, **self.cleaned_data)
        except ExchangeError as error:
            self.refuse(error)
            return None

    def refuse(self, error: ExchangeError) -> None:
        """Show the error at its field."""
        field = error.field if isinstance(error, InvalidField) else "amount"
        if isinstance(error, ReferenceReused):
            field = "reference"
        self.add_error(field if field in self.fields else None, error.message)


@admin.register(Balance)
class BalanceAdmin(ReadOnlyAdmin):
    list_display = ("user", "currency", "actions_on", "available", "frozen", "total", "updated_at")
    list_filter = ("currency",)
    list_select_related = ("user",)
    fields = ("user", "currency", "available", "frozen", "total", "updated_at", "actions_on")
    readonly_fields = ("total", "actions_on")
    search_help_text = "A user name, a user id or a currency, exactly; several words narrow."

    @admin.display
    def total(self, balance: Balance) -> str:
        return amount(balance.total)

    @admin.display(description="")
    def actions_on(self, balance: Balance) -> SafeString:
        return _balance_links(balance)

    def reserved(self, word: str) -> Q | None:
        return Q(currency_id=word) if Asset.objects.filter(code=word).exists() else None

    def find(self, word: str) -> list[Q]:
        return [Q(user_id__in=[*users_named(word), *numbers(word)])]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("adjust/<int:user_id>/", view(self.adjust), name="balances_balance_adjust"),
            path("statement/<int:balance_id>/", view(self.statement), name="balances_balance_statement"),
            path("adjusted/<int:transfer_id>/", view(self.adjusted), name="balances_balance_adjusted"),
            *super().get_urls(),
        ]

    def statement(self, request: HttpRequest, balance_id: int) -> HttpResponse:
        """The ledger entries of a balance, newest first, with the total after each."""
        if not (self.has_view_permission(request) and request.user.has_perm(LEDGER_PERMISSION)):
            raise PermissionDenied
        balance = get_object_or_404(Balance.objects.select_related("user"), id=balance_id)
        try:
            page = read_statement(balance, request.GET.get("from", ""))
        except BadSignature as error:
            raise Http404 from error
        title = f"Statement of {balance.user} in {balance.currency_id}"
        available, frozen, total = _plainly(balance.available, balance.frozen)
        holds = {"balance_available": available, "balance_frozen": frozen, "total": total}
        return self._answer(request, "statement", title, balance=balance, statement=page, **holds)

    def adjust(self, request: HttpRequest, user_id: int) -> HttpResponse:
        """Show the form (GET), and make the transfer (POST)."""
        _refuse_others(request)
        user = get_object_or_404(User, id=user_id)
        if request.method != "POST":
            return self._ask(request, AdjustForm(user, initial=_suggested(request)))
        form = AdjustForm(user, request.POST)
        made = form.make(actor_of(request)) if form.is_valid() else None
        if made is None:
            return self._ask(request, form)
        done, replayed = made
        if isinstance(done, Approval):
            messages.warning(request, f"The movement {done.reference} is {done.status}: another person decides it.")
            return redirect("admin:balances_approval_change", done.pk)
        if replayed:
            messages.warning(request, f"The reference {done.reference} had been used before: nothing was changed.")
        else:
            messages.success(request, f"The balance of {user} was adjusted.")
        return redirect("admin:balances_balance_adjusted", done.id)

    def adjusted(self, request: HttpRequest, transfer_id: int) -> HttpResponse:
        """The ledger entry of a transfer, and the balance after it and now."""
        _refuse_others(request)
        made = get_object_or_404(Transfer.objects.select_related("user", "operator"), id=transfer_id)
        entry = _entries_of(made).latest("id")
        balances = [("after the transfer", *_plainly(made.available_after, made.frozen_after))]
        for balance in Balance.objects.filter(user_id=made.account, currency_id=made.currency_id):
            balances.append(("now", *_plainly(balance.available, balance.frozen)))
        return self._answer(
            request,
            "adjusted",
            f"Transfer {made.reference}",
            transfer=made,
            entry_id=entry.id,
            entry=answers.LedgerEntry.of(entry),
            balances=balances,
        )

    def _ask(self, request: HttpRequest, form: AdjustForm) -> HttpResponse:
        """The form, below the user's balances."""
        mine = Balance.objects.filter(user=form.user).order_by("currency")
        holds = [(balance.currency_id, *_plainly(balance.available, balance.frozen)) for balance in mine]
        title = f"Adjust a balance of {form.user}"
        return self._answer(request, "adjust", title, form=form, owner=form.user, balances=holds)

    def _answer(self, request: HttpRequest, page: str, title: str, **context: Any) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(request, f"admin/balances/{page}.html", {**shared, **context})


admin.site.register(Approval, ApprovalAdmin)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "account_name", "currency", "kind", "amount", "reference", "created_at")
    list_filter = ("kind", "currency", "created_at")
    fields = ("id", "account_name", "account", "currency", "kind", "amount", "reference", "created_at")
    readonly_fields = ("account_name",)
    search_help_text = "A user name, an account, a transfer's reference or a trade id, exactly; several words narrow."

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerEntry]:
        name = User.objects.filter(id=OuterRef("account")).values("username")
        entries: QuerySet[LedgerEntry] = super().get_queryset(request).annotate(username=Subquery(name))
        return entries

    @admin.display(description="account")
    def account_name(self, entry: LedgerEntry) -> str:
        if entry.account in HouseAccount.values:
            return HouseAccount(entry.account).name
        return getattr(entry, "username", None) or NOTHING

    def find(self, word: str) -> list[Q]:
        return entries_named(word)

    def narrow(self, word: str) -> Q | None:
        accounts = [*users_named(word), *numbers(word)]
        return Q(account__in=accounts) if accounts else None


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    list_display = ("reference", "user", "currency", "amount", "reason", "operator", "created_at", "entry")
    list_filter = ("currency", "created_at")
    list_select_related = ("user", "operator")
    search_help_text = "A reference, the name of the user or of the operator, exactly; several words narrow."

    @admin.display(description="")
    def entry(self, made: Transfer) -> SafeString:
        return format_html('<a href="{}">entry</a>', reverse("admin:balances_balance_adjusted", args=[made.id]))

    def find(self, word: str) -> list[Q]:
        users = users_named(word)
        return [Q(reference=word), Q(user_id__in=users), Q(operator_id__in=users)]


@page_block("users.User", "Balances", 2)
def holdings(request: HttpRequest, user: User) -> SafeString | str:
    """The user's balances with links to their entries, for readers who may view balances."""
    if not request.user.has_perm(VIEW_PERMISSION):
        return ""
    balances = Balance.objects.filter(user=user).order_by("currency")
    rows = [(row.currency_id, plain(row.available), plain(row.frozen), _balance_links(row)) for row in balances]
    table = format_html(
        '<table><thead><tr><th scope="col">Currency</th><th scope="col" class="number">Available</th>'
        '<th scope="col" class="number">Frozen</th><td></td></tr></thead>{}</table>',
        format_html_join(
            "",
            '<tr><th scope="row">{}</th><td class="number">{}</td><td class="number">{}</td>'
            '<td class="nowrap">{}</td></tr>',
            rows,
        ),
    )
    return format_html("{}<p>{}</p>", table if rows else NOTHING, _account_links(user.id))


def _account_links(user_id: int) -> SafeString:
    def listed(page: str, key: str) -> str:
        return f"{reverse(f'admin:{page}_changelist')}?{key}={user_id}"

    links = [
        (listed("balances_balance", "user__id__exact"), "balances"),
        (reverse("admin:balances_balance_adjust", args=[user_id]), "adjust"),
        (listed("balances_ledgerentry", "account"), "ledger"),
        (listed("balances_transfer", "user__id__exact"), "transfers"),
        (listed("orders_order", "user__id__exact"), "orders"),
    ]
    return format_html_join(" · ", '<a href="{}">{}</a>', links)


def _balance_links(balance: Balance) -> SafeString:
    return format_html(
        '<a href="{}">statement</a> · <a href="{}?currency={}">adjust</a>',
        reverse("admin:balances_balance_statement", args=[balance.pk]),
        reverse("admin:balances_balance_adjust", args=[balance.user_id]),
        balance.currency_id,
    )


def _refuse_others(request: HttpRequest) -> None:
    """Refuse readers without the permission to move money, because to be staff is not enough."""
    if not request.user.has_perm(ADJUST_PERMISSION):
        raise PermissionDenied


def _suggested(request: HttpRequest) -> dict[str, str]:
    """The currency of the link, and a new reference."""
    return {"currency": request.GET.get("currency", ""), "reference": f"adjust-{secrets.token_hex(8)}"}


def _entries_of(made: Transfer) -> QuerySet[LedgerEntry]:
    """The transfer's entry of the account that it changed."""
    mine = LedgerEntry.objects.filter(account=made.account, currency_id=made.currency_id)
    return mine.filter(reference=made.ledger_reference)


def _plainly(available: Decimal, frozen: Decimal) -> tuple[str, str, str]:
    return plain(available), plain(frozen), plain(available + frozen)
