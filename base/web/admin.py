"""What the admin's pages share: plain amounts, read-only lists of tables that grow without end, exact search."""

import functools
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db.models import ForeignKey, Max, Model, Q, QuerySet
from django.db.models.fields import DateTimeField
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.html import format_html

from base.storage.fields import AmountField
from base.storage.time_limit import TimeLimit
from base.web.admin_blocks import render_blocks
from base.web.errors import timestamp
from base.web.values import parse_id
from core.money import plain

NOTHING = "-"
# Nobody turns more pages than this; what lies behind is found by filters and search.
MOST_ROWS = 10_000
# How long a list may keep the database busy.
LIST_SECONDS = 2.0
# The ranges of keys that are read one after the other: how large the first is, and by how much each next one is larger.
FIRST_RANGE, GROWTH = 10_000, 4

# Generic for the type checker only.
if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _Paginator = Paginator[Any]
else:
    _ModelAdmin, _Paginator = admin.ModelAdmin, Paginator


class BoundedPaginator(_Paginator):
    """Finds the keys of the newest MOST_ROWS rows, for as long as the time limit allows, and shows no others.

    Most columns have no index, because each would cost every order: a filter by a value that is rare reads the whole
    table. So the keys are looked for range by range, and what was found when the time is over is shown.
    """

    object_list: Any
    # The key down to which all were found, where the time was over before the table's end.
    read_back_to: int | None = None
    was_exceeded = False
    seconds = LIST_SECONDS

    @cached_property
    def keys(self) -> list[Any]:
        keys = self.object_list.values_list("pk", flat=True)
        with TimeLimit(self.seconds, self.seconds) as limit:
            if set(keys.query.order_by) <= {"-pk", "-id"}:
                found = self._newest(keys, limit)
            else:
                found = limit.read(lambda: list(keys[:MOST_ROWS])) or []
        self.was_exceeded = limit.was_exceeded
        return found

    @property
    def count(self) -> int:
        return len(self.keys)

    def page(self, number: int | str) -> Any:
        page: Any = super().page(number)
        first = (page.number - 1) * self.per_page
        page.object_list = self.rows(self.keys[first : first + self.per_page])
        return page

    def rows(self, keys: list[Any]) -> Any:
        """By their keys: the database sorts keys out of an index, and not whole joined rows."""
        return self.object_list.filter(pk__in=keys)

    def _newest(self, keys: Any, limit: TimeLimit) -> list[Any]:
        """Each range is larger than the one before, so that few queries read a table that an index serves."""
        found: list[Any] = []
        high, size = limit.read(lambda: keys.model._default_manager.aggregate(last=Max("pk"))["last"]) or 0, FIRST_RANGE
        while high > 0 and len(found) < MOST_ROWS:
            within = keys.filter(pk__gt=high - size, pk__lte=high)[: MOST_ROWS - len(found)]
            more = limit.read(lambda: list(within))  # noqa: B023
            if more is None:
                self.read_back_to = high + 1
                break
            found += more
            high, size = high - size, size * GROWTH
        return found


class PlainDecimalField(forms.DecimalField):
    """An amount in a form, written as everywhere else: no exponent, no trailing zeros."""

    widget = forms.TextInput

    def prepare_value(self, value: Any) -> Any:
        return plain(value) if isinstance(value, Decimal) else value


class PlainAdmin(_ModelAdmin):
    """Shows amounts and instants as the API writes them. Nothing is ever deleted: everything is somebody's history."""

    model: Any
    change_list_template = "admin/bounded_list.html"
    formfield_overrides = {AmountField: {"form_class": PlainDecimalField, "min_value": 0}}
    list_per_page = 50
    # Facets and full counts read the whole table.
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [self._column(str(name)) for name in super().get_list_display(request)]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Model | None = None,
    ) -> HttpResponse:
        """With the parts that other packages show of the row, for templates that have a place for them."""
        shown_with = {**context, "blocks": render_blocks(request, obj)}
        return super().render_change_form(request, shown_with, add, change, form_url, obj)

    def _column(self, name: str) -> Any:
        """A foreign key that the list does not join is shown by its key: one query for each row otherwise."""
        joined = self.list_select_related
        field = _field(self.model, name)
        if isinstance(field, ForeignKey) and not (isinstance(joined, Sequence) and name in joined):
            return attribute(self.model, name, field.attname, unbroken)
        if isinstance(field, DateTimeField):
            return attribute(self.model, name, name, to_the_second)
        return attribute(self.model, name, name, amount) if isinstance(field, AmountField) else name


class BoundedChangeList(ChangeList):
    """A list of the rows that its paginator found, also where they fit on one page."""

    paginator: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page or (self.show_all and self.can_show_all):
            self.result_list = self.paginator.rows(self.paginator.keys)


class ExactSearch:
    """An admin's search, in words. Each must name something of the row, exactly.

    `reserved` comes first, then `find` for what an index serves, then `narrow` for what a word can name otherwise.
    """

    model: Any
    change_list_template: Any = "admin/bounded_list.html"
    paginator: Any = BoundedPaginator
    # Makes the search box appear; `find` does the searching.
    search_fields: Any = ("pk",)

    def reserved(self, word: str) -> Q | None:
        """The rows of a word that names nothing else: clients choose names and keys, and could hide a market so."""
        return None

    def find(self, word: str) -> list[Q]:
        """What a word of the search can name: each by an index of its own, in which the rows stand in their order."""
        number = parse_id(word)
        return [] if number is None else [Q(pk=number)]

    def narrow(self, word: str) -> Q | None:
        """The rows that any other word stands for, many perhaps, such as those of a market; None for none."""
        return None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        for word in search_term.split():
            queryset = queryset.filter(self.reserved(word) or self._found(word) or self.narrow(word) or Q(pk__in=[]))
        return queryset, False

    def _found(self, word: str) -> Q | None:
        """One condition that one index serves: for an OR of several the database might rather read the whole table."""
        rows = self.model._default_manager.order_by("-pk").values_list("pk", flat=True)
        meant = [condition for condition in self.find(word) if rows.filter(condition).exists()]
        if len(meant) > 1:
            return Q(pk__in={pk for condition in meant for pk in rows.filter(condition)[:MOST_ROWS]})
        return meant[0] if meant else None

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return BoundedChangeList


class ReadOnlyAdmin(ExactSearch, PlainAdmin):
    """Rows that only the services write: may be looked at, filtered and searched, by those who may view them."""

    actions = None
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


def amount(value: Decimal, *words: str) -> str:
    """In a column of numbers, which ends at the right, behind the words."""
    return format_html('<span class="amount">{}</span>', " ".join((*words, plain(value))))


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
