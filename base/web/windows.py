"""Lists and searches that cost the same however long a table is: by an index, or within the newest rows."""

from collections.abc import Mapping
from typing import Any

from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from base.web.forms import parse_id

# Nobody turns more pages than this; counting a million rows would make every list as slow as the largest table.
MOST_ROWS = 10_000
# What a filter looks through: most columns have no index, and a value that is rare would have the whole table read.
WINDOW = 100_000
BEFORE = "before"


class WindowedList(ChangeList):
    """A list whose filters look through the newest WINDOW of the rows that the search found, and lead further back."""

    # The oldest row that was looked at, where there may be older ones; and the row before which the window lies.
    model_admin: Any
    window_ends: int | None = None
    before: int | None = None

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        return {name: value for name, value in super().get_filters_params(params).items() if name != BEFORE}

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Any]:
        keys, broad = self.model_admin.read_search(self.query)
        # The search is read once: it asks what each word means.
        query, self.query = self.query, ""
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters).filter(*keys, *broad)
        self.query = query
        self.before = parse_id(request.GET.get(BEFORE, ""))
        if self.before is not None:
            keys = [*keys, Q(pk__lt=self.before)]
            rows = rows.filter(pk__lt=self.before)
        named = self.get_filters_params()
        keyed = self.model_admin.keyed_by(named)
        if not broad and named.keys() <= keyed.keys():
            return rows
        found = self.root_queryset.order_by("-pk").filter(*keys, **{name: values[-1] for name, values in keyed.items()})
        self.window_ends = found.values_list("pk", flat=True)[WINDOW - 1 : WINDOW].first()
        return rows if self.window_ends is None else rows.filter(pk__gte=self.window_ends)

    @property
    def window(self) -> str:
        return f"{WINDOW:,}"

    @property
    def further_back(self) -> str:
        return str(self.get_query_string({BEFORE: self.window_ends}, remove=[PAGE_VAR]))

    @property
    def newest(self) -> str:
        return str(self.get_query_string(remove=[PAGE_VAR, BEFORE]))


class WindowedSearch:
    """An admin's search, in words. Each must name something of the row, exactly.

    `find` says what a word can name by an index, `narrow` what it can name otherwise. Before both comes what `reserved`
    says.
    """

    model: Any
    change_list_template: Any = "admin/windowed_list.html"
    # The parameters of links to the list that an index serves, alone or together.
    keys: tuple[tuple[str, ...], ...] = ()
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

    def keyed_by(self, named: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the parameters that an index serves together, as `find` does a word."""
        for names in self.keys:
            if named.keys() >= set(names):
                return {name: named[name] for name in names}
        return {}

    def read_search(self, search_term: str) -> tuple[list[Q], list[Q]]:
        """The conditions of a search: those that an index finds, and those that only narrow."""
        keys: list[Q] = []
        broad: list[Q] = []
        for word in search_term.split():
            narrowed = self.reserved(word)
            found = self._found(word) if narrowed is None else None
            if narrowed is None and found is None:
                narrowed = self.narrow(word)
            if narrowed is not None:
                broad.append(narrowed)
            else:
                keys.append(found or Q(pk__in=[]))
        return keys, broad

    def _found(self, word: str) -> Q | None:
        """One condition that one index serves: for an OR of several the database might rather read the whole table."""
        rows = self.model._default_manager.order_by("-pk").values_list("pk", flat=True)
        meant = [condition for condition in self.find(word) if rows.filter(condition).exists()]
        if len(meant) > 1:
            return Q(pk__in={pk for condition in meant for pk in rows.filter(condition)[:MOST_ROWS]})
        return meant[0] if meant else None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        keys, broad = self.read_search(search_term)
        return queryset.filter(*keys, *broad), False

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return WindowedList
