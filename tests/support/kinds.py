"""Random commands of all order kinds together, in ticks and lots, from seeded dice.

`tests.support.commands` has those of plain orders; here each kind has its share of the stream, and a stream may be
without some of them.
"""

import random
from collections.abc import Collection
from decimal import Decimal
from typing import Any, NamedTuple

from audit.naive import NaiveOrder
from tests.support import commands
from tests.support.commands import CAST, Market, Place


class Kind(NamedTuple):
    """What an order has beside the terms of a plain one, in ticks and lots."""

    stop: str | None = None
    stop_price: int | None = None
    trailing_offset: int | None = None
    display: int | None = None


class Extended(NamedTuple):
    """An order of a kind beyond plain LIMIT and MARKET."""

    place: Place
    kind: Kind


class Oco(NamedTuple):
    """Two orders of which one cancels the other."""

    place: Place
    stop_price: int
    stop_limit_price: int | None


class Amend(NamedTuple):
    """Amend the n-th order placed so far. None of a value leaves it."""

    order: int
    price: int | None = None
    quantity: int | None = None
    display: int | None = None
    stop_price: int | None = None


class Replace(NamedTuple):
    """Cancel the n-th order placed so far and place another one, in one command."""

    order: int
    by: "Place | Extended"


class CancelFor(NamedTuple):
    """Cancel the n-th order placed so far for a reason: the dead-man switch, or GTD_EXPIRED of a GTD order."""

    order: int
    reason: str


class SetStatus(NamedTuple):
    """An operator sets the trading status."""

    status: str


Command = commands.Command | Extended | Oco | Amend | Replace | CancelFor | SetStatus
STOPS = ("STOP", "TAKE_PROFIT", "TRAILING")


def random_command(dice: random.Random, kinds: Collection[str]) -> Command:
    """A command of one of the kinds: "stops", "gtd", "iceberg", "oco", "amend", "replace", "decrement"..."""
    chosen = [(make, weight) for kind, make, weight in _MAKERS if kind is None or kind in kinds]
    (make,) = dice.choices([make for make, _ in chosen], weights=[weight for _, weight in chosen])
    return make(dice, kinds)


def extended_order(command: Place | Extended, market: Market, order_id: int, group: int | None = None) -> NaiveOrder:
    """The twin's order, in prices and quantities of the market."""
    place, kind = (command, Kind()) if isinstance(command, Place) else command
    order = commands.naive_order(place, market, order_id)
    tick, lot = Decimal(market.tick), Decimal(market.lot)
    order.stop, order.group = kind.stop, group
    order.stop_price = None if kind.stop_price is None else kind.stop_price * tick
    order.trailing_offset = None if kind.trailing_offset is None else kind.trailing_offset * tick
    order.display = None if kind.display is None else kind.display * lot
    return order


def legs(command: Oco, market: Market, order_id: int) -> tuple[NaiveOrder, NaiveOrder]:
    """The stop leg and the limit leg, which has the smaller id. Both have the group of the limit leg's id."""
    place = command.place
    limit = extended_order(place, market, order_id, group=order_id)
    waiting = Extended(place._replace(price=command.stop_limit_price), Kind("STOP", command.stop_price))
    return extended_order(waiting, market, order_id + 1, group=order_id), limit


def changes(command: Amend, market: Market) -> dict[str, Decimal]:
    """The values that the amend changes, in prices and quantities of the market."""
    steps = {"price": market.tick, "quantity": market.lot, "display": market.lot, "stop_price": market.tick}
    given = command._asdict()
    return {name: given[name] * Decimal(step) for name, step in steps.items() if given[name] is not None}


def _plain(dice: random.Random, kinds: Collection[str]) -> Command:
    command = commands.random_command(dice)
    return _with_modes(dice, command, kinds) if isinstance(command, Place) else command


def _with_modes(dice: random.Random, place: Place, kinds: Collection[str]) -> Place:
    """The order, perhaps with the modes of the kinds that plain orders may have too."""
    changed: dict[str, Any] = {}
    if "decrement" in kinds and dice.random() < 0.25:
        changed["stp"] = "DECREMENT"
    if "gtd" in kinds and place.price is not None and place.time_in_force == "GTC" and dice.random() < 0.15:
        changed["time_in_force"] = "GTD"
    return place._replace(**changed)


def _limit(dice: random.Random, kinds: Collection[str]) -> Place:
    return _with_modes(dice, commands._limit(dice), kinds)


def _iceberg(dice: random.Random, kinds: Collection[str]) -> Extended:
    place = _limit(dice, kinds)._replace(time_in_force="GTC", quantity=dice.randint(2, 30))
    assert place.quantity is not None
    return Extended(place, Kind(display=dice.randint(1, max(1, place.quantity - 1))))


def _stop(dice: random.Random, kinds: Collection[str]) -> Extended:
    """Above and below the last price as it may be, and sometimes where the last price has been already."""
    stop, becomes = dice.choice(STOPS), dice.choice([_limit, commands._market, commands._by_quote])
    place = becomes(dice, kinds) if becomes is _limit else _with_modes(dice, becomes(dice), kinds)
    if stop == "TRAILING":
        place = commands._market(dice) if place.price is not None else place
        return Extended(_with_modes(dice, place, kinds), Kind(stop, trailing_offset=dice.randint(1, 6)))
    return Extended(place, Kind(stop, dice.randint(92, 108)))


def _any_order(dice: random.Random, kinds: Collection[str]) -> Place | Extended:
    makers = [_limit, _limit, *([_iceberg] if "iceberg" in kinds else []), *([_stop] if "stops" in kinds else [])]
    return dice.choice(makers)(dice, kinds)


def _oco(dice: random.Random, kinds: Collection[str]) -> Oco:
    """With prices on both sides of where the market is, or not quite: the engine decides by what it finds."""
    place = _limit(dice, kinds)._replace(time_in_force="GTC", post_only=False)
    sign = 1 if place.side == "SELL" else -1
    stop_limit = 100 - sign * dice.randint(0, 8) if place.side == "BUY" or dice.random() < 0.5 else None
    return Oco(place._replace(price=100 + sign * dice.randint(1, 6)), 100 - sign * dice.randint(0, 6), stop_limit)


def _amend(dice: random.Random, kinds: Collection[str]) -> Amend:
    """Of a recent order. One field, or two of them."""
    fields = {"price": (93, 107), "quantity": (1, 16)}
    if "iceberg" in kinds:
        fields["display"] = (1, 8)
    if "stops" in kinds:
        fields["stop_price"] = (93, 107)
    names = dice.sample(list(fields), dice.choice([1, 1, 2]))
    return Amend(-dice.randint(1, 40), **{name: dice.randint(*fields[name]) for name in names})


def _replace(dice: random.Random, kinds: Collection[str]) -> Replace:
    return Replace(-dice.randint(1, 40), _any_order(dice, kinds))


def _status(dice: random.Random, kinds: Collection[str]) -> SetStatus:
    auction = ["AUCTION", "AUCTION"] if "auction" in kinds else []
    return SetStatus(dice.choice([*auction, "HALTED", "CANCEL_ONLY"]))


_MAKERS: tuple[tuple[str | None, Any, int], ...] = (
    (None, _plain, 550),
    ("stops", _stop, 150),
    ("iceberg", _iceberg, 80),
    ("oco", _oco, 60),
    ("amend", _amend, 150),
    ("replace", _replace, 60),
    (None, lambda dice, _: CancelFor(-dice.randint(1, 40), "DEAD_MAN_SWITCH"), 15),
    ("gtd", lambda dice, _: CancelFor(-dice.randint(1, 40), "GTD_EXPIRED"), 40),
    ("halts", _status, 4),
    # More often, so that the market trades most of the time.
    ("halts", lambda _dice, _kinds: SetStatus("TRADING"), 30),
    (None, lambda dice, _: commands.Deposit(dice.choice(CAST)), 10),
)
