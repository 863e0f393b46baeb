"""A small class for tests: a scenario, two students and a bot, and a market whose worker runs in place."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from classroom import beginning, rounds
from classroom.beginning import Place
from classroom.models import Round
from classroom.pages import find_leaderboard
from classroom.representation import find_class
from classroom.scenario import Scenario, read_scenario
from classroom.standing import find_standing
from matching.drain import drain
from tests.support.tape import parse
from tests.support.world import Person, person
from users.acts import Actor

TEXT = """
title: A test
about: Two students and a bot.
seconds: 60
seed: 7
markets:
  - {symbol: ACME-USD, tick: 0.05, lot: 1, fair_value: 100, price_band: 0.1, taker_fee: 0.001}
teams:
  - {name: red, money: {USD: 10000, ACME: 100}}
  - {name: blue, money: {USD: 20000, ACME: 0}}
bots:
  - {name: maker, kind: maker, size: 5, knows: 4, money: {USD: 50000, ACME: 500}}
news:
  - {at: 10, text: ACME wins an order., move: {ACME-USD: 0.1}}
timetable:
  - {at: 20, do: pause, seconds: 5}
  - {at: 30, do: strength, value: 50}
"""
SYMBOL = "ACME-USD"


def scenario(text: str = TEXT) -> Scenario:
    return read_scenario("test.yaml", text.encode())


def forget() -> None:
    """What a process remembers of a class for a second."""
    find_standing.cache_clear()
    find_class.cache_clear()
    find_leaderboard.cache_clear()


@dataclass
class Class:
    teacher: Person
    ann: Person
    ben: Person
    maker: Person
    plan: Scenario

    @classmethod
    def make(cls) -> Self:
        forget()
        people = [person(name) for name in ("ann", "ben", "bot-maker-1")]
        return cls(person("teacher", is_staff=True, is_superuser=True), *people, scenario())

    @property
    def actor(self) -> Actor:
        return Actor(self.teacher.user.pk, "192.0.2.1", "a test")

    @property
    def places(self) -> list[Place]:
        red, blue = self.plan.seats(2)
        [bot] = self.plan.bots
        return [
            Place(self.ann.user.pk, "ann", red.name, red.money),
            Place(self.ben.user.pk, "ben", blue.name, blue.money),
            Place(self.maker.user.pk, "bot-maker-1", bot.name, bot.money, is_bot=True),
        ]

    def begin(self) -> Round:
        beginning.list_markets(self.plan, self.actor)
        self.match()
        round_ = beginning.begin_round(self.plan, self.places, self.actor, seed=7)
        self.match()
        return round_

    def play(self, who: Person, line: str, **more: Any) -> Any:
        """Place an order and match it; the answer to its POST."""
        answer = who.call("POST", "/orders", parse(line).body(SYMBOL, **more))
        self.match()
        return answer

    def match(self) -> None:
        drain(SYMBOL)

    def end(self) -> Round:
        round_ = rounds.close_round(self.actor)
        self.match()
        return rounds.finish_round(round_)

    def standing(self) -> dict[str, Decimal]:
        forget()
        latest = rounds.latest_round()
        assert latest is not None
        return {line.name: line.profit for line in find_standing(latest).lines}
