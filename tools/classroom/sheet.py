"""The sheet of a class: who signs in with which password, as CSV and as a page to print and cut."""

import csv
import html
import io
from collections.abc import Sequence
from pathlib import Path

import segno

from tools.classroom.plan import STUDENTS, Person

COLUMNS = ("name", "password", "team", "address")
_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 16px; color: #000; background: #fff; }
main { display: grid; grid-template-columns: repeat(2, 1fr); gap: 0; }
article { display: flex; gap: 14px; align-items: center; border: 1px dashed #888; padding: 12px; break-inside: avoid; }
article svg { flex: none; }
dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: 0 10px; }
dt { color: #555; } dd { margin: 0; font-family: ui-monospace, monospace; font-size: 15px; overflow-wrap: anywhere; }
"""


def as_csv(students: Sequence[Person], address: str) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((each.name, each.password, each.team, address) for each in students)
    return written.getvalue()


def known_passwords(data: Path) -> dict[str, str]:
    """By name, from the sheet of before: whoever has a printed one keeps the password."""
    try:
        with (data / STUDENTS).open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return {row["name"]: row["password"] for row in rows if row.get("name") and row.get("password")}
    except (OSError, KeyError, csv.Error, UnicodeDecodeError):
        return {}


def as_page(students: Sequence[Person], address: str, title: str) -> str:
    """One card for each student, without anything from elsewhere."""
    code = segno.make_qr(address, error="m").svg_inline(scale=3, border=1, omitsize=False)
    cards = "\n".join(_card(each, address, code) for each in students)
    name = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{name}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{name}</h1>\n<main>\n{cards}\n</main>\n</body>\n</html>\n"
    )


def _card(student: Person, address: str, code: str) -> str:
    lines = {"address": address, "name": student.name, "password": student.password, "team": student.team}
    lines["who leads"] = f"{address}leaderboard"
    rows = "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in lines.items())
    return f"<article>{code}<dl>{rows}</dl></article>"
