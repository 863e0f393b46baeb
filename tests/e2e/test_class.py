"""A class as a teacher starts it: scripted students trade, the round ends, and its file is played again."""

import csv
import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.e2e.documents import command_lines
from tests.e2e.shell import Shell, runs
from tools.rig.process import LIMITS, Process, wait_for
from tools.rig.trader import Trader, connect

# Of the students alone: the bots trade beside them.
LEAST_TRADES = {5: 5, 30: 100}
PAUSE_SECONDS = (0.2, 1.0)


class Class:
    """`make class` in a terminal with a data folder of its own, on loopback."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.data = shell.data / "class"
        # Many students from one address, which no room has.
        shell.variables = dict.fromkeys(LIMITS, "off") | {"DATA_DIR": str(self.data), "HASH_THREADS": "2"}
        self.make: Process | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.shell.port}"

    def begin(self, students: int) -> None:
        line = f"make class STUDENTS={students} SCENARIO=news-shock HOST=127.0.0.1 PORT={self.shell.port}"
        self.make = make = self.shell.begin("class", f'{line} ARGS="--seed 7"')
        wait_for(lambda: make.has_logged("Ctrl-C stops") or make.has_ended, seconds=150)
        assert make.has_logged("Ctrl-C stops"), self.printed()

    def printed(self) -> str:
        assert self.make is not None
        return self.make.log.read_text()

    def end(self) -> None:
        """As the terminal does on Ctrl-C."""
        make, self.make = self.make, None
        if make is not None and make.pid:
            os.killpg(make.pid, signal.SIGINT)
            wait_for(lambda: make.has_ended, seconds=40)
            assert "stopping" in make.log.read_text()

    @property
    def students(self) -> list[dict[str, str]]:
        with (self.data / "students.csv").open(newline="") as file:
            return list(csv.DictReader(file))


@dataclass
class Student:
    """Quotes around the last price, takes what is there, and cancels now and then."""

    trader: Trader
    dice: random.Random
    accepted: int = 0
    unexpected: str = ""

    def trade(self, until: float) -> None:
        while time.monotonic() < until:
            time.sleep(self.dice.uniform(*PAUSE_SECONDS))
            try:
                self._act()
            except (httpx.TransportError, LookupError, AssertionError) as error:
                self.unexpected = repr(error)

    def _act(self) -> None:
        ticker = self.trader.get("/ticker/ACME-USD")
        side = self.dice.choice(("BUY", "SELL"))
        if self.dice.random() < 0.1:
            answer = self.trader.call("DELETE", "/orders")
        else:
            near = float(ticker["lastPrice"] or 100) * self.dice.uniform(0.99, 1.01)
            order = {"symbol": "ACME-USD", "side": side, "type": "LIMIT", "quantity": str(self.dice.randint(1, 5))}
            order |= {"price": f"{round(near / 0.05) * 0.05:.2f}", "timeInForce": self.dice.choice(("GTC", "IOC"))}
            answer = self.trader.call("POST", "/orders", order)
            self.accepted += answer.status_code == 202
        if answer.status_code >= 500:
            self.unexpected = answer.text


@pytest.fixture
def course(shell: Shell) -> Iterator[Class]:
    made = Class(shell)
    try:
        yield made
    finally:
        made.end()


@runs("make class", "make replay", "manage.py classroom")
def test_a_small_class_trades_and_is_played_again(course: Class) -> None:
    _hold(course, students=5, seconds=10)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_class_of_thirty_trades_for_a_minute_and_is_played_again(course: Class) -> None:
    _hold(course, students=30, seconds=60)


def _hold(course: Class, students: int, seconds: float) -> None:
    course.begin(students)
    assert f"{students} students, 7 bots, seed 7" in course.printed()
    sheet = course.students
    assert len(sheet) == students
    assert all(row["password"] not in course.printed() for row in sheet), "on a screen that a class looks at"
    assert (course.data / "sheet.html").read_text().count("<article>") == students
    accepted = _trade(course, sheet, seconds)
    _check_leaderboard(course, sheet)
    [export] = [line for line in command_lines("docs/class.md") if line.endswith("manage.py classroom export")]
    assert "round 1 is closed" in course.shell.run(export.replace("export", "end"))
    course.shell.run(f"{export} --to {course.shell.folder}")
    audit = export.replace("classroom export", "audit")
    for options in ("--full", "--replay ACME-USD"):
        assert "clean" in course.shell.run(f"{audit} {options}")
    _check_replay(course.shell, accepted, LEAST_TRADES[students])


def _trade(course: Class, sheet: list[dict[str, str]], seconds: float) -> int:
    """How many orders were accepted. Passwords are hashed one after the other, so the students sign in before."""
    found = [_student(course, row) for row in sheet]
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=student.trade, args=(until,)) for student in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [student.unexpected for student in found if student.unexpected] == []
    assert all(student.accepted for student in found)
    return sum(student.accepted for student in found)


def _student(course: Class, row: dict[str, str]) -> Student:
    http = connect(course.address)
    body = {"username": row["name"], "password": row["password"]}
    for _ in range(20):
        answer = http.post("/auth/token", json=body)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(0.5)
    assert answer.status_code == 200, answer.text
    trader = Trader.with_token(course.address, 0, row["name"], answer.json()["data"]["accessToken"])
    return Student(trader, random.Random(row["name"]))


def _check_leaderboard(course: Class, sheet: list[dict[str, str]]) -> None:
    shown = httpx.get(f"{course.address}/api/v1/class", trust_env=False).json()["data"]
    assert {line["name"] for line in shown["standing"]} == {row["name"] for row in sheet}
    assert any(line["profit"] != "0" for line in shown["standing"])
    assert shown["marks"][0]["source"] == "the last trade"
    page = httpx.get(f"{course.address}/leaderboard", trust_env=False).text
    assert all(row["name"] in page for row in sheet)
    assert "demo-password" not in page


def _check_replay(shell: Shell, accepted: int, least_trades: int) -> None:
    file = shell.folder / "round-1.zip"
    replay, at = [line for line in command_lines("docs/class.md") if line.startswith("make replay FILE=round-1.zip")]
    played = shell.run(replay.replace(file.name, str(file)))
    assert "the same history" in played
    counted = re.search(r"([\d,]+) commands, ([\d,]+) events, ([\d,]+) trades", played)
    assert counted
    commands, events, trades = (int(each.replace(",", "")) for each in counted.groups())
    assert commands >= accepted
    assert events >= commands - 5
    assert trades >= least_trades
    assert "bid" in shell.run(at.replace(file.name, str(file)).replace("120", str(events // 2)))
    changed = bytearray(file.read_bytes())
    changed[len(changed) // 2] ^= 1
    file.write_bytes(changed)
    refused = shell.run(f"{replay.replace(file.name, str(file))} || true")
    assert "Traceback" not in refused
    assert "is damaged" in refused or "was changed" in refused
    assert re.search(r"make: .*Error 2", refused)
