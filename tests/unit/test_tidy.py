"""Habits that a reviewer should not have to remember."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES, FUNCTION_LINES = 300, 40
BANNED_NAMES = {"utils", "helpers", "common", "managers", "facade", "misc"}
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55\ufe0f]")


def tracked(*endings: str) -> list[Path]:
    """The project's files as git knows them; without git, all that are here."""
    asked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = asked.stdout.split() if asked.returncode == 0 else [str(path) for path in ROOT.rglob("*")]
    files = [ROOT / name for name in names if name.endswith(endings) and ".venv" not in name]
    assert files
    return [path for path in files if path.is_file()]


def sources() -> list[Path]:
    return [path for path in tracked(".py") if "migrations" not in path.parts]


def functions() -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path in sources():
        if "tests" in path.relative_to(ROOT).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def test_the_import_contract_names_every_package():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    clients = {path.parent for path in ROOT.glob("clients/*/*/__init__.py")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    packages |= {".".join(path.relative_to(ROOT).parts) for path in clients}
    assert set(contract["root_packages"]) == set(contract["contracts"][0]["layers"]) == packages


def test_modules_are_named_by_nouns():
    assert [path for path in sources() if {path.stem, path.parent.name} & BANNED_NAMES] == []


def test_files_are_short():
    long = {path.name: len(path.read_text().splitlines()) for path in sources() if "tests" not in path.parts}
    assert {name: lines for name, lines in long.items() if lines > FILE_LINES} == {}


def test_functions_are_short():
    long = [f"{path.name}:{node.name}" for path, node in functions() if node.end_lineno - node.lineno >= FUNCTION_LINES]
    # The unpacking of one database row into one order: a list of fields, with nothing to divide.
    assert [name for name in long if name != "order_rows.py:core_order"] == []


def test_modules_say_what_they_are():
    silent = [path for path in sources() if path.stem not in {"__init__", "apps"}]
    assert [path.name for path in silent if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_no_import_inside_a_function():
    found = []
    for path, function in functions():
        found += [
            f"{path.name}:{node.lineno}" for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)
        ]
    assert found == []


@pytest.mark.parametrize("pattern", [r"\bTODO\b", r"\bFIXME\b", r"post_save|import .*pre_save|@receiver"])
def test_no_leftovers(pattern):
    found = [path.name for path in sources() if path.name != "test_tidy.py" and re.search(pattern, path.read_text())]
    assert found == []


def test_no_emoji():
    texts = tracked(".py", ".md", ".toml", ".yml", ".sh", ".html", "Makefile")
    assert [path.name for path in texts if EMOJI.search(path.read_text())] == []


def test_saving_a_model_decides_nothing():
    saves = [path.name for path, node in functions() if node.name in {"save", "delete"} and path.name == "models.py"]
    assert saves == []
