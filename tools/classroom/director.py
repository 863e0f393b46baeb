"""What runs beside a class: begins its round, and plays the timetable, the news and the house's bots.

It reads the round's row each second, so that what the teacher does holds at once. Whatever was done is in rows: a
director that was restarted goes on.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from decimal import Decimal
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exchange.settings")
# What is imported below defines models.
django.setup()

from django.conf import settings  # noqa: E402
from django.db import close_old_connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from base.web.errors import ExchangeError  # noqa: E402
from classroom import beginning, rounds  # noqa: E402
from classroom.beginning import Place  # noqa: E402
from classroom.models import News, Round, RoundState  # noqa: E402
from classroom.news import publish  # noqa: E402
from classroom.rounds import RoundRefused  # noqa: E402
from classroom.scenario import PausePlan, Scenario, StrengthPlan  # noqa: E402
from tools.classroom.fair_value import Move  # noqa: E402
from tools.classroom.house import House, Situation  # noqa: E402
from tools.classroom.plan import Plan, has_begun, note_begun, read_plan  # noqa: E402
from users.acts import Actor  # noqa: E402

logger = logging.getLogger("classroom.director")
LOOK_SECONDS = 0.5
# What was due longer ago when this process first saw the round was done by the one before it.
FRESH_SECONDS = 5
# The engine needs a moment to apply the halts with which the markets began.
BEGIN_SECONDS = 60


class Director:
    def __init__(self, plan: Plan, data: Path) -> None:
        self._plan, self._data = plan, data
        self._actor = Actor(plan.teacher_id, "", "by the timetable of the scenario")
        # By round: the places of the timetable that are done. What was due before this process began is done.
        self._done: dict[int, set[int]] = {}
        self._resumes_at: dict[int, float] = {}

    def begin(self) -> None:
        """Begin the round of this start, if it was not begun. Raises RoundRefused."""
        if has_begun(self._data, self._plan):
            return
        if rounds.open_round() is not None:
            rounds.end_round(self._actor, BEGIN_SECONDS)
        scenario = Scenario.model_validate(self._plan.scenario)
        symbols = [market.symbol for market in scenario.markets]
        rounds.wait_until_quiet(symbols, self._actor, BEGIN_SECONDS)
        places = [
            Place(each.user_id, each.name, each.team, _amounts(each.money), each.is_bot) for each in self._plan.people
        ]
        beginning.begin_round(scenario, places, self._actor, self._plan.seed)
        note_begun(self._data, self._plan)

    def look(self) -> Situation | None:
        """Do what is due in the open round; None where there is none."""
        round_ = rounds.open_round()
        if round_ is None:
            return None
        scenario = Scenario.model_validate(round_.plan)
        second = rounds.elapsed(round_, timezone.now())
        if round_.state == RoundState.RUNNING:
            self._resumes_at.pop(round_.pk, None)
            self._publish(round_, scenario, second)
            self._follow_timetable(round_, scenario, second)
            if scenario.seconds and second >= scenario.seconds:
                rounds.close_round(self._actor)
        elif round_.state == RoundState.PAUSED:
            self._resume_when_due(round_)
        else:
            self._close(round_)
        moves: dict[str, list[Move]] = {}
        for item in News.objects.filter(round=round_):
            for symbol, fraction in item.moves.items():
                moves.setdefault(symbol, []).append(Move(item.at_seconds, float(fraction)))
        is_running = round_.state == RoundState.RUNNING
        return Situation(round_.pk, scenario, round_.seed, second, round_.strength, is_running, moves)

    def _close(self, round_: Round) -> None:
        symbols = rounds.symbols_of(round_)
        if rounds.is_quiet(symbols):
            rounds.finish_round(round_)
        elif not rounds.is_waiting(symbols):
            # Of orders that were being stored when all others were cancelled, and of a market that somebody resumed.
            rounds.close_round(self._actor)

    def _publish(self, round_: Round, scenario: Scenario, second: float) -> None:
        published = set(News.objects.filter(round=round_, place__isnull=False).values_list("place", flat=True))
        for place, item in enumerate(scenario.news, 1):
            if item.at <= second and place not in published:
                publish(round_, item.text, item.move, place)

    def _follow_timetable(self, round_: Round, scenario: Scenario, second: float) -> None:
        known = round_.pk in self._done
        done = self._done.setdefault(round_.pk, set())
        for place, step in enumerate(scenario.timetable):
            if step.at > second or place in done:
                continue
            done.add(place)
            if not known and second - step.at > FRESH_SECONDS:
                continue
            if isinstance(step, StrengthPlan):
                rounds.set_strength(step.value)
            elif isinstance(step, PausePlan):
                rounds.pause(self._actor)
                self._resumes_at[round_.pk] = time.monotonic() + step.seconds
                return

    def _resume_when_due(self, round_: Round) -> None:
        """Only what the timetable has paused: what the teacher pauses, the teacher resumes."""
        due = self._resumes_at.get(round_.pk)
        if due is not None and time.monotonic() >= due:
            del self._resumes_at[round_.pk]
            rounds.resume(self._actor)


def _amounts(money: dict[str, str]) -> dict[str, Decimal]:
    return {asset: Decimal(text) for asset, text in money.items()}


async def _watch(director: Director, house: House) -> None:
    """Look at the round again and again. What cannot be done now is done at one of the next looks."""
    while True:
        try:
            house.situation = await asyncio.to_thread(_look, director)
        except Exception:
            logger.exception("the round could not be looked at")
        await asyncio.sleep(LOOK_SECONDS)


def _look(director: Director) -> Situation | None:
    close_old_connections()
    try:
        director.begin()
        return director.look()
    except RoundRefused as refusal:
        logger.warning("the round waits: %s", refusal)
    except ExchangeError as refusal:
        logger.warning("the round waits: %s", refusal.message)
    return None


async def _run(address: str) -> None:
    data = Path(settings.DATA_DIR)
    plan = read_plan(data)
    house = House(address, [each for each in plan.people if each.is_bot])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch(Director(plan, data), house))
        tasks.create_task(house.run())


def main(arguments: list[str]) -> int:
    [address] = arguments
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asyncio.run(_run(address))
    except KeyboardInterrupt:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
