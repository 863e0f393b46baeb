"""manage.py classroom: what the teacher's page does, from a terminal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from base.web.errors import ExchangeError
from classroom import beginning, rounds
from classroom.exporting import export_round, path_for
from classroom.history.archive import write_archive
from classroom.models import Round
from classroom.news import publish
from classroom.representation import represent_class
from classroom.rounds import RoundRefused
from users.acts import Actor
from users.models import User


class Command(BaseCommand):
    help = "Run the rounds of a class: the same as the teacher's page /admin/class/."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name, words in ACTIONS.items():
            actions.add_parser(name, help=words)
        strength = actions.add_parser("strength", help="how much the bots trade")
        strength.add_argument("percent", type=int)
        news = actions.add_parser("news", help="publish something")
        news.add_argument("text")
        export = actions.add_parser("export", help="a round that is closed as a file")
        export.add_argument("--round", type=int, help="its number; the last one")
        export.add_argument("--to", type=Path, default=Path(), help="the folder in which the file is put")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            self.stdout.write(_DO[options["action"]](options))
        except RoundRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        except ExchangeError as refusal:
            raise CommandError(refusal.message) from refusal
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error


ACTIONS = {
    "pause": "halt the round's markets",
    "resume": "let them trade again",
    "reset": "close the round, and begin the next one with the starting money",
    "end": "close the round",
    "standing": "print the leaderboard",
}


def _actor() -> Actor:
    """Whoever began the last round: a terminal has nobody signed in. Raises RoundRefused."""
    last = rounds.latest_round()
    operator = (
        last.opened_by_id if last else User.objects.filter(is_superuser=True).values_list("pk", flat=True).first()
    )
    if operator is None:
        raise RoundRefused("there is no member of staff who could do this")
    return Actor(operator, "", "manage.py classroom")


def _said(round_: Round) -> str:
    return f"round {round_.pk} is {round_.state.lower()}"


def _strength(options: dict[str, Any]) -> str:
    return f"the bots trade at {rounds.set_strength(options['percent']).strength} %"


def _news(options: dict[str, Any]) -> str:
    publish(rounds.required_round(), options["text"])
    return "published"


def _export(options: dict[str, Any]) -> str:
    wanted = options["round"]
    closed = Round.objects.filter(is_open__isnull=True).order_by("-id")
    found = (closed if wanted is None else closed.filter(pk=wanted)).first()
    if found is None:
        raise RoundRefused("there is no such round that is closed: end it or reset it first")
    path = path_for(found, options["to"])
    write_archive(path, export_round(found))
    return str(path)


def _standing(_: dict[str, Any]) -> str:
    shown = represent_class()
    if shown["round"] is None:
        raise RoundRefused("there was no round yet")
    head = f"round {shown['round']['round']}, {shown['round']['state'].lower()}, {timezone.now():%H:%M:%S} UTC"
    rows = [f"{each['rank']:>4}  {each['name']:<24} {each['profit']:>16}" for each in shown["standing"]]
    return "\n".join([head, *rows])


_DO: dict[str, Callable[[dict[str, Any]], str]] = {
    "pause": lambda _: _said(rounds.pause(_actor())),
    "resume": lambda _: _said(rounds.resume(_actor())),
    "reset": lambda _: _said(beginning.reset_round(_actor())),
    "end": lambda _: _said(rounds.end_round(_actor())),
    "standing": _standing,
    "strength": _strength,
    "news": _news,
    "export": _export,
}
