"""Take a snapshot of a large book and store it, in a process of its own, without any lock.

All is read in one consistent reading while the worker goes on. The first snapshot is made of all rows that rest. Each
later one begins with the snapshot before it, and packs the parts anew whose orders had an event since; so its cost is
that of the changes. Two snapshots of a market are kept: a worker may be reading the older one.
"""

import logging
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from base.storage.bulk import batched
from base.storage.snapshot import one_snapshot
from core.money import stored_units
from matching.models import BookSnapshot, OrderBook, SnapshotPart
from matching.order_rows import FORM
from matching.snapshots.parts import PackedLevel, PackedRow, Part, pack_levels
from matching.snapshots.restoring import changed_orders, load_parts, newest_snapshot, read_resting
from orders.resting import resting_orders

logger = logging.getLogger(__name__)

KEPT = 2
# Statements of about a megabyte.
PARTS_AT_ONCE = 10
# A larger part would need a larger packet than a server takes as it is shipped.
LARGEST_PART = 8_000_000
ROWS_AT_ONCE = 5000

_Place = tuple[str, int]


def due_symbols(symbols: Iterable[str]) -> list[str]:
    """The markets whose books are large and have changed enough since their last snapshot."""
    if not settings.SNAPSHOT_ORDERS:
        return []
    return [symbol for symbol in symbols if _is_due(symbol)]


def record(symbol: str) -> BookSnapshot | None:
    """Store a snapshot of the book as it is now. None where there is nothing to store, or just now no snapshot."""
    with one_snapshot():
        book = OrderBook.objects.filter(pk=symbol).first()
        # An unfinished taker may begin to rest without a further event, so what is stored now could lack it.
        if book is None or book.unfinished_order_id is not None:
            return None
        sequence = book.next_sequence - 1
        before = newest_snapshot(symbol, FORM)
        if before is not None and before.sequence <= sequence:
            old = load_parts(symbol, before.parts)
            parts = list(_renewed(symbol, old, changed_orders(symbol, before.sequence)))
        else:
            old, parts = [], list(pack_levels(FORM, _all_levels(symbol)))
    if any(part.size > LARGEST_PART for part in parts):
        logger.warning("no snapshot of %s is stored, because too many orders rest at one price", symbol)
        return None
    known = {part.digest for part in old}
    return _store(symbol, sequence, parts, [part for part in parts if part.digest not in known])


def _is_due(symbol: str) -> bool:
    book = OrderBook.objects.filter(pk=symbol).first()
    if book is None:
        return False
    before = newest_snapshot(symbol, FORM)
    if before is not None and 0 <= book.next_sequence - 1 - before.sequence < settings.SNAPSHOT_EVENTS:
        return False
    # Not counted, because that would read the whole index of a large book.
    first = settings.SNAPSHOT_ORDERS - 1
    return bool(resting_orders(symbol).order_by("side", "price").values_list("id")[first : first + 1])


def _all_levels(symbol: str) -> Iterator[PackedLevel]:
    """All levels, in the order of side and price, which is that of the index."""
    query = resting_orders(symbol).order_by("side", "price").values_list(*FORM.columns).query
    with connection.cursor() as cursor:
        cursor.execute(*query.sql_with_params())
        rows = map(FORM.pack, _fetched(cursor))
        for (side, price), level in groupby(rows, key=_place_of):
            yield PackedLevel(side, price, sorted(level, key=_sequence_of))


def _fetched(cursor: Any) -> Iterator[tuple[Any, ...]]:
    while chunk := cursor.fetchmany(ROWS_AT_ONCE):
        yield from chunk


def _renewed(symbol: str, old: Sequence[Part], changed: set[int]) -> Iterator[Part]:
    """The parts of before, without the orders that changed and with those of them that rest."""
    starts = [_start_of(part) for part in old]
    fresh: dict[int, list[PackedRow]] = {}
    for row in map(FORM.pack, read_resting(FORM.columns, changed)):
        fresh.setdefault(max(0, bisect_right(starts, _place_of(row)) - 1), []).append(row)
    is_dirty = [not changed.isdisjoint(part.ids) or number in fresh for number, part in enumerate(old)]
    # A small part is packed with its neighbour, or there would be more and more of them.
    for number, part in enumerate(old):
        if part.is_small and number:
            is_dirty[number - 1] = is_dirty[number] = True
    for dirty, numbers in groupby(range(max(1, len(old))), key=lambda number: not old or is_dirty[number]):
        run = list(numbers)
        if not dirty:
            yield from (old[number] for number in run)
            continue
        rows = [
            row for number in run[: len(old)] for row in old[number].all_rows() if FORM.value(row, "id") not in changed
        ]
        rows += [row for number in run for row in fresh.get(number, ())]
        rows.sort(key=lambda row: (_place_of(row), _sequence_of(row)))
        levels = groupby(rows, key=_place_of)
        yield from pack_levels(FORM, (PackedLevel(side, price, list(level)) for (side, price), level in levels))


def _store(symbol: str, sequence: int, parts: Sequence[Part], new: Sequence[Part]) -> BookSnapshot:
    """The parts first: a snapshot that names a part which is not there would not be read."""
    for chunk in batched(new, PARTS_AT_ONCE):
        rows = [SnapshotPart(market_id=symbol, digest=part.digest, **part.content) for part in chunk]
        SnapshotPart.objects.bulk_create(rows, ignore_conflicts=True)
    with transaction.atomic():
        snapshot = BookSnapshot.objects.create(
            market_id=symbol,
            sequence=sequence,
            form=FORM.name,
            order_count=sum(len(part.ids) for part in parts),
            parts=[part.digest for part in parts],
            created_at=timezone.now(),
        )
        _delete_old(symbol)
    logger.info(
        "snapshot of %s after event %d: %d orders, %d parts new", symbol, sequence, snapshot.order_count, len(new)
    )
    return snapshot


def _delete_old(symbol: str) -> None:
    snapshots = BookSnapshot.objects.filter(market_id=symbol)
    kept = list(snapshots.order_by("-id")[:KEPT])
    snapshots.exclude(id__in=[each.id for each in kept]).delete()
    needed = {digest for each in kept for digest in each.parts}
    stored = dict(SnapshotPart.objects.filter(market_id=symbol).values_list("id", "digest"))
    for chunk in batched((key for key, digest in stored.items() if digest not in needed), ROWS_AT_ONCE):
        SnapshotPart.objects.filter(id__in=chunk).delete()


def _start_of(part: Part) -> _Place:
    return str(part.levels[0].side), part.levels[0].price


def _place_of(row: PackedRow) -> _Place:
    return FORM.value(row, "side"), stored_units(FORM.value(row, "price"))


def _sequence_of(row: PackedRow) -> Any:
    return FORM.value(row, "priority") or FORM.value(row, "sequence")
