"""Faults in the admin: who ordered which. They are ordered and ended over REST."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from base.web.admin import NOTHING, ReadOnlyAdmin, numbers, users_named
from sandbox.models import OF_THE_ACCOUNT, Faults
from users.api_key import ApiKey
from users.models import User

PERCENTAGES = (
    *("delay_percent", "too_many_percent", "lost_answer_percent", "reject_percent"),
    *("cut_percent", "duplicate_percent", "late_percent"),
)


@admin.register(Faults)
class FaultsAdmin(ReadOnlyAdmin):
    list_display = ("owner", "key", "percentages", "seed", "changed_at")
    fields = (
        *("owner", "key", "seed", "delay_ms", "late_ms"),
        *PERCENTAGES,
        *("run", "changed_at"),
    )
    search_help_text = "The name or id of a user, exactly."

    def find(self, word: str) -> list[Q]:
        return [Q(user_id__in=[*users_named(word), *numbers(word)])]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Without a sandbox there are no faults to look at."""
        return settings.SANDBOX and super().has_view_permission(request, obj)

    @admin.display(description="user")
    def owner(self, faults: Faults) -> str:
        user = User.objects.filter(pk=faults.user_id).only("username").first()
        return user.username if user else str(faults.user_id)

    @admin.display(description="of the requests of")
    def key(self, faults: Faults) -> str:
        if faults.key_id == OF_THE_ACCOUNT:
            return "the whole account"
        key = ApiKey.objects.filter(pk=faults.key_id).only("key_id").first()
        return f"key {key.key_id}" if key else f"key {faults.key_id}"

    @admin.display(description="faults")
    def percentages(self, faults: Faults) -> str:
        ordered = [(name.removesuffix("_percent").replace("_", " "), getattr(faults, name)) for name in PERCENTAGES]
        return ", ".join(f"{name} {percent} %" for name, percent in ordered if percent) or NOTHING
