"""The stream of commands that is measured: the same for every engine, from one seed, in ticks and lots.

Two thirds of the orders rest, a third crosses, and a tenth of the commands are cancels, of 200 users.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

USERS = 200
MIDDLE = 10_000
TICKS_AROUND = 200
LOTS = 20


class Place(NamedTuple):
    """A LIMIT order of the `user`-th user, with a stop price STOP_LIMIT; `key` counts the orders of a stream from 0."""

    key: int
    user: int
    side: str
    price: int
    quantity: int
    stop_price: int | None = None


class Cancel(NamedTuple):
    """A cancel of an order that was placed before, by its owner; it may be filled by then."""

    key: int
    user: int


class Amend(NamedTuple):
    """An amend of an order that was placed before, which may be filled by then. None is what stays as it is.

    It needs no more funds than the order has.
    """

    key: int
    price: int | None = None
    quantity: int | None = None


# What a plain flow has.
Plain = Place | Cancel
Command = Plain | Amend


def flow(commands: int, seed: int = 1) -> Iterator[Plain]:
    """So many commands around a steady price; crossing orders go a few ticks over the middle, and rest if they must."""
    dice = random.Random(seed)
    resting: list[Place] = []
    key = 0
    for _ in range(commands):
        if resting and dice.random() < 0.1:
            gone = resting.pop(dice.randrange(len(resting)))
            yield Cancel(gone.key, gone.user)
            continue
        order = _order(dice, key)
        key += 1
        if _rests(order):
            resting.append(order)
        yield order


def with_amends(commands: int) -> Iterator[Command]:
    """The flow, and a fifth of it amends: half of them shrink the order, half move it a tick away from the middle."""
    dice = random.Random(3)
    resting: list[Place] = []
    for command in flow(commands * 4 // 5):
        yield command
        if isinstance(command, Place) and _rests(command):
            resting.append(command)
        if resting and dice.random() < 1 / 4:
            yield _amend(dice, resting.pop(dice.randrange(len(resting))))


def with_stops(commands: int) -> Iterator[Command]:
    """The flow, a fifth of it stops: a tenth of these at the middle, where they soon trigger, the others far away."""
    dice = random.Random(4)
    for command in flow(commands):
        if isinstance(command, Place) and dice.random() < 2 / 9:
            away = 0 if dice.random() < 1 / 10 else 5 * TICKS_AROUND
            yield command._replace(stop_price=MIDDLE + (away if command.side == "BUY" else -away))
        else:
            yield command


def ladder(orders: int, seed: int = 2, first_key: int = 0) -> Iterator[Place]:
    """So many orders that rest, far enough from the middle that the flow never reaches them."""
    dice = random.Random(seed)
    for key in range(first_key, first_key + orders):
        side = dice.choice(("BUY", "SELL"))
        away = TICKS_AROUND + 20 + dice.randrange(4000)
        yield Place(
            key, dice.randrange(USERS), side, MIDDLE + (-away if side == "BUY" else away), dice.randint(1, LOTS)
        )


def _order(dice: random.Random, key: int) -> Place:
    side = dice.choice(("BUY", "SELL"))
    away = dice.randint(1, TICKS_AROUND)
    crosses = dice.random() < 1 / 3
    # Over the middle by as much as its makers keep away from it: a taker meets the best few of them.
    price = MIDDLE + (away if (side == "BUY") == crosses else -away)
    return Place(key, dice.randrange(USERS), side, price, dice.randint(1, LOTS))


def _amend(dice: random.Random, order: Place) -> Amend:
    if order.quantity > 1 and dice.random() < 1 / 2:
        return Amend(order.key, quantity=order.quantity - 1)
    return Amend(order.key, price=order.price + (-1 if order.side == "BUY" else 1))


def _rests(order: Place) -> bool:
    return order.price < MIDDLE if order.side == "BUY" else order.price > MIDDLE
