"""Groups in the admin: who changes one gives permissions, so only superusers do, and a row is kept of each change."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest

from users.acts import IN_THE_ADMIN, actor_of, changed_by_form, record
from users.models import ActKind

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin):
    change_list_template = "admin/bounded_list.html"

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Called last in the transaction of the form."""
        super().save_related(request, form, formsets, change)
        before, after = changed_by_form(form)
        kind = ActKind.GROUP_CHANGED if change else ActKind.GROUP_ADDED
        states = {"before": before if change else None, "after": after}
        record(kind, None, actor_of(request, IN_THE_ADMIN), subject=form.instance.name, **states)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))
