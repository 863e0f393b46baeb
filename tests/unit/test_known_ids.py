"""The highest id: an id that was issued is never denied, and one that cannot have been costs no query."""

import pytest

from base.storage.known_ids import A_SECOND, AT_ONCE, REMEMBERED_SECONDS, HighestId


class Table:
    """A table's highest id, and how often it was asked for; with the clock of the process."""

    def __init__(self) -> None:
        self.highest, self.queries, self.now = 1000, 0, 0.0
        self.known = HighestId(self.read, lambda: self.now)

    def read(self) -> int:
        self.queries += 1
        return self.highest

    def asked(self, number: int) -> tuple[bool, int]:
        """Whether it may exist, and how many queries that cost."""
        before = self.queries
        return self.known.may_exist(number), self.queries - before


@pytest.fixture
def table() -> Table:
    table = Table()
    table.asked(10**15)
    return table


def test_one_query_and_then_none(table):
    assert table.queries == 1
    assert [table.asked(number) for number in (10**15, 10**9, 10**18)] == [(False, 0)] * 3


def test_what_is_there_or_nearly_is_looked_for(table):
    assert [table.asked(number) for number in (1, 1000, 1001, 1000 + AT_ONCE)] == [(True, 0)] * 4


def test_ids_that_others_issued_meanwhile_are_not_denied(table):
    """As many as can be issued in that time, and then the one behind them."""
    for _ in range(20):
        table.now += 0.7
        table.highest += int(0.7 * A_SECOND)
        assert table.asked(table.highest)[0]
        assert table.asked(table.highest + 100 * A_SECOND)[0] is False


def test_what_may_have_been_issued_is_asked_once(table):
    table.now += 10
    assert table.asked(1000 + 5 * A_SECOND) == (False, 1)
    assert table.asked(1000 + 5 * A_SECOND) == (False, 0)


def test_a_counter_that_was_set_by_hand_is_noticed(table):
    table.highest = 10**12
    table.now += REMEMBERED_SECONDS
    assert table.asked(10**12) == (True, 1)


def test_own_ids_are_known_at_once(table):
    table.known.seen(10**12)
    assert table.asked(10**12) == (True, 0)
