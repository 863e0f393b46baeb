"""What the admin's pages share: plain amounts, read-only lists of tables that grow without end, exact search."""

import functools
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db.models import ForeignKey, Model, Q
from django.db.models.fields import DateTimeField
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html

from base.storage.fields import AmountField, plain
from base.web.errors import timestamp
from base.web.forms import parse_id
from base.web.windows import MOST_ROWS, WindowedSearch

admin.site.site_header = admin.site.site_title = "Exchange"
admin.site.index_title = "Operations"
# The exchange has no page of its own to go to.
admin.site.site_url = None

NOTHING = "-"

# Generic for the type checker only.
if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _Paginator = Paginator[Any]
else:
    _ModelAdmin, _Paginator = admin.ModelAdmin, Paginator


class CappedPaginator(_Paginator):
    """Counts no further than MOST_ROWS; what lies behind is found by filters and search."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_ROWS].count())

    def page(self, number: int | str) -> Any:
        """One page, its keys found first: the database then sorts keys out of an index, not whole joined rows."""
        page: Any = super().page(number)
        rows: Any = self.object_list
        page.object_list = rows.filter(pk__in=list(page.object_list.values_list("pk", flat=True)))
        return page


class PlainDecimalField(forms.DecimalField):
    """An amount in a form, written as everywhere else: no exponent, no trailing zeros."""

    widget = forms.TextInput

    def prepare_value(self, value: Any) -> Any:
        return plain(value) if isinstance(value, Decimal) else value


class PlainAdmin(_ModelAdmin):
    """Shows amounts and instants as the API writes them. Nothing is ever deleted: everything is somebody's history."""

    model: Any
    formfield_overrides = {AmountField: {"form_class": PlainDecimalField, "min_value": 0}}
    list_per_page = 50
    # Facets and full counts read the whole table.
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [self._column(str(name)) for name in super().get_list_display(request)]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def _column(self, name: str) -> Any:
        """A foreign key that the list does not join is shown by its key: one query for each row otherwise."""
        joined = self.list_select_related
        field = _field(self.model, name)
        if isinstance(field, ForeignKey) and not (isinstance(joined, Sequence) and name in joined):
            return attribute(self.model, name, field.attname, unbroken)
        if isinstance(field, DateTimeField):
            return attribute(self.model, name, name, to_the_second)
        return shown(self.model, name)


class ReadOnlyAdmin(WindowedSearch, PlainAdmin):
    """Rows that only the services write: may be looked at, filtered and searched, by those who may view them."""

    actions = None
    paginator = CappedPaginator
    # By any other column, all rows would have to be sorted.
    ordering = ("-pk",)
    sortable_by = ()

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        names = self.fields or [field.name for field in self.model._meta.fields]
        return [shown(self.model, str(name)) for name in names]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@functools.cache
def shown(model: type[Model], name: str) -> Any:
    """What the admin takes for the field: its name, or a function that writes its amounts and instants plainly.

    Cached because Django recognises a read-only field by the identity of its function.
    """
    field = _field(model, name)
    if isinstance(field, AmountField):
        return attribute(model, name, name, plain)
    if isinstance(field, DateTimeField):
        return attribute(model, name, name, timestamp)
    return name


def attribute(model: type[Model], name: str, attname: str, text: Callable[[Any], str] = str) -> Callable[[Any], str]:
    """A column that shows an attribute as text under the field's own heading."""

    def show(row: Any) -> str:
        value = getattr(row, attname)
        return NOTHING if value is None else text(value)

    show.__name__ = name
    show.short_description = str(model._meta.get_field(name).verbose_name)  # type: ignore[attr-defined,union-attr]
    return show


def to_the_second(instant: datetime) -> str:
    """As narrow as a list needs it; the row's own page has the microseconds."""
    return unbroken(f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}")


def unbroken(text: str) -> str:
    """On one line: a narrow column would break symbols and dates at their hyphens."""
    return format_html('<span class="nowrap">{}</span>', text)


def numbers(word: str) -> list[int]:
    """The id that a word of the search can be: one or none."""
    number = parse_id(word)
    return [] if number is None else [number]


def users_named(word: str) -> list[int]:
    """The id of the user of that name, looked up first: joined in an OR, the name would use no index."""
    return list(get_user_model().objects.filter(username=word).values_list("pk", flat=True))


def numbered(word: str) -> Q:
    """The row of a market that a public id such as BTC-USDT-17 names: a trade or an event."""
    match = re.fullmatch(r"(?P<symbol>.+)-(?P<sequence>[0-9]{1,18})", word, re.ASCII)
    return Q(market_id=match["symbol"], sequence=match["sequence"]) if match else Q(pk__in=[])


def _field(model: type[Model], name: str) -> Any:
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
