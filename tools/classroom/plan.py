"""What a class is to be, in a file that only its owner reads: written when it is prepared, read by its director."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE, BEGUN = "class.json", "begun"
STUDENTS, SHEET, TEACHER_FILE = "students.csv", "sheet.html", "teacher.txt"
TEACHER = "teacher"
MOST_STUDENTS = 200


@dataclass(frozen=True)
class Person:
    """An account of the class. `money` as text, by asset."""

    name: str
    password: str
    team: str
    money: dict[str, str]
    user_id: int = 0
    is_bot: bool = False


@dataclass(frozen=True)
class Plan:
    """`start` is another text at each start: a director that was restarted goes on with the round that it finds."""

    start: str
    seed: int
    teacher_id: int
    scenario: dict[str, Any]
    people: list[Person] = field(default_factory=list)


def write_plan(data: Path, plan: Plan) -> None:
    write_private(data / FILE, json.dumps(asdict(plan)))


def read_plan(data: Path) -> Plan:
    """Raises OSError and ValueError."""
    written = json.loads((data / FILE).read_text())
    people = [Person(**each) for each in written.pop("people")]
    return Plan(**written, people=people)


def has_begun(data: Path, plan: Plan) -> bool:
    """Whether the round of this start was begun."""
    return (data / BEGUN).exists() and (data / BEGUN).read_text() == plan.start


def note_begun(data: Path, plan: Plan) -> None:
    write_private(data / BEGUN, plan.start)


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, for its owner alone."""
    growing = path.with_name(f".{path.name}.growing")
    growing.unlink(missing_ok=True)
    with open(os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as new:
        new.write(text)
    growing.replace(path)
