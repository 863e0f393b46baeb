"""The balance cache never answers less than was committed when it was asked, whatever happens on the way.

First each race by hand, then all of them by lot, and then the same with each rule of the protocol left out, because a
model that finds nothing must be able to find something.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.db import OperationalError

from balances.cache import Look, _parse, _written
from balances.models import Balance
from base.storage import coherence
from base.storage.coherence import CLOSED_SECONDS, CLOSING_SECONDS, LEASE_SECONDS, Lease, Phase, Unreachable
from tests.support.coherence import USERS, FakeRedis, FakeRows, FakeStates, Process
from tests.support.interleaving import Stage
from tests.support.sampling import PROVE, SEED

ALICE, BOB = USERS


class House:
    """The model with its processes, driven by hand: nothing takes turns."""

    def __init__(self, seed: int = 0, step_seconds: float = 0.02) -> None:
        self.dice = Random(seed)
        self.stage = Stage(self.dice, step_seconds)
        self.states, self.redis, self.rows = FakeStates(self.stage), FakeRedis(self.stage), FakeRows(self.stage)
        self.web, self.other_web, self.worker = (self.process() for _ in range(3))

    def process(self) -> Process:
        return Process(self.states, self.redis, self.rows)

    def opened(self) -> "House":
        """Everything in use: both web processes have a lease, and the entry is in both levels of theirs."""
        self.web.read(ALICE)
        assert self.states.state.phase is Phase.OPEN
        for process in (self.web, self.other_web):
            process.read(ALICE)
            process.read(ALICE)
        return self

    def hits(self, process: Process) -> int:
        """What it answers while the rows cannot be read: it must come from the cache."""
        plain, self.rows.read = self.rows.read, _no_rows
        locked, self.rows.read_locked = self.rows.read_locked, _no_rows
        try:
            return process.read(ALICE)[1]
        finally:
            self.rows.read, self.rows.read_locked = plain, locked

    def pass_seconds(self, seconds: float) -> None:
        self.stage.now += seconds


def _no_rows(user_id: int) -> Any:
    raise AssertionError("the rows were read")


def during(target: Any, name: str, act: Callable[[], Any], *, after: bool = False) -> None:
    """Have something happen once in the middle of a call: before it is done, or after it."""
    call = getattr(target, name)

    def interrupted(*arguments: Any) -> Any:
        setattr(target, name, call)
        if not after:
            act()
        answer = call(*arguments)
        if after:
            act()
        return answer

    setattr(target, name, interrupted)


def test_an_entry_is_used_by_all_and_in_both_levels():
    house = House().opened()
    assert house.hits(house.web) == house.hits(house.other_web) == 0
    assert house.web.coherence.ask(lambda lease: house.redis.look(ALICE, ""))[1].kind == "entry"


def test_who_writes_makes_it_worthless_before_the_commit():
    house = House().opened()
    house.worker.write([ALICE])
    assert house.web.read(ALICE) == house.other_web.read(ALICE) == (1, 1)
    assert house.hits(house.web) == house.hits(house.other_web) == 1


def test_a_reader_that_is_late_puts_no_old_row_back():
    """It read the row, and the writer came and went before it could keep it."""
    house = House().opened()
    house.worker.write([ALICE])
    during(house.rows, "read_locked", lambda: house.worker.write([ALICE]), after=True)
    assert house.web.read(ALICE) == (1, 1)
    assert house.web.read(ALICE) == house.other_web.read(ALICE) == (2, 2)


def test_what_is_read_between_renewal_and_commit_is_not_kept():
    """The new version is there, and the row is still the old one: its lock says so."""
    house = House().opened()
    house.rows.locked.add(ALICE)
    house.worker.before_commit([ALICE])
    assert house.web.read(ALICE) == (0, 0)
    house.worker.commit([ALICE])
    # The writer dies here: it tells nobody.
    house.rows.locked.clear()
    assert house.web.read(ALICE) == house.other_web.read(ALICE) == (1, 1)


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_writer_that_dies_around_its_commit(dies):
    house = House().opened()
    house.worker.write([ALICE], dies=dies)
    assert house.web.read(ALICE) == house.other_web.read(ALICE) == (int(dies == "after"),) * 2


def test_a_process_that_hears_late_compares():
    """The level in the process is used only if Redis has its version."""
    house = House().opened()
    house.worker.write([ALICE])
    house.other_web.read(ALICE)
    assert house.web.read(ALICE) == (1, 1)


def test_a_reader_without_redis_reads_the_rows():
    house = House().opened()
    house.web.connection.is_cut = True
    house.worker.write([ALICE])
    assert house.web.read(ALICE) == (1, 1)


def test_a_clock_that_stepped_back_keeps_the_caches_closed_no_longer():
    """The database's, by which the state's age is counted: it would be below zero until the clock has caught up."""
    house = House()
    house.states.changed_at = house.stage.now + 3600
    house.web.read(ALICE)
    assert house.states.state.phase is Phase.OPEN


def test_a_version_that_is_gone_is_compared_with_nothing():
    house = House().opened()
    del house.redis.data["version"][ALICE]
    house.rows.committed[ALICE] = 7
    assert house.web.read(ALICE) == house.other_web.read(ALICE) == (7, 7)


def test_a_writer_without_redis_waits_until_no_reader_goes_by_it():
    house = House().opened()
    house.worker.connection.is_cut = True
    began = house.stage.now
    during(house.states, "change", lambda: house.hits(house.web), after=True)
    house.worker.write([ALICE])
    assert LEASE_SECONDS < CLOSING_SECONDS <= house.stage.now - began
    assert house.states.state.phase is Phase.CLOSED
    assert house.web.read(ALICE) == house.other_web.read(ALICE) == (1, 1)
    began = house.stage.now
    house.worker.write([ALICE])
    assert house.stage.now == began, "one wait is enough"
    assert house.web.read(ALICE) == (2, 2)


def test_a_second_writer_waits_too():
    """It finds the caches closing: it does not know when that began."""
    house = House().opened()
    house.states.change(house.states.state, Phase.CLOSING, "")
    began = house.stage.now
    house.worker.write([ALICE])
    assert house.stage.now - began >= CLOSING_SECONDS
    assert house.states.state.phase is Phase.CLOSED


def test_they_are_opened_again_and_nothing_of_before_is_used():
    house = House().opened()
    house.worker.connection.is_cut = True
    house.worker.write([ALICE])
    house.pass_seconds(LEASE_SECONDS)
    assert house.web.read(ALICE) == (1, 1)
    assert house.states.state.phase is Phase.CLOSED, "not at once: each closing costs a wait"
    house.worker.connection.is_cut = False
    house.pass_seconds(CLOSED_SECONDS)
    for process in (house.web, house.other_web) * 2:
        assert process.read(ALICE) == (1, 1)
        house.pass_seconds(LEASE_SECONDS / 10)
    assert house.states.state.phase is Phase.OPEN
    assert house.hits(house.web) == 1
    house.worker.write([ALICE])
    assert house.web.read(ALICE) == house.other_web.read(ALICE) == (2, 2)


def test_a_writer_that_died_while_it_closed_is_followed_by_readers():
    house = House().opened()
    house.states.change(house.states.state, Phase.CLOSING, "")
    for _ in range(4):
        house.pass_seconds(CLOSING_SECONDS)
        house.web.read(ALICE)
    assert house.states.state.phase is Phase.CLOSED


@pytest.mark.parametrize("phase", Phase)
def test_a_reader_needs_no_database_that_takes_writes(phase, monkeypatch):
    """It reads the rows, though the state can neither be closed, nor opened, nor be of another Redis."""
    house = House().opened()
    house.states.change(house.states.state, phase, "another run")

    def read_only(*_: Any) -> bool:
        raise OperationalError(1290, "The MySQL server is running with the --read-only option")

    monkeypatch.setattr(house.states, "change", read_only)
    for _ in range(4):
        house.pass_seconds(CLOSED_SECONDS)
        assert house.web.read(ALICE) == (0, 0)


@pytest.mark.parametrize("empty", [True, False])
def test_a_redis_that_was_restarted_is_another_one(empty):
    """With a dump of before the change: version and entry are alike, and both are old."""
    house = House().opened()
    house.redis.dump = {name: dict(kept) for name, kept in house.redis.data.items()}
    house.worker.write([ALICE])
    house.redis.restart(empty=empty)
    assert house.web.read(ALICE) == house.other_web.read(ALICE) == (1, 1)
    assert house.states.state.phase is Phase.CLOSING


def test_a_writer_notices_the_restart_first():
    house = House().opened()
    house.redis.restart(empty=False)
    house.worker.write([ALICE])
    assert house.states.state.phase is Phase.CLOSED
    assert house.web.read(ALICE) == (1, 1)


def test_a_process_that_was_stopped_has_no_lease_when_it_asks_again():
    """Its question reaches an entry that nobody renews any more: that answer may lack what came after the question."""
    house = House().opened()
    house.worker.connection.is_cut = True
    during(house.redis, "look", lambda: house.worker.write([ALICE]))
    assert house.web.read(ALICE) == (0, 0)
    assert house.web.read(ALICE) == (1, 1)


def test_of_many_who_miss_one_fills():
    house = House().opened()
    house.worker.write([ALICE])
    answers = []
    during(house.rows, "read_locked", lambda: answers.append(house.other_web.read(ALICE)))
    filled = []
    during(house.redis, "fill", lambda: filled.append(1))
    assert house.web.read(ALICE) == (1, 1)
    assert (answers, filled) == ([(1, 1)], [1])


def test_an_entry_keeps_every_field():
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    amounts = {"available": Decimal("90000000000.12345678"), "frozen": Decimal("0.00000001")}
    balance = Balance(user_id=ALICE, currency_id="USD", created_at=now, updated_at=now, **amounts)
    entry = f"version token {_written([balance, Balance(user_id=ALICE, currency_id='BTC', created_at=None)])}"
    look = Look("run", "version", "entry", entry)
    first, second = _parse(ALICE, look, Lease("token", "run", 0.0))
    kept = [field.attname for field in Balance._meta.concrete_fields if not field.primary_key]
    assert [getattr(first, name) for name in kept] == [getattr(balance, name) for name in kept]
    assert (second.currency_id, second.available, second.created_at) == ("BTC", 0, None)
    assert _parse(ALICE, look, Lease("another", "run", 0.0)) is None


def test_caches_that_cannot_be_closed_stop_the_commit(monkeypatch):
    house = House().opened()
    house.worker.connection.is_cut = True
    monkeypatch.setattr(house.states, "change", lambda *_: False)
    with pytest.raises(Unreachable):
        house.worker.write([ALICE])
    assert house.rows.committed[ALICE] == 0


def play(seed: int, prepare: Callable[[House], None] = lambda house: None) -> House:
    """Readers, writers and accidents by lot. Raises AssertionError for a balance that is too old."""
    house = House(seed, step_seconds=0.1)
    prepare(house)
    processes = [house.web, house.other_web, house.worker, house.process()]

    def reads(process: Process) -> None:
        for _ in range(12):
            committed, answered = process.read(house.dice.choice(USERS))
            assert committed <= answered, f"{answered} was answered, {committed} was committed"
            house.stage.turn(house.dice.choice([0, 0, 0.1, 2]))

    def writes(process: Process) -> None:
        for _ in range(8):
            users: Iterable[int] = house.dice.choice([[ALICE], [BOB], USERS])
            process.write(users, house.dice.choice(["", "", "before", "after"]))
            house.stage.turn(house.dice.choice([0, 0, 0.5, 3]))

    def accidents() -> None:
        for _ in range(12):
            house.stage.turn(house.dice.choice([0.1, 0.5, 2, 6]))
            house.dice.choice([lambda: accident(house, processes)] * 3 + [house.stage.turn])()

    house.stage.run(
        [lambda p=p: reads(p) for p in processes[:2]] + [lambda p=p: writes(p) for p in processes[2:]] + [accidents]
    )
    return house


def accident(house: House, processes: list[Process]) -> None:
    redis, unlucky = house.redis, house.dice.choice(processes)
    kind = house.dice.choice(["cut", "mend", "mend", "dump", "dump", "restart", "flush", "evict"])
    if kind in ("cut", "mend"):
        unlucky.connection.is_cut = kind == "cut"
    elif kind == "dump":
        redis.dump = {name: dict(kept) for name, kept in redis.data.items()}
    elif kind == "restart":
        redis.restart(empty=house.dice.random() < 0.3)
    elif kind == "flush":
        redis.data = {"version": {}, "entry": {}}
    else:
        redis.data[house.dice.choice(["version", "entry"])].pop(house.dice.choice(USERS), None)


RUNS = 1000 if PROVE else 40


def play_many(runs: int, prepare: Callable[[House], None] = lambda house: None) -> None:
    for seed in range(SEED, SEED + runs):
        play(seed, prepare)


@pytest.fixture
def opened_soon(monkeypatch, caplog):
    """So that a short run opens and closes the caches more than once."""
    monkeypatch.setattr(coherence, "CLOSED_SECONDS", 1.0)
    caplog.set_level(logging.CRITICAL)


def test_no_balance_is_older_than_what_was_committed(opened_soon):
    play_many(RUNS)


def _fill_without_locks(house: House) -> None:
    house.rows.read_locked = house.rows.read


def _commit_before_renewing(house: House) -> None:
    for process in (house.worker, house.web):
        process.before_commit, process.commit = process.commit, process.before_commit


def _trust_any_server(house: House) -> None:
    look = house.redis.look
    house.redis.look = lambda *asked: look(*asked)._replace(server=house.states.state.server)


def _commit_without_closing(house: House) -> None:
    def renew_if_possible(users: Iterable[int]) -> None:
        try:
            house.worker.connection.renew(users)
        except Exception:
            return

    house.worker.before_commit = renew_if_possible


def _use_entries_of_before(house: House) -> None:
    house.states.change = _keeping_the_token(house)


def _keeping_the_token(house: House) -> Callable[..., bool]:
    """Opened again under the old token; the other phases have tokens of their own."""
    change, first = house.states.change, []

    def changed(before: Any, phase: Phase, server: str) -> bool:
        done = change(before, phase, server)
        if phase is Phase.OPEN:
            first.append(house.states.state.token)
            house.states.state = house.states.state._replace(token=first[0])
        return done

    return changed


WITHOUT = [
    _fill_without_locks,
    _commit_before_renewing,
    _trust_any_server,
    _commit_without_closing,
    _use_entries_of_before,
]


@pytest.mark.parametrize("rule", WITHOUT, ids=lambda rule: rule.__name__.strip("_"))
def test_the_model_finds_a_rule_that_is_left_out(opened_soon, rule):
    with pytest.raises(AssertionError, match="was answered"):
        play_many(400, rule)


def test_the_model_finds_a_lease_that_does_not_end(opened_soon, monkeypatch):
    monkeypatch.setattr(coherence, "LEASE_SECONDS", 1000.0)
    with pytest.raises(AssertionError, match="was answered"):
        play_many(400)
