"""Parts of a snapshot: the resting orders of neighbouring levels, packed.

A part is named by the digest of its content. So the next snapshot names the parts that did not change again, and stores
only the others.
"""

import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
from django.db.models import DateTimeField

from core.money import stored_units, to_units, units_or_none
from core.store import LevelSums
from core.types import Order as CoreOrder
from core.types import Side
from orders.models import Order

# To be raised when rows are packed in another way, or when the same columns come to mean something else.
VERSION = 2
ORDERS_PER_PART = 1000
# A part with fewer is packed again with its neighbour.
FEW_ORDERS = ORDERS_PER_PART // 4
DIGEST_BYTES = 16
_LARGEST = 2**63
_SIDES = {str(side): side for side in Side}

# One order: a value for each column, as JSON has it.
PackedRow = list[Any]


@dataclass(frozen=True)
class Form:
    """The columns of a packed order, and what makes an order of the core of them."""

    columns: tuple[str, ...]
    decode: Callable[[tuple[Any, ...]], CoreOrder]

    @cached_property
    def name(self) -> str:
        """A snapshot of another form is not read: it was stored by another version of the program."""
        return blake2b(repr((VERSION, self.columns)).encode(), digest_size=DIGEST_BYTES).hexdigest()

    @cached_property
    def instants(self) -> list[int]:
        fields = map(Order._meta.get_field, self.columns)
        return [place for place, field in enumerate(fields) if isinstance(field, DateTimeField)]

    def pack(self, row: Sequence[Any]) -> PackedRow:
        """A row as the database's driver gives it."""
        return [_plain(value) for value in row]

    def unpack(self, row: PackedRow) -> CoreOrder:
        for place in self.instants:
            if row[place] is not None:
                row[place] = datetime.fromisoformat(row[place])
        return self.decode(tuple(row))

    def value(self, row: PackedRow, column: str) -> Any:
        return row[self.columns.index(column)]

    def shares(self, row: PackedRow) -> tuple[int, int]:
        """How much of the order is visible, and how much is hidden."""
        gone = units_or_none(self.value(row, "prevented_quantity")) or 0
        left = stored_units(self.value(row, "quantity")) - stored_units(self.value(row, "filled_quantity")) - gone
        tip = self.value(row, "tip")
        return (left, 0) if tip is None else (stored_units(tip), left - stored_units(tip))


class PackedLevel(NamedTuple):
    """The rows of one level, oldest first."""

    side: str
    price: int
    rows: list[PackedRow]


class Part:
    """A part as it is stored: the sums of its levels, the ids of its orders in their order, and the packed rows."""

    def __init__(self, digest: str, levels: bytes, ids: bytes, rows: bytes) -> None:
        self.digest = digest
        self.ids = array("Q", ids)
        # The sums of a level are texts, because they may need more than 64 bits.
        self.levels = [
            LevelSums(_SIDES[side], price, int(quantity), order_count, int(hidden))
            for side, price, quantity, order_count, hidden in orjson.loads(levels)
        ]
        self._packed = rows
        self._rows: list[PackedRow] | None = None
        self._unread = len(self.levels)

    @property
    def content(self) -> dict[str, bytes]:
        return {"levels": _sums(self.levels), "ids": self.ids.tobytes(), "rows": self._packed}

    @property
    def size(self) -> int:
        return sum(map(len, self.content.values()))

    @property
    def is_small(self) -> bool:
        return len(self.ids) < FEW_ORDERS

    def level_of(self, order_id: int) -> LevelSums:
        place = self.ids.index(order_id)
        for level in self.levels:
            place -= level.order_count
            if place < 0:
                return level
        raise ValueError(f"order {order_id} is in no level of part {self.digest}")

    def all_rows(self) -> list[PackedRow]:
        rows: list[PackedRow] = orjson.loads(zlib.decompress(self._packed))
        return rows

    def rows_of(self, level: LevelSums) -> list[PackedRow]:
        """The rows of a level, which are the caller's own. Asked once for each level: the last one frees the rows."""
        rows = self._rows
        if rows is None:
            rows = self._rows = self.all_rows()
        begin = sum(before.order_count for before in self.levels[: self.levels.index(level)])
        self._unread -= 1
        if not self._unread:
            self._rows, self._packed = None, b""
        return rows[begin : begin + level.order_count]


def pack_levels(form: Form, levels: Iterable[PackedLevel]) -> Iterator[Part]:
    """Parts of these levels, which come in the order of side and price. A level is never divided."""
    waiting: list[PackedLevel] = []
    for level in levels:
        if level.rows:
            waiting.append(level)
        if sum(len(each.rows) for each in waiting) >= ORDERS_PER_PART:
            yield _pack(form, waiting)
            waiting = []
    if waiting:
        yield _pack(form, waiting)


def _pack(form: Form, levels: Sequence[PackedLevel]) -> Part:
    sums = [_level_sums(form, level) for level in levels]
    rows = [row for level in levels for row in level.rows]
    ids = array("Q", [form.value(row, "id") for row in rows])
    content = _sums(sums), ids.tobytes(), zlib.compress(orjson.dumps(rows), 1)
    return Part(digest_of(*content), *content)


def _level_sums(form: Form, level: PackedLevel) -> LevelSums:
    visible, hidden = map(sum, zip(*map(form.shares, level.rows), strict=True))
    return LevelSums(_SIDES[level.side], level.price, visible, len(level.rows), hidden)


def _sums(levels: Iterable[LevelSums]) -> bytes:
    return orjson.dumps(
        [[str(level.side), level.price, str(level.quantity), level.order_count, str(level.hidden)] for level in levels]
    )


def digest_of(levels: bytes, ids: bytes, rows: bytes) -> str:
    digest = blake2b(digest_size=DIGEST_BYTES)
    for piece in (levels, ids, rows):
        digest.update(len(piece).to_bytes(8))
        digest.update(piece)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """A value as JSON has it: an amount in units, or as text where it needs more than 64 bits."""
    if isinstance(value, Decimal):
        units = to_units(value)
        return units if abs(units) < _LARGEST else str(value)
    return value.isoformat() if isinstance(value, datetime) else value
