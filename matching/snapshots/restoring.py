"""A market from the newest snapshot of its book, brought forward to the locked row.

The snapshot is of the event with its sequence. The orders with a later event are read from their rows and put in the
place of their stored selves; all others rest as they did, because no order changes without an event (but for the funds
of one whose group's other one was amended). Then the number of
resting orders, the sum of their ids and the outermost prices are compared with the rows, by one query that reads an
index alone. None where anything is missing or differs.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from django.db import DatabaseError, connection
from django.db.models import Count, Max, Min, Sum

from base.storage.bulk import batched
from core.book import Book
from core.ladder import hidden, visible
from core.market import Market
from core.money import to_units
from core.store import LevelSums
from core.types import Order as CoreOrder
from core.types import Phase, Reason, Side
from matching.models import BookSnapshot, SnapshotPart
from matching.snapshots.parts import Form, Part, digest_of
from orders.models import Order, OrderEvent
from orders.resting import resting_orders

logger = logging.getLogger(__name__)

# To bring more events forward takes about as long as to read the rows.
MOST_EVENTS = 200_000
ROWS_AT_ONCE = 1000


class UnreadableSnapshot(Exception):
    """A part of a snapshot makes no orders. The book must be thrown away and read from the rows."""


class _Sums(NamedTuple):
    """One side: how many orders rest, the sum of their ids, and the lowest and the highest price."""

    order_count: int
    ids: int
    lowest: int
    highest: int


# Symbols whose snapshots could not be read. A new snapshot has new parts, but a defect of ours would be in them too.
_distrusted: set[str] = set()


class StoredOrders:
    """The orders of a snapshot, as the core's book asks for them."""

    def __init__(self, symbol: str, form: Form, parts: Iterable[Part]) -> None:
        self._symbol, self._form = symbol, form
        self._places: dict[LevelSums, Part] = {}
        self._parts: dict[int, Part] = {}
        for part in parts:
            self._places.update(dict.fromkeys(part.levels, part))
            self._parts.update(dict.fromkeys(part.ids, part))

    def levels(self) -> Iterable[LevelSums]:
        return self._places

    def read(self, level: LevelSums) -> list[CoreOrder]:
        try:
            orders = list(map(self._form.unpack, self._places[level].rows_of(level)))
            _compare(level, orders)
        except Exception as error:
            _distrusted.add(self._symbol)
            raise UnreadableSnapshot(f"{self._symbol}: {type(error).__name__}: {error}") from error
        return orders

    def find(self, order_id: int) -> LevelSums | None:
        part = self._parts.get(order_id)
        return None if part is None else part.level_of(order_id)


# Makes a market of the orders that are stored.
Build = Callable[..., Market]


def restore(symbol: str, restored: Callable[[], Market | None]) -> Market | None:
    """What is restored, in the transaction that locks the book's row. None where the orders must be read instead."""
    if symbol in _distrusted:
        return None
    try:
        return restored()
    except DatabaseError:
        raise
    except Exception as error:
        logger.error("the snapshot of %s is left out, its orders are read instead: %r", symbol, error)
        return None


def newest_snapshot(symbol: str, form: Form) -> BookSnapshot | None:
    return BookSnapshot.objects.filter(market_id=symbol, form=form.name).order_by("-id").first()


def load_parts(symbol: str, digests: Sequence[str]) -> list[Part]:
    """Raises UnreadableSnapshot where a part is missing or broken."""
    found: dict[str, Part] = {}
    for chunk in batched(digests, ROWS_AT_ONCE):
        stored = SnapshotPart.objects.filter(market_id=symbol, digest__in=chunk)
        for digest, *content in stored.values_list("digest", "levels", "ids", "rows"):
            pieces = [bytes(piece) for piece in content]
            if digest_of(*pieces) == digest:
                found[digest] = Part(digest, *pieces)
    missing = [digest for digest in digests if digest not in found]
    if missing:
        raise UnreadableSnapshot(f"{symbol}: {len(missing)} of {len(digests)} parts are missing or broken")
    return [found[digest] for digest in digests]


def changed_orders(symbol: str, sequence: int) -> set[int]:
    """The orders with an event after this one, and those of a group whose other one was amended: they have frozen what
    it needs.
    """
    events = OrderEvent.objects.filter(market_id=symbol, sequence__gt=sequence).order_by()
    amended = events.filter(reason=Reason.AMENDED, order__group_id__isnull=False)
    found = events.values_list("order_id", flat=True).union(amended.values_list("order__group_id", flat=True), all=True)
    return set(found)


def read_resting(columns: Sequence[str], order_ids: Iterable[int]) -> list[tuple[Any, ...]]:
    """The rows of those of the orders that rest, as the driver gives them."""
    rows: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        for chunk in batched(sorted(order_ids), ROWS_AT_ONCE):
            resting = Order.objects.filter(id__in=chunk, phase=Phase.RESTING)
            cursor.execute(*resting.order_by().values_list(*columns).query.sql_with_params())
            rows += cursor.fetchall()
    return rows


def _compare(level: LevelSums, orders: Sequence[CoreOrder]) -> None:
    sums = len(orders), sum(map(visible, orders)), sum(map(hidden, orders))
    if sums != (level.order_count, level.quantity, level.hidden):
        raise ValueError(f"{level} has {sums[0]} orders with {sums[1]} and {sums[2]} hidden")
    if any((order.side, order.price) != (level.side, level.price) for order in orders):
        raise ValueError(f"an order of {level} is of another level")


def build_market(symbol: str, next_sequence: int, form: Form, build: Build) -> Market | None:
    """The market up to this event, from an older snapshot if there is one. Raises where it contradicts the rows."""
    snapshot = newest_snapshot(symbol, form)
    if snapshot is None or not 0 < next_sequence - snapshot.sequence <= MOST_EVENTS:
        return None
    changed = changed_orders(symbol, snapshot.sequence)
    parts = load_parts(symbol, snapshot.parts)
    store = StoredOrders(symbol, form, parts)
    market = build(store=store)
    resting = [form.decode(row) for row in read_resting(form.columns, changed)]
    if any(order.sequence is None or order.place >= next_sequence for order in resting):
        raise UnreadableSnapshot(f"{symbol}: an order rests since an event that the row does not know")
    gone = [order_id for order_id in changed if store.find(order_id) is not None]
    market.book.bring_forward(gone, resting)
    found = _sums(market.book, parts, set(gone), resting)
    stored = _stored_sums(symbol)
    if found != stored:
        raise UnreadableSnapshot(f"{symbol}: {found} are not {stored}")
    return market


def _sums(book: Book, parts: Iterable[Part], gone: set[int], resting: Iterable[CoreOrder]) -> dict[Side, _Sums]:
    counts, ids = dict.fromkeys(Side, 0), dict.fromkeys(Side, 0)
    for part in parts:
        place = iter(part.ids)
        for level in part.levels:
            kept = [order_id for order_id in islice(place, level.order_count) if order_id not in gone]
            counts[level.side] += len(kept)
            ids[level.side] += sum(kept)
    for order in resting:
        counts[order.side] += 1
        ids[order.side] += order.id
    found = {}
    for side, ladder in book.ladders.items():
        if ladder.levels:
            first, last = ladder.levels.peekitem(0)[0], ladder.levels.peekitem(-1)[0]
            lowest, highest = sorted((ladder.sign * first, ladder.sign * last))
            found[side] = _Sums(counts[side], ids[side], lowest, highest)
    return found


def _stored_sums(symbol: str) -> dict[Side, _Sums]:
    """The same of the rows. The index of the book has all that is asked for, and so no row is read."""
    sides = resting_orders(symbol).order_by().values("side")
    rows = sides.annotate(count=Count("id"), ids=Sum("id"), lowest=Min("price"), highest=Max("price"))
    return {
        Side(row["side"]): _Sums(row["count"], int(row["ids"]), to_units(row["lowest"]), to_units(row["highest"]))
        for row in rows
    }
