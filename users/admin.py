"""Users in the admin. They are made, changed and deactivated, and never deleted.

`operations.accounts` registers it, with what concerns their orders.
"""

import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Lower
from django.db.models.lookups import Contains
from django.http import HttpRequest, HttpResponse

from base.web.accounts import forget_account
from base.web.admin import ExactSearch, attribute, numbers, shown, to_the_second
from base.web.admin_blocks import render_blocks
from users.acts import IN_THE_ADMIN, Actor, actor_of, changed_by_form, record
from users.group_admin import is_superuser
from users.ids import store_new
from users.models import ActKind, User

# Generic for the type checker only.
if TYPE_CHECKING:
    _UserAdmin = DjangoUserAdmin[User]
    _PasswordForm = AdminPasswordChangeForm[User]
else:
    _UserAdmin = DjangoUserAdmin
    _PasswordForm = AdminPasswordChangeForm

# Only a superuser may give these permissions.
POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")
ACCOUNT = "Account"
# Whether it is active is an act of its own.
ACTS_OF_THEIR_OWN = ("is_active",)
JOINED = shown(User, "date_joined")
JOINED_IN_LIST = attribute(User, "date_joined", "date_joined", to_the_second)


class NewPasswordForm(_PasswordForm):
    """Django's, which ends the sessions of the account: in this process at once. `actor` sets the password."""

    def __init__(self, user: User, *args: Any, actor: Actor) -> None:
        super().__init__(user, *args)
        self.actor = actor

    def set_password_and_save(self, user: User, *args: Any, **more: Any) -> User:
        """Hash the password first, because that takes a while; then store it with the act, and nothing that was read
        before.
        """
        super().set_password_and_save(user, *args, **{**more, "commit": False})  # type: ignore[misc]
        with transaction.atomic():
            user.save(update_fields=["password", "stamp", "updated_at"])
            record(ActKind.PASSWORD_SET, user.pk, self.actor)
        forget_account(user.pk)
        return user


class UserAdmin(ExactSearch, _UserAdmin):
    list_display = ("username", "id", "email", "is_staff", "is_active", JOINED_IN_LIST)
    list_filter = ("is_staff", "is_superuser", "is_active", "is_blocked", "date_joined")
    list_per_page = 50
    ordering = ("-id",)
    search_help_text = "The whole id, name or address; or else a part of the name or of the address."
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ("username", "id")
    readonly_fields = ("id", "last_login", JOINED)
    fieldsets = (
        (None, {"fields": ("id", "username", "email", "password")}),
        (ACCOUNT, {"fields": ("is_active", "rate_limit")}),
        ("Permissions", {"fields": POWERS, "classes": ("collapse",)}),
        ("Dates", {"fields": ("last_login", JOINED)}),
    )
    change_form_template = "admin/row_with_blocks.html"
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "email", "usable_password", "password1", "password2")}),
    )

    def find(self, word: str) -> list[Q]:
        return [Q(id__in=numbers(word)), Q(username=word), Q(email=word)]

    def narrow(self, word: str) -> Q | None:
        # In lower case on both sides, because MySQL's "icontains" is exact on a column that is compared exactly.
        part = word.lower()
        return Q(Contains(Lower("username"), part)) | Q(Contains(Lower("email"), part))

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Without what the services alone write: a form of before must undo no kill switch and no log-out."""
        users: QuerySet[User] = super().get_queryset(request)
        return users.defer("is_blocked", "has_limits", "stamp")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        user = self.get_object(request, object_id)
        blocks = render_blocks(request, user)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "blocks": blocks})

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
        else:
            store_new(obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Called last in the transaction of a form, with what is added or changed."""
        super().save_related(request, form, formsets, change)
        actor, user = actor_of(request, IN_THE_ADMIN), form.instance
        before, after = changed_by_form(form, but=ACTS_OF_THEIR_OWN)
        if not change:
            after = {"username": user.username, "email": user.email}
            record(ActKind.USER_ADDED, user.pk, actor, after=after)
        elif after:
            record(ActKind.USER_CHANGED, user.pk, actor, before=before, after=after)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Django's page, with a form that knows who sets the password."""
        mine: Any = copy.copy(self)
        mine.change_password_form = partial(NewPasswordForm, actor=actor_of(request, IN_THE_ADMIN))
        return super(UserAdmin, mine).user_change_password(request, id, form_url)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[Any]:
        fixed: list[Any] = list(super().get_readonly_fields(request, obj))
        return fixed if is_superuser(request) else [*fixed, *POWERS]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only superusers change staff, because who sets a staff member's password can sign in with its permissions."""
        if obj is not None and (obj.is_staff or obj.is_superuser) and not is_superuser(request):
            return False
        return bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
