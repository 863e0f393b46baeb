"""docs/extending.md holds: each sample fits, touches the files that the recipe lists, and passes the unit tests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mutants import HOME, apply

RECIPES = HOME / "tests" / "recipes"
NAMES = ("order_type", "time_in_force", "field", "endpoint", "event")
# How many files of code a sample may touch, beside documents, tests and generated migrations.
MOST_FILES = {"order_type": 6, "field": 5}
# The samples that change a column.
MIGRATED = ("order_type", "time_in_force", "field")


def touched(name: str) -> list[str]:
    return re.findall(r"^\+\+\+ b/(.+)$", (RECIPES / f"{name}.patch").read_text(), re.MULTILINE)


def listed(name: str) -> list[str]:
    """The files in the section of the recipe that names the sample."""
    sections = (HOME / "docs" / "extending.md").read_text().split("\n## ")
    [section] = [text for text in sections if f"`tests/recipes/{name}.patch`" in text]
    return re.findall(r"^- (\S+)$", section, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_lists_what_the_sample_touches(name: str) -> None:
    assert sorted(touched(name)) == sorted(listed(name))
    code = [file for file in touched(name) if file.endswith(".py") and not file.startswith("tests/")]
    assert len(code) <= MOST_FILES.get(name, 6), code


def test_every_sample_has_a_recipe() -> None:
    assert sorted(path.stem for path in RECIPES.iterdir()) == sorted(NAMES)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_the_sample_passes_the_unit_tests(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for file in subprocess.run(asked, cwd=HOME, capture_output=True, text=True, check=True).stdout.split():
        if (HOME / file).is_file():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HOME / file, copy / file)
    apply(RECIPES / f"{name}.patch", copy)
    # Not part of a sample, because its number would be another with each migration of ours.
    migrate = [sys.executable, "manage.py", "makemigrations", "orders"]
    made = subprocess.run(
        migrate, cwd=copy, env={**os.environ, "DEMO": "1"}, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert ("No changes detected" not in made.stdout) == (name in MIGRATED), made.stdout
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "no tests ran" not in done.stdout
