"""Statements that are sent together: what each has matched, and what is left of them after an error in the middle."""

import threading
import time

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction

from base.storage import statements
from base.storage.statements import GuardFailed, Statement, Write, execute, execute_some, execute_together, read_rows
from tests.support.world import World

pytestmark = pytest.mark.dialect


def set_number(asset: str, number: int, *, where: str = "", rows: int | None = 1) -> Statement:
    """Any column that takes a number, of a row that each test has."""
    return Statement(f"UPDATE assets SET scale = {number} WHERE code = '{asset}'{where}", "assets", rows)


def scales() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT code, scale FROM assets WHERE code IN ('BTC', 'USD')")
        return dict(cursor.fetchall())


@pytest.fixture
def before(world: World) -> dict[str, int]:
    return scales()


DOUBLE = Statement("INSERT INTO assets SELECT * FROM assets WHERE code = 'BTC'", "assets", 1)
UNKNOWN = Statement("UPDATE nowhere SET a = 1", "nowhere", 1)


def test_each_statement_must_match_its_own_rows(before, world: World) -> None:
    with pytest.raises(GuardFailed, match="assets: 0 of 1"), transaction.atomic():
        execute([set_number("BTC", 5), set_number("USD", 5, where=" AND scale = 77"), set_number("USD", 6)])
    assert scales() == before
    assert execute_some([set_number("BTC", before["BTC"]), set_number("USD", 9, where=" AND scale = 77")]) == 1
    execute([])


def test_what_is_done_about_rows_is_done_in_the_order_of_the_writes(before, world: World) -> None:
    done: list[int] = []
    missing = set_number("USD", 6, where=" AND scale = 77")
    writes = [
        Write([missing, set_number("BTC", before["BTC"])], done.append),
        Write([set_number("USD", 7, rows=None)]),
        Write([missing]),
        Write([set_number("USD", 5)], done.append),
    ]
    with pytest.raises(GuardFailed), transaction.atomic():
        execute_together(writes)
    assert done == [1], "the guard of the third is looked at before the fourth is spoken of"
    assert scales() == before


@pytest.mark.parametrize("wrong", [DOUBLE, UNKNOWN], ids=["a double key", "a table that is not there"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_in_the_middle_leaves_nothing(
    transactional_db, before, world: World, wrong: Statement, place: int
) -> None:
    batch = [set_number("BTC", 3), set_number("USD", 3)]
    batch.insert(place, wrong)
    with pytest.raises(IntegrityError if wrong is DOUBLE else DatabaseError), transaction.atomic():
        execute(batch)
    # On the same connection, which has nothing left unread.
    assert scales() == before


def test_a_lock_that_another_holds(transactional_db, before, world: World) -> None:
    if connection.vendor != "mysql":
        pytest.skip("SQLite has one lock")
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            execute([set_number("USD", before["USD"])])
            locked.set()
            done.wait(10)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    locked.wait(10)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
    try:
        with pytest.raises(OperationalError) as raised, transaction.atomic():
            execute([set_number("BTC", 3), set_number("USD", 3), set_number("BTC", 4)])
    finally:
        done.set()
        other.join()
        connection.close()
    assert raised.value.args[0] == 1205
    assert scales() == before


def test_a_connection_that_ends_in_the_middle(transactional_db, before, world: World) -> None:
    if connection.vendor != "mysql":
        pytest.skip("SQLite has no connection that could be lost")
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        (number,) = cursor.fetchone()

    def kill() -> None:
        time.sleep(0.2)
        with connection.cursor() as cursor:
            cursor.execute(f"KILL CONNECTION {number}")
        connection.close()

    killer = threading.Thread(target=kill)
    killer.start()
    sleeping = Statement("UPDATE assets SET scale = scale + SLEEP(3) WHERE code = 'USD'", "assets", 1)
    with pytest.raises(OperationalError) as raised, transaction.atomic():
        execute([set_number("BTC", 3), sleeping, set_number("BTC", 4)])
    killer.join()
    assert raised.value.args[0] in {1053, 1317, 2006, 2013}
    connection.close()
    assert scales() == before


def test_many_are_sent_in_parts(before, world: World, monkeypatch) -> None:
    monkeypatch.setattr(statements, "MOST_CHARACTERS", 150)
    assert execute_some(set_number("BTC", number) for number in [7, 6, 5, before["BTC"]]) == 4
    assert scales() == before


def test_the_first_rows_of_several_queries(before, world: World) -> None:
    one = ("SELECT scale FROM assets WHERE code = %s", ("BTC",))
    none = ("SELECT scale FROM assets WHERE code = %s", ("none",))
    assert read_rows(one, none, ("SELECT 5", ())) == [(before["BTC"],), None, (5,)]
