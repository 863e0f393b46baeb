"""Users' accounts in the admin, as far as their orders are concerned: the kill switch, limits, and what staff did."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from base.web.admin import ReadOnlyAdmin, numbers, users_named
from base.web.confirmation import Question, ReasonForm, ask_and_act
from operations.limits import read_changes
from orders.accounts import activate, cancel_for, deactivate, kill, lift
from orders.powers import CANCEL_PERMISSION, subject_of
from users.acts import IN_THE_ADMIN, actor_of
from users.admin import UserAdmin
from users.limits import change_limits, read_limits, represent_limits
from users.models import StaffAct, User
from users.services import lift_lockout

KILL_PERMISSION, LIMITS_PERMISSION = "users.kill", "users.change_limits"
SIGN_INS_PERMISSION = "users.change_user"


@admin.register(User)
class AccountAdmin(UserAdmin):
    """Who is deactivated has no orders left."""

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change and "is_active" in form.changed_data:
            # Before the row is saved, so that the act has what was there before.
            (activate if obj.is_active else deactivate)(obj.pk, actor_of(request, IN_THE_ADMIN))
        super().save_model(request, obj, form, change)


class LimitsForm(ReasonForm):
    """A user's limits as an operator types them; the form of the API checks them."""

    field_order = ("requests_per_second", "open_notional", "markets", "reason")
    requests_per_second = forms.IntegerField(
        required=False, help_text="Requests a second. Empty: as for everybody. 0: not limited."
    )
    open_notional = forms.CharField(
        required=False,
        widget=forms.TextInput(attrs={"size": 60}),
        help_text="The most that may be open, by currency: USD 50000, EUR 1000. Empty: not limited.",
    )
    markets = forms.CharField(
        required=False,
        widget=forms.TextInput(attrs={"size": 60}),
        help_text="The only markets, with commas between: BTC-USD, ETH-USD. Empty: all.",
    )

    def clean_open_notional(self) -> dict[str, str]:
        pairs = [part.split() for part in self.cleaned_data["open_notional"].split(",") if part.strip()]
        if any(len(pair) != 2 for pair in pairs):
            raise forms.ValidationError("Write a currency and an amount, such as USD 50000.")
        return dict(pairs)

    def clean_markets(self) -> list[str] | None:
        return [part.strip() for part in self.cleaned_data["markets"].split(",") if part.strip()] or None


@admin.register(StaffAct)
class StaffActAdmin(ReadOnlyAdmin):
    """What staff did to accounts, and the pages on which they do it. Nobody edits what was done."""

    list_display = ("id", "kind", "user", "subject", "operator", "reason", "address", "created_at")
    list_filter = ("kind", "created_at")
    list_select_related = ("user", "operator")
    search_help_text = (
        "The name of the user or of the operator, a user id, an order id, a symbol or a reference, exactly; several"
        " words narrow."
    )

    def find(self, word: str) -> list[Q]:
        users, orders = users_named(word), [subject_of(number) for number in numbers(word)]
        mine = Q(user_id__in=[*users, *numbers(word)])
        return [mine, Q(operator_id__in=users), Q(subject__in=[word, *orders])]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        pages = {"kill": self.kill, "lift": self.lift, "cancel": self.cancel, "limits": self.limits}
        pages |= {"sign_ins": self.sign_ins}
        return [
            *(path(f"{name}/<int:user_id>/", view(page), name=f"account_{name}") for name, page in pages.items()),
            *super().get_urls(),
        ]

    def kill(self, request: HttpRequest, user_id: int) -> HttpResponse:
        user = _user(request, user_id, KILL_PERMISSION)
        effect = "All open orders are cancelled, and new ones are refused until the switch is lifted."

        def act(filled: dict[str, Any]) -> str:
            cancelled = kill(user.pk, actor_of(request, filled["reason"]))
            return f"The account of {user} is blocked; {_stored(cancelled)}."

        return ask_and_act(request, _question(user, f"Kill switch for {user}", effect, "Cancel and block"), act)

    def lift(self, request: HttpRequest, user_id: int) -> HttpResponse:
        user = _user(request, user_id, KILL_PERMISSION)

        def act(filled: dict[str, Any]) -> str:
            lift(user.pk, actor_of(request, filled["reason"]))
            return f"The account of {user} may place orders again."

        return ask_and_act(request, _question(user, f"Lift the block of {user}", "New orders are taken again."), act)

    def sign_ins(self, request: HttpRequest, user_id: int) -> HttpResponse:
        user = _user(request, user_id, SIGN_INS_PERMISSION)

        def act(filled: dict[str, Any]) -> str:
            lift_lockout(user, actor_of(request, filled["reason"]))
            return f"The account of {user} may sign in again, from everywhere."

        effect = "Wrong passwords that were given under this name are forgotten. An address that is locked stays so."
        return ask_and_act(request, _question(user, f"Lift the lock-out of {user}", effect, "Lift"), act)

    def cancel(self, request: HttpRequest, user_id: int) -> HttpResponse:
        user = _user(request, user_id, CANCEL_PERMISSION)
        effect = "All open orders are cancelled. New ones are still accepted."

        def act(filled: dict[str, Any]) -> str:
            return f"{_stored(cancel_for(user.pk, actor_of(request, filled['reason'])))}."

        return ask_and_act(request, _question(user, f"Cancel all orders of {user}", effect, "Cancel all"), act)

    def limits(self, request: HttpRequest, user_id: int) -> HttpResponse:
        """The fields hold what is in force; orders that are open already stay."""
        user = _user(request, user_id, LIMITS_PERMISSION)
        current = represent_limits(read_limits(user.pk))
        amounts = ", ".join(f"{currency} {amount}" for currency, amount in current["openNotional"].items())
        typed = {
            "requests_per_second": current["requestsPerSecond"],
            "open_notional": amounts,
            "markets": ", ".join(current["markets"] or ()),
        }

        def act(filled: dict[str, Any]) -> str:
            names = {"requests_per_second": "requestsPerSecond", "open_notional": "openNotional"}
            changes, reason = read_changes({names.get(name, name): value for name, value in filled.items()})
            change_limits(user.pk, changes, actor_of(request, reason))
            return f"The limits of {user} are changed."

        question = _question(user, f"Limits of {user}", "The next order heeds them.", "Change")
        return ask_and_act(request, question, act, LimitsForm, typed)


def trading(request: HttpRequest, user: User) -> SafeString:
    """Whether the account takes orders, its limits, and what may be done about it by whoever reads."""
    is_active, is_blocked = User.objects.values_list("is_active", "is_blocked").get(pk=user.pk)
    limits = represent_limits(read_limits(user.pk))
    rate = limits["requestsPerSecond"]
    amounts = ", ".join(f"{amount} {currency}" for currency, amount in limits["openNotional"].items())
    markets = "all" if limits["markets"] is None else ", ".join(limits["markets"]) or "none"
    context = {
        "is_active": is_active,
        "is_blocked": is_blocked,
        "limits": [
            ("Requests a second", "as for everybody" if rate is None else rate or "not limited"),
            ("Most that may be open", amounts or "not limited"),
            ("Markets", markets),
        ],
        "acts": _acts_for(request, user, is_blocked),
    }
    return render_to_string("admin/trading.html", context)


def _acts_for(request: HttpRequest, user: User, is_blocked: bool) -> list[tuple[str, str, bool]]:
    """The address and the words of each act that the reader may do, and whether it is a grave one."""
    switch = ("lift", "Lift the block…", False) if is_blocked else ("kill", "Kill switch…", True)
    pages = [
        (*switch, KILL_PERMISSION),
        ("cancel", "Cancel all orders…", False, CANCEL_PERMISSION),
        ("limits", "Change limits…", False, LIMITS_PERMISSION),
        ("sign_ins", "Lift the lock-out…", False, SIGN_INS_PERMISSION),
    ]
    return [
        (reverse(f"admin:account_{name}", args=[user.pk]), words, is_grave)
        for name, words, is_grave, permission in pages
        if request.user.has_perm(permission)
    ]


def _stored(cancels: int) -> str:
    return ngettext("%d cancel is stored", "%d cancels are stored", cancels) % cancels


def _user(request: HttpRequest, user_id: int, permission: str) -> User:
    """Raises PermissionDenied for staff without the permission."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return get_object_or_404(User, id=user_id)


def _question(user: User, title: str, effect: str, button: str = "Do it") -> Question:
    return Question(title, effect, button, back=reverse("admin:users_user_change", args=[user.pk]))
