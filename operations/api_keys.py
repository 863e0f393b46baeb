"""API keys in the admin: who has which, when each was used, and the revoking of them. Nobody is shown a secret."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from base.web.admin import ReadOnlyAdmin, numbers, users_named
from base.web.confirmation import Question, ask_and_act
from users.acts import actor_of
from users.api_key import ApiKey
from users.api_keys import keys_of, revoke_key_as_operator
from users.models import User

VIEW_PERMISSION, REVOKE_PERMISSION = "users.view_apikey", "users.revoke_keys"
# The newest that a user's page shows.
MOST_SHOWN = 10
SHOWN = ("id", "key_id", "user", "label", "algorithm", "may", "addresses")
TIMES = ("created_at", "expires_at", "last_used_at", "revoked_at", "ended_by")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("key_id", "user", "label", "algorithm", "may", "last_used_at", "expires_at", "ended_by")
    fields = (*SHOWN, *TIMES)
    list_filter = ("ended_by", "algorithm", "created_at")
    list_select_related = ("user",)
    actions = ("revoke",)  # type: ignore[assignment]
    search_help_text = "A key's id, or the name or id of its owner, exactly; several words narrow."

    @admin.display
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    def find(self, word: str) -> list[Q]:
        return [Q(key_id=word), Q(user_id__in=[*users_named(word), *numbers(word)])]

    @admin.action(description="Revoke: no request of these keys is let in any more", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        actor = actor_of(request, "in the admin")
        revoked = sum(revoke_key_as_operator(key, actor) for key in keys)
        messages.success(request, f"{revoked} keys are revoked.")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.revoke_one)
        return [path("revoke/<int:key_pk>/", view, name="users_apikey_revoke"), *super().get_urls()]

    def revoke_one(self, request: HttpRequest, key_pk: int) -> HttpResponse:
        """Ask for a reason (GET), and revoke (POST)."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        key = get_object_or_404(ApiKey.objects.select_related("user").defer("secret"), pk=key_pk)
        question = Question(
            title=f"Revoke {key.key_id} of {key.user}",
            effect="No request of this key is let in any more, and its streams end.",
            button="Revoke",
            back=reverse("admin:users_user_change", args=[key.user_id]),
        )

        def act(filled: dict[str, Any]) -> str:
            is_new = revoke_key_as_operator(key, actor_of(request, filled["reason"]))
            return f"{key.key_id} is revoked." if is_new else f"{key.key_id} was revoked before: nothing was changed."

        return ask_and_act(request, question, act)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(REVOKE_PERMISSION))

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("secret")


def keys_block(request: HttpRequest, user: User) -> SafeString | str:
    """The newest keys that are not revoked, for who may see keys."""
    if not request.user.has_perm(VIEW_PERMISSION):
        return ""
    keys = keys_of(user.pk)
    context = {
        "keys": keys.defer("secret")[:MOST_SHOWN],
        "number": keys.count(),
        "may_revoke": request.user.has_perm(REVOKE_PERMISSION),
        "listed": f"{reverse('admin:users_apikey_changelist')}?q={user.pk}",
    }
    return render_to_string("admin/keys.html", context)
