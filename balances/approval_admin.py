"""What waits for a second person in the admin: the list, and the pages on which another person decides."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from balances.approvals import ADJUST_PERMISSION, APPROVE_PERMISSION, approve, refuse_approval
from balances.models import Approval, ApprovalStatus
from base.web.admin import NOTHING, ReadOnlyAdmin, users_named
from base.web.confirmation import Question, ask_and_act
from core.money import plain
from users.acts import Actor, actor_of


class ApprovalAdmin(ReadOnlyAdmin):
    """Nobody edits what was asked for. Who asked for it does not decide it."""

    list_display = (
        *("reference", "status", "decide", "kind", "user", "currency", "amount", "reason"),
        *("proposed_by", "created_at", "decided_by", "decided_at"),
    )
    list_filter = ("status", "kind", "currency", "created_at")
    list_select_related = ("user", "proposed_by", "decided_by")
    readonly_fields = ("decide",)
    search_help_text = "A reference, the name of the user or of who asked or decided, exactly; several words narrow."

    @admin.display(description="")
    def decide(self, asked: Approval) -> SafeString | str:
        if asked.status != ApprovalStatus.WAITING:
            return NOTHING
        links = [reverse(f"admin:approval_{act}", args=[asked.pk]) for act in ("approve", "refuse")]
        return format_html('<a href="{}">approve</a> · <a href="{}">refuse</a>', *links)

    def find(self, word: str) -> list[Q]:
        users = users_named(word)
        named = (Q(user_id__in=users), Q(proposed_by_id__in=users), Q(decided_by_id__in=users))
        return [Q(reference=word), *named]

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may_ask_or_decide(request) or bool(super().has_view_permission(request, obj))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_ask_or_decide(request) or bool(super().has_module_permission(request))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        pages = {"approve": self.approve, "refuse": self.refuse}
        return [
            *(path(f"{name}/<int:approval_id>/", view(page), name=f"approval_{name}") for name, page in pages.items()),
            *super().get_urls(),
        ]

    def approve(self, request: HttpRequest, approval_id: int) -> HttpResponse:
        return _decide(request, approval_id, "Approve", "The money moves at once.", approve)

    def refuse(self, request: HttpRequest, approval_id: int) -> HttpResponse:
        return _decide(request, approval_id, "Refuse", "Nothing moves, and the reference is used up.", refuse_approval)


def may_decide(request: HttpRequest) -> bool:
    return request.user.has_perm(APPROVE_PERMISSION)


def may_ask_or_decide(request: HttpRequest) -> bool:
    """Who asks sees what became of it."""
    return may_decide(request) or request.user.has_perm(ADJUST_PERMISSION)


def _decide(
    request: HttpRequest, approval_id: int, button: str, effect: str, decide: Callable[[int, Actor], Approval]
) -> HttpResponse:
    """Ask for a reason, and decide. A refusal, such as of the same person, is shown."""
    if not may_decide(request):
        raise PermissionDenied
    asked = get_object_or_404(Approval, pk=approval_id)
    who = "the fee account" if asked.user is None else str(asked.user)
    question = Question(
        title=f"{button} {asked.reference}",
        effect=effect,
        button=button,
        back=reverse("admin:balances_approval_changelist"),
        head=("kind", "user", "amount", "reason", "asked for by", "status"),
        rows=[
            (
                *(asked.kind, who, f"{plain(asked.amount)} {asked.currency_id}"),
                *(asked.reason, str(asked.proposed_by), asked.status),
            )
        ],
    )

    def act(filled: dict[str, Any]) -> str:
        decided = decide(asked.pk, actor_of(request, filled["reason"]))
        return f"The movement {decided.reference} is {decided.status}."

    return ask_and_act(request, question, act)
