"""What is written into statements as literals, and what never is."""

from datetime import UTC, datetime

import pytest

from base.storage.bulk import write_inserts
from base.storage.literals import Dialect
from commands.models import Command
from orders.models import OrderEvent

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


class Ops:
    """A database's way with instants."""

    def adapt_datetimefield_value(self, instant: datetime) -> str:
        return f"{instant:%Y-%m-%d %H:%M:%S.%f}"


class Connection:
    ops = Ops()


MYSQL, SQLITE = Dialect("mysql", Connection()), Dialect("sqlite", Connection())


def written(to: Dialect, *values: object) -> str:
    fields = ("market", "sequence", "reason", "active", "filled_quantity", "filled_notional", "created_at")
    [statement] = write_inserts(to, OrderEvent, fields, [values])
    return statement.sql.partition(" VALUES ")[2]


def test_each_column_is_written_in_its_own_way():
    values = ("BTC-USD", 7, None, True, 150_000_000, 1, NOW)
    assert written(MYSQL, *values) == "('BTC-USD', 7, NULL, 1, 1.50000000, 0.00000001, '2026-01-02 03:04:05.000678')"
    assert written(SQLITE, *values) == "('BTC-USD', 7, NULL, 1, 150000000, '0.00000001', '2026-01-02 03:04:05.000678')"


def test_amounts_below_zero():
    assert written(MYSQL, "M", 1, None, False, -150_000_000, -1, NOW).startswith(
        "('M', 1, NULL, 0, -1.50000000, -0.0000"
    )


@pytest.mark.parametrize("text", ["a'b", "a\\b", 'a"b', "a;b", "a%sb", "ä", "a\nb", "a`b", "a(b", "a,b", "\x00"])
def test_a_text_that_is_no_word_is_refused(text):
    with pytest.raises(ValueError, match="not a plain word"):
        written(MYSQL, text, 1, None, True, 0, 0, NOW)


@pytest.mark.parametrize("number", ["1", "1); DROP TABLE orders", 1.5, None])
def test_only_integers_are_written_as_numbers(number):
    fields, row = ("market", "kind", "order_id", "created_at"), ("M", "NEW", number, NOW)
    if number is None:
        [statement] = write_inserts(MYSQL, Command, fields, [row])
        assert "NULL" in statement.sql
        return
    with pytest.raises(ValueError, match="format code"):
        write_inserts(MYSQL, Command, fields, [row])


def test_many_rows_are_several_statements():
    rows = [("M", "NEW", number, NOW) for number in range(501)]
    statements = write_inserts(MYSQL, Command, ("market", "kind", "order_id", "created_at"), rows)
    assert [statement.rows for statement in statements] == [250, 250, 1]
