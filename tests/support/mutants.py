"""Mutants: the product without one of its safeguards, and whether its own tests fail then.

Each patch in tests/mutants changes one thing that somebody might change, and begins with a few lines of text: what
would be lost or doubled, and after `Killed-by:` the tests that must fail then, each in at least one of its cases.

    Killed-by: tests/integration/test_worker.py::test_a_name another_file.py::test_another
    Killed-by-hanging: tests/...     the same, for a test that does not end any more
    Database: mysql                  where SQLite, which lets one writer in at a time, cannot show it
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlsplit
from xml.etree import ElementTree

HOME = Path(__file__).resolve().parents[2]
PATCHES = HOME / "tests" / "mutants"
SLOTS = 2
# One test, and all that are run on one mutant.
TEST_SECONDS, RUN_SECONDS = 60, 240
# Logical databases of the tests' Redis; the tests of this process use the first two.
FIRST_REDIS = 4
# All others are left out: to import them takes longer than most of the tests.
PLUGINS = ("-p", "pytest_django.plugin", "-p", "pytest_timeout", "-p", "no:cacheprovider")
# The last ones are the product's own words for what it must not go on with. Any other exception may be a slip of the
# mutant's, or of the test's own.
_ASSERTED = (
    *("assert ", "AssertionError", "Failed: DID NOT RAISE"),
    *("matching.books.BrokenBook", "balances.settling.Overdrawn"),
)
_COUNT = 'failed on teardown with "'


@dataclass(frozen=True)
class Mutant:
    """A patch, with the harm and the tests that its first lines name."""

    path: Path
    harm: str
    killers: tuple[str, ...]
    hangs: tuple[str, ...] = ()
    needs_server: bool = False

    def __str__(self) -> str:
        return self.path.stem

    @property
    def tests(self) -> tuple[str, ...]:
        return self.killers + self.hangs

    @property
    def files(self) -> set[str]:
        """What it changes, what kills it, and the patch itself."""
        changed = {line[6:] for line in self.path.read_text().splitlines() if line.startswith("+++ b/")}
        return changed | {test.partition("::")[0] for test in self.tests} | {str(self.path.relative_to(HOME))}


@dataclass
class Verdict:
    """The results of the tests: the names of those that passed, and of those that failed with their messages."""

    code: int
    output: str
    passed: set[str] = field(default_factory=set)
    failed: dict[str, list[str]] = field(default_factory=dict)


class StalePatch(Exception):
    """The patch does not apply to the source any more."""


def read_mutant(path: Path) -> Mutant:
    """Raises AssertionError for a patch that does not name the harm and the tests that fail."""
    text = path.read_text()
    head = text.partition("\n--- ")[0].splitlines()
    found: dict[str, list[str]] = {"Killed-by": [], "Killed-by-hanging": [], "Database": []}
    prose = []
    for line in head:
        name, colon, value = line.partition(": ")
        if colon and name in found:
            found[name] += value.split()
        else:
            prose.append(line)
    harm = " ".join(prose).strip()
    killers, hangs = tuple(found["Killed-by"]), tuple(found["Killed-by-hanging"])
    assert harm.endswith("."), f"{path.name} does not name the harm"
    assert killers + hangs, f"{path.name} names no test"
    assert all(test.startswith("tests/") and test.count("::") == 1 for test in killers + hangs), path.name
    return Mutant(path, harm, killers, hangs, needs_server=found["Database"] == ["mysql"])


def mutants() -> list[Mutant]:
    return [read_mutant(path) for path in sorted(PATCHES.glob("*.patch"))]


def changed_files() -> set[str]:
    """Of this branch and of the folder, against where it left main; on main, against the commit before the last."""
    head = _git("rev-parse", "HEAD")
    left = _git("merge-base", "HEAD", "main") or _git("merge-base", "HEAD", "origin/main")
    since = left if left and left != head else "HEAD~1"
    named = _git("diff", "--name-only", since), _git("ls-files", "--others", "--exclude-standard")
    return {name for names in named for name in names.splitlines()}


def _git(*arguments: str) -> str:
    """The output of git; empty where the folder is no repository, or the name is unknown."""
    asked = subprocess.run(["git", *arguments], cwd=HOME, capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else ""


class MutantRuns:
    """Runs tests on copies of the product, two at a time, each beside databases of its own."""

    def __init__(self, folder: Path, database_url: str, redis_url: str) -> None:
        self.folder, self.database_url, self.redis_url = folder, database_url, redis_url
        self._pool = ThreadPoolExecutor(SLOTS, thread_name_prefix="mutants")
        self._slots: SimpleQueue[int] = SimpleQueue()
        for slot in range(SLOTS):
            self._slots.put(slot)

    def start(self, name: str, tests: Iterable[str], patch: Path | None = None) -> "Future[Verdict]":
        """The tests on a copy with the patch; the future raises StalePatch where it does not fit."""
        return self._pool.submit(self._run, name, sorted(set(tests)), patch)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _run(self, name: str, tests: list[str], patch: Path | None) -> Verdict:
        copy = self.folder / name
        copy_product(copy)
        try:
            if patch is not None:
                apply(patch, copy)
            with self._slot() as environment:
                return run_tests(copy, tests, environment)
        finally:
            shutil.rmtree(copy)

    @contextmanager
    def _slot(self) -> Iterator[dict[str, str]]:
        slot = self._slots.get()
        try:
            address, mark, query = self.database_url.partition("?")
            redis = urlsplit(self.redis_url)
            yield {
                "DATABASE_URL": f"{address}_mutant{slot}{mark}{query}",
                "REDIS_URL": redis._replace(path=f"/{FIRST_REDIS + slot}").geturl(),
                "DATA_DIR": str(self.folder / f"data-{slot}"),
            }
        finally:
            self._slots.put(slot)


def copy_product(to: Path) -> None:
    """What the tests need of the project: its packages, compiled files included, and how pytest is called."""
    for package in (*(found.parent for found in HOME.glob("*/__init__.py")), HOME / "clients"):
        shutil.copytree(package, to / package.name, ignore=shutil.ignore_patterns("*.patch"))
    for name in ("manage.py", "pyproject.toml"):
        shutil.copy2(HOME / name, to)


def apply(patch: Path, to: Path) -> None:
    """Raises StalePatch if it does not fit."""
    # git must not search the folders above for a repository, because it would then patch the files there.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(to.parent)}
    command = ["git", "apply", "--whitespace=nowarn", str(patch)]
    applied = subprocess.run(command, cwd=to, env=environment, capture_output=True, text=True, check=False)
    if applied.returncode:
        raise StalePatch(f"renew this patch, the source has changed: {patch.name}\n{applied.stderr}")


def fits(patch: Path) -> bool:
    """Whether it could be applied to the project as it is."""
    command = ["git", "apply", "--check", str(patch)]
    return subprocess.run(command, cwd=HOME, capture_output=True, check=False).returncode == 0


def run_tests(copy: Path, tests: list[str], environment: dict[str, str]) -> Verdict:
    """pytest in a process of its own, with the same interpreter."""
    report = copy / "report.xml"
    # Tables from the models: each copy makes its own, and the migrations are proved elsewhere.
    options = ["-q", "--create-db", "--no-migrations", f"--timeout={TEST_SECONDS}", f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *PLUGINS, *options, *tests]
    try:
        ended = subprocess.run(
            command,
            cwd=copy,
            # Whole: a sample of a long proof may miss the place where the safeguard is gone.
            env={**os.environ, **environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PROVE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=RUN_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        return Verdict(-1, f"did not end within {RUN_SECONDS} s:\n{error.stdout!r}")
    verdict = Verdict(ended.returncode, ended.stdout)
    if report.exists():
        _read_report(report, verdict)
    return verdict


def _read_report(report: Path, verdict: Verdict) -> None:
    for case in ElementTree.parse(report).iter("testcase"):
        one = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        complaints = [complaint.get("message") or "" for complaint in (*case.iter("failure"), *case.iter("error"))]
        # Under its own name and under that of all its cases.
        for name in {one, one.partition("[")[0]}:
            if complaints:
                verdict.failed.setdefault(name, []).extend(complaints)
            elif case.find("skipped") is None:
                verdict.passed.add(name)


def killed(mutant: Mutant, verdict: Verdict) -> list[str]:
    """The tests that failed because of the mutant. A failed import or setup does not count."""
    if verdict.code != 1:
        return []
    noticed = [test for test in mutant.killers if _is_notice(verdict.failed.get(test, []))]
    return noticed + [test for test in mutant.hangs if verdict.failed.get(test)]


def _is_notice(complaints: list[str]) -> bool:
    """Something was asserted and was not so: in a test, or in the count of the money after one that passed."""
    counts = [complaint for complaint in complaints if complaint.startswith(_COUNT)]
    others = [complaint for complaint in complaints if complaint not in counts]
    if others:
        return any(complaint.startswith(_ASSERTED) for complaint in others)
    return any(complaint.removeprefix(_COUNT).startswith(_ASSERTED) for complaint in counts)
