"""Users in the admin: made, changed, deactivated, never deleted."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Model, Q
from django.db.models.functions import Lower
from django.db.models.lookups import Contains
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from balances.admin import balance_links
from balances.models import Balance
from base.storage.fields import plain
from base.web.admin import NOTHING, CappedPaginator, attribute, numbers, shown, to_the_second
from base.web.windows import WindowedSearch
from users.models import User

# Generic for the type checker only.
if TYPE_CHECKING:
    _UserAdmin = DjangoUserAdmin[User]
else:
    _UserAdmin = DjangoUserAdmin

# What makes somebody an operator is given by a superuser only.
POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")
ACCOUNT = "Account"
JOINED = shown(User, "date_joined")
JOINED_IN_LIST = attribute(User, "date_joined", "date_joined", to_the_second)


@admin.register(User)
class UserAdmin(WindowedSearch, _UserAdmin):
    list_display = ("username", "id", "email", "is_staff", "is_active", JOINED_IN_LIST)
    list_filter = ("is_staff", "is_superuser", "is_active", "date_joined")
    list_per_page = 50
    ordering = ("-id",)
    paginator = CappedPaginator
    keys = (("is_staff__exact",), ("is_superuser__exact",))
    search_help_text = "The whole id, name or address; or else a part of the name or of the address."
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ("username", "id")
    readonly_fields = ("id", "last_login", JOINED, "account", "holdings")
    fieldsets = (
        (None, {"fields": ("id", "username", "email", "password")}),
        (ACCOUNT, {"fields": ("is_active", "rate_limit", "account")}),
        ("Permissions", {"fields": POWERS}),
        ("Dates", {"fields": ("last_login", JOINED)}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "email", "usable_password", "password1", "password2")}),
    )

    @admin.display(description="owns")
    def holdings(self, user: User) -> SafeString | str:
        """Each balance with its statement."""
        balances = Balance.objects.filter(user=user).order_by("currency")
        rows = [(row.currency_id, plain(row.available), plain(row.frozen), balance_links(row)) for row in balances]
        if not rows:
            return NOTHING
        return format_html(
            "<table><tr><th>currency</th><th>available</th><th>frozen</th><th></th></tr>{}</table>",
            format_html_join("", "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>", rows),
        )

    @admin.display(description="more")
    def account(self, user: User) -> SafeString:
        """Links to what the user owns and did."""
        return format_html_join(" · ", '<a href="{}">{}</a>', _account_links(user.id))

    def find(self, word: str) -> list[Q]:
        return [Q(id__in=numbers(word)), Q(username=word), Q(email=word)]

    def narrow(self, word: str) -> Q | None:
        # Lowered by hand: a column that is compared exactly makes MySQL's "icontains" exact too.
        part = word.lower()
        return Q(Contains(Lower("username"), part)) | Q(Contains(Lower("email"), part))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """What somebody owns is shown to those who may view balances."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or not request.user.has_perm("balances.view_balance"):
            return fieldsets
        return [
            (name, {**told, "fields": ("is_active", "rate_limit", "holdings", "account")} if name == ACCOUNT else told)
            for name, told in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[Any]:
        fixed: list[Any] = list(super().get_readonly_fields(request, obj))
        return fixed if _is_superuser(request) else [*fixed, *POWERS]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Whoever could set a staff member's password could sign in with their permissions."""
        if obj is not None and (obj.is_staff or obj.is_superuser) and not _is_superuser(request):
            return False
        return bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _account_links(user_id: int) -> list[tuple[str, str]]:
    def listed(page: str, key: str) -> str:
        return f"{reverse(f'admin:{page}_changelist')}?{key}={user_id}"

    return [
        (listed("balances_balance", "user__id__exact"), "balances"),
        (reverse("admin:balances_balance_adjust", args=[user_id]), "adjust"),
        (listed("balances_ledgerentry", "account"), "ledger"),
        (listed("balances_transfer", "user__id__exact"), "transfers"),
        (listed("orders_order", "user__id__exact"), "orders"),
    ]


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))
