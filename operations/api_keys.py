"""API keys in the admin: who has which, when each was used, and the revoking of them. Nobody is shown a secret."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from base.web.admin import ReadOnlyAdmin, numbers, users_named
from users.acts import actor_of
from users.api_key import ApiKey
from users.api_keys import keys_of, revoke_key_as_operator
from users.models import User

REVOKE_PERMISSION = "users.revoke_keys"
SHOWN = ("id", "key_id", "user", "label", "algorithm", "scopes", "addresses")
TIMES = ("created_at", "expires_at", "last_used_at", "revoked_at", "ended_by")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("key_id", "user", "label", "algorithm", "scopes", "last_used_at", "expires_at", "ended_by")
    fields = (*SHOWN, *TIMES)
    list_filter = ("ended_by", "algorithm", "created_at")
    list_select_related = ("user",)
    actions = ("revoke",)  # type: ignore[assignment]
    search_help_text = "A key's id, or the name or id of its owner, exactly; several words narrow."

    def find(self, word: str) -> list[Q]:
        return [Q(key_id=word), Q(user_id__in=[*users_named(word), *numbers(word)])]

    @admin.action(description="Revoke: no request of these keys is let in any more", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        actor = actor_of(request, "in the admin")
        revoked = sum(revoke_key_as_operator(key, actor) for key in keys)
        messages.success(request, f"{revoked} keys are revoked.")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(REVOKE_PERMISSION))

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("secret")


def count(_request: HttpRequest, user: User) -> SafeString:
    """How many keys the account has, and where they are."""
    page = reverse("admin:users_apikey_changelist")
    return format_html('<p><a href="{}?q={}">{} keys</a></p>', page, user.pk, keys_of(user.pk).count())
