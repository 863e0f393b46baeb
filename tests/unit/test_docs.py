"""The documents are kept true."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import get_resolver

from audit.checks import Check
from base.web.errors import ExchangeError
from base.web.forms import Form
from core.types import Reason, Status

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "core",
    "base",
    "users",
    "markets",
    "balances",
    "positions",
    "commands",
    "orders",
    "marketdata",
    "matching",
    "audit",
    "operations",
    "page",
    "classroom",
    "sandbox",
    "exchange",
    "tools",
)
API = (ROOT / "docs" / "api.md").read_text()


def all_subclasses(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from all_subclasses(child)


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def raised_codes() -> set[str]:
    """Codes of refusals, of fields, and those that are named where an InvalidField is made."""
    codes = {error.code for error in all_subclasses(ExchangeError)} - {"INVALID_FIELD", "CONFLICT", "INTERNAL_ERROR"}
    # The views, and with them all forms.
    assert get_resolver().url_patterns
    for form in all_subclasses(Form):
        codes |= form.codes()
    for source in sources():
        codes |= set(re.findall(r'InvalidField\(\s*"[^"]+",\s*"([A-Z_]+)"', source.read_text()))
    return codes


def test_every_error_code_is_documented():
    assert sorted(code for code in raised_codes() if f"`{code}`" not in API) == []


def test_every_documented_error_code_exists():
    section = API.partition("## Errors")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([A-Z]+_[A-Z_]+|BLANK)`", section))
    everything = "".join(source.read_text() for source in sources())
    assert sorted(code for code in documented if f'"{code}"' not in everything) == []


@pytest.mark.parametrize("word", [*Status, *Reason])
def test_every_status_and_reason_is_documented(word):
    assert word.value in API


def test_every_check_of_the_audit_is_documented():
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", (ROOT / "docs" / "audit.md").read_text(), re.MULTILINE)
    assert rows == [(check.value, check.sentence) for check in Check]


def test_decisions_are_dated():
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "decisions.md").read_text(), re.MULTILINE)
    assert headings
    assert [heading for heading in headings if not re.match(r"\d{4}-\d\d-\d\d: ", heading)] == []


def test_every_decision_is_in_the_index():
    index, _, rest = (ROOT / "docs" / "decisions.md").read_text().partition("\n## ")
    headings = re.findall(r"^## \d{4}-\d\d-\d\d: (.+)$", "## " + rest, re.MULTILINE)
    assert sorted(re.findall(r"^  - \[(.+)\]\(#", index, re.MULTILINE)) == sorted(headings)


def test_the_version_is_the_changelogs():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert version[1] == settings.VERSION
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()


def test_settings_are_documented():
    """Every variable that the settings read is in the operator's table."""
    files = [ROOT / "exchange" / name for name in ("settings.py", "account_settings.py", "limit_settings.py")]
    calls = [node for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    readers = [call for call in calls if re.fullmatch(r"env\.\w+|secret|choice|between|link", ast.unparse(call.func))]
    read = {call.args[0].value for call in readers if call.args and isinstance(call.args[0], ast.Constant)}
    documented = (ROOT / "docs" / "settings.md").read_text()
    assert len(read) > 10
    assert sorted(name for name in read if f"`{name}`" not in documented) == []


def test_what_the_original_had_is_where_the_mission_says():
    """Every file that it names exists, and every test; each row names a test."""
    text = (ROOT / "docs" / "mission.md").read_text()
    named = re.findall(r"`([\w.-]+(?:/[\w.-]+)*?(?:\.\w+|/\w+))(?:::(\w+))?`", text)
    paths = [(path, test) for path, test in named if "/" in path or (ROOT / path).exists()]
    assert len(paths) > 100
    assert sorted(path for path, _ in paths if not (ROOT / path).exists()) == []
    assert [test for path, test in paths if test and f"def {test}(" not in (ROOT / path).read_text()] == []
    rows = [row for row in re.findall(r"^\| (.+) \|$", text, re.MULTILINE) if not row.startswith(("part of", "---"))]
    assert [row for row in rows if "`tests/" not in row.rpartition(" | ")[2]] == []


def test_every_test_that_the_page_on_security_names_exists():
    """As `test_powers`, `stream/test_socket`, `test_powers::test_the_groups` or a path; a function may stand alone."""
    text = (ROOT / "docs" / "security.md").read_text()
    files: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        files.setdefault(path.stem, set()).update(re.findall(r"def (test_\w+)\(", path.read_text()))
    functions = set().union(*files.values())
    named = re.findall(r"`(?:[\w/]+/)?(test_\w+)(?:\.py)?(?:::(test_\w+))?`", text)
    assert len(named) > 50
    assert [name for name, _ in named if name not in files and name not in functions] == []
    assert [f"{name}::{test}" for name, test in named if test and test not in files.get(name, ())] == []
