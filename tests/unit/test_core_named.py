"""Takers that name the order which they meet: that one alone, and the naive twin agrees."""

import random

import pytest

from core.taker import place
from tests.support.commands import MARKETS, Place, random_command
from tests.support.tape import Desk, outcome_of
from tests.support.twin import CoreAndTwin


def test_the_named_order_is_met_whatever_stands_before_it():
    desk = Desk()
    desk.play("sell 5 @ 99", "sell 5 @ 100", "sell 5 @ 100")
    named = desk.order("buy 7 @ 100 ioc")
    named.meets = 3
    desk.step(place(desk.book, named))
    assert desk.fills(named) == "3:5@100"
    assert (outcome_of(named), desk.depth()) == ("2 partially_filled ioc_remainder", "| 5@99 5@100")


@pytest.mark.parametrize("meets", [1, 2, 9])
def test_nothing_is_met_in_its_place(meets):
    """One beyond the limit, one of the same side, and one that is not there."""
    desk = Desk()
    desk.play("sell 5 @ 101", "buy 5 @ 98", "sell 5 @ 100")
    named = desk.order("buy 5 @ 100 ioc")
    named.meets = meets
    desk.step(place(desk.book, named))
    assert desk.fills(named) == ""
    assert outcome_of(named) == "5 expired ioc_remainder"


@pytest.mark.parametrize("seed", range(3))
def test_core_and_twin_agree(seed):
    dice = random.Random(seed)
    both = CoreAndTwin(MARKETS[seed % len(MARKETS)], None if seed else 1)
    for _ in range(600):
        command = random_command(dice)
        if isinstance(command, Place) and (command.price is None or command.time_in_force in ("IOC", "FOK")):
            command = command._replace(meets=dice.randint(0, 99))
        both.play(command)
        both.compare()
    both.compare_all()
    assert sum(order.meets is not None and order.filled > 0 for order in both.core.orders.values()) > 10
