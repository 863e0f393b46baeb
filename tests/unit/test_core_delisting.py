"""A delisting that the engine gives up: the market is halted, because DELISTED would say that nothing rests."""

import pytest

from core.batch import DELISTING_GIVEN_UP, Batch
from core.market import BY_OPERATOR, Market
from core.types import PendingCommand
from tests.support.tape import Desk

DELIST, RESUME = PendingCommand(7, "DELIST", 0, None), PendingCommand(8, "RESUME", 0, None)


def give_up(status: str, command: PendingCommand) -> Batch:
    return Market(Desk().book.rules, status, next_sequence=5).give_up(command)


@pytest.mark.parametrize("status", ["TRADING", "CANCEL_ONLY", "DELISTED"])
def test_the_market_is_halted_wherever_the_delisting_stopped(status: str) -> None:
    batch = give_up(status, DELIST)
    assert batch.status_changes == [("HALTED", 5, DELISTING_GIVEN_UP, None)]
    assert (batch.status, batch.ends_delisting, batch.done) == ("HALTED", True, [DELIST])


def test_a_market_that_is_halted_stays_so_and_its_row_is_written() -> None:
    batch = give_up("HALTED", DELIST)
    assert (batch.status, batch.status_changes, batch.ends_delisting) == ("HALTED", [], True)


def test_any_other_status_is_set_but_not_over_delisted() -> None:
    assert give_up("HALTED", RESUME).status_changes == [("TRADING", 5, BY_OPERATOR, None)]
    late = give_up("DELISTED", RESUME)
    assert (late.status, late.status_changes, late.ends_delisting) == ("DELISTED", [], False)
