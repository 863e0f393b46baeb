"""The commands of a round, as its file has them: a line of JSON each. Who plays them has a method for each.

Orders are those of the naive twin, in decimals; `do` names what is done with them.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from audit.naive import NaiveEvent, NaiveOrder, NaiveTrade
from core.money import plain
from core.types import MarketStatus, Reason, SelfTradePrevention, Side, TimeInForce

Command = dict[str, Any]
PLACE, OCO, REFUSED, LATE = "place", "place-oco", "place-refused", "place-late"
CANCEL, EXPIRE, AMEND, REFUSE_AMEND, STATUS = "cancel", "expire", "amend", "refuse-amend", "status"
AMENDABLE = ("price", "quantity", "stop_price", "display")
# What an order has when it is placed; the rest of its fields say how far it has come.
_DECIMALS = (
    *("price", "quantity", "quote_quantity", "spend_limit", "price_band", "stop_price", "trailing_offset", "display"),
    *("maker_rate", "taker_rate"),
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "side": tuple(Side),
    "time_in_force": tuple(TimeInForce),
    "stp": tuple(SelfTradePrevention),
    "stop": ("STOP", "TAKE_PROFIT", "TRAILING"),
}
_PLACED = ("id", "user", *_CHOICES, *_DECIMALS, "post_only", "fee_in_quote", "group")
_DEFAULTS = {each.name: each.default for each in fields(NaiveOrder) if each.default is not MISSING}
_LARGEST = Decimal(10) ** 20
# A maker may be paid instead of paying; a buyer may have nothing to spend.
_RATES, _LEAST = (
    ("maker_rate", "taker_rate"),
    {"maker_rate": Decimal(-1), "taker_rate": Decimal(0), "spend_limit": Decimal(0)},
)


class UnreadableCommand(ValueError):
    """A command that says nothing that could be done, with the reason in words."""


class Resting(Protocol):
    """An order that rests, as both players have it."""

    id: int

    @property
    def limit(self) -> Decimal: ...

    @property
    def rest(self) -> Decimal: ...

    @property
    def visible(self) -> Decimal: ...


class Player(Protocol):
    """Who plays commands: the core, or the naive twin. Each command is applied before the next one is given."""

    events: list[NaiveEvent]
    trades: list[NaiveTrade]

    def side(self, side: str) -> Any: ...

    def do_place(self, order: NaiveOrder) -> None: ...

    def do_place_oco(self, stop: NaiveOrder, limit: NaiveOrder) -> None: ...

    def do_place_refused(self, order: NaiveOrder, reason: str) -> None: ...

    def do_place_late(self, order: NaiveOrder) -> None: ...

    def do_cancel(self, order_id: int, reason: str) -> None: ...

    def do_expire(self, order_id: int) -> None: ...

    def do_amend(self, order_id: int, changes: dict[str, Any]) -> None: ...

    def do_refuse_amend(self, order_id: int) -> None: ...

    def do_status(self, status: str, band: Decimal | None) -> None: ...


def play(player: Player, command: Command) -> None:
    """Have the player do it. Raises UnreadableCommand."""
    what = command.get("do")
    try:
        _play(player, command, what)
    except KeyError as error:
        raise UnreadableCommand(f"{what}: {error} is missing, or no such order was placed") from error


def _play(player: Player, command: Command, what: object) -> None:
    if what == PLACE:
        player.do_place(read_order(command["order"]))
    elif what == OCO:
        player.do_place_oco(read_order(command["stop"]), read_order(command["limit"]))
    elif what == REFUSED:
        player.do_place_refused(read_order(command["order"]), _one_of("reason", command["reason"], tuple(Reason)))
    elif what == LATE:
        player.do_place_late(read_order(command["order"]))
    elif what == CANCEL:
        player.do_cancel(_whole("id", command["id"]), _one_of("reason", command["reason"], tuple(Reason)))
    elif what == EXPIRE:
        player.do_expire(_whole("id", command["id"]))
    elif what == AMEND:
        player.do_amend(_whole("id", command["id"]), _read_changes(command["changes"]))
    elif what == REFUSE_AMEND:
        player.do_refuse_amend(_whole("id", command["id"]))
    elif what == STATUS:
        status = _one_of("status", command["status"], tuple(MarketStatus))
        player.do_status(status, _decimal_or_none("band", command.get("band")))
    else:
        raise UnreadableCommand(f"do is {what!r}, which is no command")


def write_order(order: NaiveOrder) -> dict[str, Any]:
    """An order as it is placed; what is as by default is left out."""
    values = {name: getattr(order, name) for name in _PLACED}
    return {
        name: plain(value) if isinstance(value, Decimal) else value
        for name, value in values.items()
        if name not in _DEFAULTS or value != _DEFAULTS[name]
    }


def write_changes(changes: Mapping[str, Decimal | None]) -> dict[str, str | None]:
    """The values that an amend sets."""
    return {name: None if value is None else plain(value) for name, value in changes.items()}


def read_order(written: Any) -> NaiveOrder:
    """Raises UnreadableCommand."""
    if not isinstance(written, dict):
        raise UnreadableCommand("an order is no object")
    if unknown := sorted(set(written) - set(_PLACED)):
        raise UnreadableCommand(f"an order has unknown fields: {', '.join(unknown)}")
    values: dict[str, Any] = {"id": _whole("id", written["id"]), "user": _whole("user", written["user"])}
    for name in written.keys() - values.keys():
        values[name] = _read_field(name, written[name])
    order = NaiveOrder(**values)
    if (order.quantity is None) == (order.quote_quantity is None):
        raise UnreadableCommand(f"order {order.id} needs a quantity or a quote quantity, and not both")
    if order.quantity is None and (not order.is_buy or order.price is not None):
        raise UnreadableCommand(f"order {order.id}: a quote quantity is for a BUY without a price")
    return order


def _read_field(name: str, value: Any) -> Any:
    if name in _DECIMALS:
        return _decimal_or_none(name, value)
    if name in _CHOICES:
        return None if value is None else _one_of(name, value, _CHOICES[name])
    if name == "group":
        return None if value is None else _whole(name, value)
    if not isinstance(value, bool):
        raise UnreadableCommand(f"{name} is {value!r}, which is neither true nor false")
    return value


def _read_changes(written: Any) -> dict[str, Any]:
    if not isinstance(written, dict) or written.keys() - set(AMENDABLE):
        raise UnreadableCommand(f"changes may name {', '.join(AMENDABLE)}")
    return {name: _decimal_or_none(name, value) for name, value in written.items()}


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise UnreadableCommand(f"{name} is {value!r}, which is no id")
    return value


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise UnreadableCommand(f"{name} is {value!r}, which is none of {', '.join(map(str, allowed))}")
    return str(value)


def _decimal_or_none(name: str, value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        number = Decimal(value) if isinstance(value, str) and len(value) <= 40 else None
    except InvalidOperation:
        number = None
    if number is None or not _is_amount(name, number):
        raise UnreadableCommand(f"{name} is {value!r}, which is no amount")
    return number


def _is_amount(name: str, number: Decimal) -> bool:
    """Of nothing, or of less, a matcher could trade for ever."""
    if not number.is_finite() or number.as_tuple().exponent < -8:  # type: ignore[operator]
        return False
    is_enough = number >= _LEAST[name] if name in _LEAST else number > 0
    return is_enough and number <= (1 if name in _RATES else _LARGEST)
