"""The director of a class: it begins a round once for each start, and does what the timetable says."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from classroom import rounds
from classroom.beginning import list_markets
from classroom.models import News, Round, RoundState
from commands.models import Command
from core.types import MarketStatus
from tests.support.rounds import SYMBOL, TEXT, Class, scenario
from tools.classroom.director import Director
from tools.classroom.plan import Person, Plan, read_plan, write_plan

pytestmark = pytest.mark.django_db


class Directed(Class):
    """A class with a director, whose clock is turned by moving the round's row."""

    folder: Path
    director: Director

    def start(self, text: str = TEXT, start: str = "first") -> None:
        self.plan = scenario(text)
        people = [
            Person(each.name, "", each.team, {asset: str(amount) for asset, amount in each.money.items()}, each.user_id)
            for each in self.places
        ]
        plan = Plan(start, 7, self.teacher.user.pk, self.plan.model_dump(mode="json"), people)
        write_plan(self.folder, plan)
        self.director = Director(read_plan(self.folder), self.folder)
        self.director.begin()
        self.match()

    def at(self, second: float) -> Round:
        """Let the director look when the round has traded for so long."""
        Round.objects.filter(is_open=True, running_since__isnull=False).update(
            running_since=timezone.now() - timedelta(seconds=second), ran_seconds=0
        )
        self.director.look()
        self.match()
        return Round.objects.latest("id")


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Directed:
    made = Directed.make()
    assert isinstance(made, Directed)
    made.folder = tmp_path
    list_markets(made.plan, made.actor)
    monkeypatch.setattr(rounds, "sleep", lambda _seconds: made.match())
    return made


def test_a_round_is_played_by_its_timetable(course: Directed, monkeypatch: pytest.MonkeyPatch) -> None:
    course.start()
    assert course.at(1).state == RoundState.RUNNING
    assert not News.objects.exists()
    for _ in range(2):
        assert course.at(11).state == RoundState.RUNNING
    assert News.objects.get().place == 1
    course.play(course.ann, "sell 1 @ 100")
    assert course.at(21).state == RoundState.PAUSED
    assert course.at(21).state == RoundState.PAUSED, "it is paused for five seconds"
    now = [1000.0]
    monkeypatch.setattr("tools.classroom.director.time.monotonic", lambda: now[0])
    course.director._resumes_at = dict.fromkeys(course.director._resumes_at, 1004.0)
    assert course.at(21).state == RoundState.PAUSED
    now[0] = 1005.0
    assert course.at(21).state == RoundState.RUNNING
    assert course.at(31).strength == 50
    assert course.at(61).state == RoundState.CLOSING
    assert course.at(61).state == RoundState.CLOSED
    assert course.director.look() is None
    assert Round.objects.get().ran_seconds >= 60


def test_what_the_teacher_pauses_the_teacher_resumes(course: Directed, monkeypatch: pytest.MonkeyPatch) -> None:
    course.start()
    course.at(1)
    course.at(21)
    rounds.resume(course.actor)
    course.match()
    course.at(22)
    rounds.pause(course.actor)
    course.match()
    monkeypatch.setattr("tools.classroom.director.time.monotonic", lambda: 1e9)
    assert course.at(22).state == RoundState.PAUSED


def test_each_start_begins_one_round_and_a_restarted_director_none(course: Directed) -> None:
    course.start()
    course.play(course.ann, "sell 1 @ 100")
    again = Director(read_plan(course.folder), course.folder)
    again.begin()
    assert Round.objects.count() == 1
    Round.objects.update(running_since=timezone.now() - timedelta(seconds=35))
    situation = again.look()
    assert situation is not None
    assert (situation.is_running, situation.strength, situation.moves[SYMBOL][0].fraction) == (True, 100, 0.1)
    course.start(start="second")
    assert [each.state for each in Round.objects.order_by("id")] == [RoundState.CLOSED, RoundState.RUNNING]
    assert course.ann.holds("ACME") == "100 0"


def test_an_order_that_came_when_all_others_were_cancelled_is_cancelled_too(course: Directed) -> None:
    course.start()
    course.play(course.ann, "sell 1 @ 100")
    round_ = rounds.close_round(course.actor)
    # As if its transaction had been committed a moment later, behind those of the cancels and before the halt.
    Command.objects.filter(kind="CANCEL").delete()
    course.match()
    assert course.director.look() is not None
    assert Command.objects.filter(kind="CANCEL").count() == 1
    course.match()
    course.director.look()
    round_.refresh_from_db()
    assert round_.state == RoundState.CLOSED


def test_a_round_that_is_closing_is_closed_though_somebody_resumes_its_market(course: Directed) -> None:
    """The halt of the second teacher comes between the two steps in which the first one resumes the round."""
    course.start()
    course.play(course.ann, "sell 1 @ 100")
    round_ = rounds.close_round(course.actor)
    rounds.set_status([SYMBOL], MarketStatus.TRADING, course.actor)
    course.play(course.ann, "sell 1 @ 100")
    for _ in range(2):
        course.director.look()
        course.match()
    course.director.look()
    round_.refresh_from_db()
    assert round_.state == RoundState.CLOSED
