"""Make the accounts, markets and sheet of a class, by the services: python -m tools.classroom.seed. May be repeated."""

import argparse
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exchange.settings")
# What is imported below defines models.
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from base.web.errors import ExchangeError, SignInsBusy  # noqa: E402
from classroom.beginning import list_markets  # noqa: E402
from classroom.rounds import RoundRefused  # noqa: E402
from classroom.scenario import Scenario, load_scenario  # noqa: E402
from classroom.scenario_text import ScenarioError  # noqa: E402
from core.money import plain  # noqa: E402
from tools.classroom.passwords import readable_password  # noqa: E402
from tools.classroom.plan import (  # noqa: E402
    SHEET,
    STUDENTS,
    TEACHER,
    TEACHER_FILE,
    Person,
    Plan,
    read_plan,
    write_plan,
    write_private,
)
from tools.classroom.sheet import as_csv, as_page, known_passwords  # noqa: E402
from tools.demo.secrets import STAFF_PASSWORD  # noqa: E402
from users.acts import Actor  # noqa: E402
from users.api_key import Ending  # noqa: E402
from users.api_keys import end_keys  # noqa: E402
from users.models import User  # noqa: E402
from users.services import end_all_sessions, register  # noqa: E402

# What is refused is said on standard output, in words.
REFUSED = 3
PATIENT_TRIES = 10
# They send several orders at once.
BOTS_RATE = 50
# After so many accounts a line is printed, because each takes a moment.
EVERY = 10


def main() -> int:
    options = _parse()
    if not settings.DEMO:
        print("a class is started by `make class`, and not on an exchange that trades", flush=True)
        return REFUSED
    try:
        scenario = load_scenario(options.scenario)
        call_command("migrate", verbosity=0, interactive=False)
        _prepare(scenario, options)
    except (ScenarioError, RoundRefused) as error:
        print(error, flush=True)
        return REFUSED
    except ExchangeError as error:
        print(error.message, flush=True)
        return REFUSED
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.classroom.seed", description=__doc__)
    parser.add_argument("--students", type=int, required=True)
    parser.add_argument("--scenario", required=True)
    parser.add_argument("--address", required=True, help="that is printed on the sheet")
    parser.add_argument("--seed", type=int)
    return parser.parse_args()


def _prepare(scenario: Scenario, options: argparse.Namespace) -> None:
    data = Path(settings.DATA_DIR)
    teacher = _teacher(os.environ[STAFF_PASSWORD])
    actor = Actor(teacher.pk, "", "make class")
    list_markets(scenario, actor)
    known = known_passwords(data) | _known_bots(data)
    people = [*_students(scenario, options.students, known), *_bots(scenario, known)]
    admitted = [_admitted(each, each.name in known, number, len(people)) for number, each in enumerate(people, 1)]
    students = [each for each in admitted if not each.is_bot]
    write_private(data / STUDENTS, as_csv(students, options.address))
    write_private(data / SHEET, as_page(students, options.address, scenario.title))
    password = os.environ[STAFF_PASSWORD]
    page = f"{options.address}admin/class/"
    write_private(data / TEACHER_FILE, f"your page: {page}\nname: {TEACHER}\npassword: {password}\n")
    seeds = (options.seed, scenario.seed, secrets.randbelow(2**32))
    seed = next(each for each in seeds if each is not None)
    plan = scenario.model_dump(mode="json")
    write_plan(data, Plan(secrets.token_hex(8), seed, teacher.pk, plan, admitted))


def _teacher(password: str) -> User:
    """Who runs the rounds, and may do all else that staff may."""
    user = User.objects.filter(username=TEACHER).first() or _registered(TEACHER, password)
    if not user.check_password(password):
        # The secrets of the data folder were made anew.
        _set_password(user, password)
    if not user.is_superuser:
        user.is_staff = user.is_superuser = True
        user.save(update_fields=["is_staff", "is_superuser"])
    return user


def _students(scenario: Scenario, count: int, known: dict[str, str]) -> list[Person]:
    names = [f"student-{number:02}" for number in range(1, count + 1)]
    return [
        Person(name, known.get(name) or readable_password(), team.name, _text(team.money))
        for name, team in zip(names, scenario.seats(count), strict=True)
    ]


def _known_bots(data: Path) -> dict[str, str]:
    with suppress(OSError, ValueError, TypeError, LookupError):
        return {each.name: each.password for each in read_plan(data).people if each.is_bot}
    return {}


def _bots(scenario: Scenario, known: dict[str, str]) -> list[Person]:
    return [
        Person(name, known.get(name) or secrets.token_urlsafe(18), bot.name, _text(bot.money), is_bot=True)
        for bot in scenario.bots
        for name in bot.names
    ]


def _text(money: Mapping[str, Decimal]) -> dict[str, str]:
    return {asset: plain(amount) for asset, amount in money.items()}


def _set_password(user: User, password: str) -> None:
    """Whoever had the account before, by its password or because its name was free, is out."""
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        end_all_sessions(user.pk)
        end_keys(user.pk, Ending.OPERATOR)


def _admitted(person: Person, is_known: bool, number: int, count: int) -> Person:
    """The person with an account, whose password is the one on the sheet. `is_known`: it was on the sheet of before."""
    user = User.objects.filter(username=person.name).first()
    if user is None:
        user = _registered(person.name, person.password)
        if number % EVERY == 0 or number == count:
            print(f"accounts: {number} of {count}, those of the bots among them", flush=True)
    elif not is_known:
        # The sheet of before is gone.
        _set_password(user, person.password)
    if person.is_bot and user.rate_limit is None:
        user.rate_limit = BOTS_RATE
        user.save(update_fields=["rate_limit"])
    return Person(**{**vars(person), "user_id": user.pk})


def _registered(name: str, password: str) -> User:
    """Passwords are hashed at a low priority, which on a busy machine takes longer than one call waits."""
    for _ in range(PATIENT_TRIES):
        with suppress(SignInsBusy):
            return register(username=name, email=f"{name}@example.com", password=password, by_operator=True)
    return register(username=name, email=f"{name}@example.com", password=password, by_operator=True)


if __name__ == "__main__":
    sys.exit(main())
