"""What counts as a mutant that was killed, and what does not."""

from pathlib import Path

import pytest

from tests.support.mutants import StalePatch, Verdict, apply, killed, mutants, read_mutant

PATCH = """Two is three, and whoever counts to it is one short.

Killed-by: tests/test_numbers.py::test_two tests/test_numbers.py::test_three[word]
Killed-by-hanging: tests/test_numbers.py::test_all_of_them

--- a/numbers.txt
+++ b/numbers.txt
@@ -1,3 +1,3 @@
 one
-two
+three
 three
"""
TWO, WORD, ALL = (f"tests/test_numbers.py::test_{name}" for name in ("two", "three[word]", "all_of_them"))


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    path = tmp_path / "two_is_three.patch"
    path.write_text(PATCH)
    return path


def test_a_patch_says_what_it_breaks_and_who_notices(patch: Path) -> None:
    mutant = read_mutant(patch)
    assert (str(mutant), mutant.needs_server) == ("two_is_three", False)
    assert mutant.harm == "Two is three, and whoever counts to it is one short."
    assert (mutant.killers, mutant.hangs) == ((TWO, WORD), (ALL,))


@pytest.mark.parametrize("cut", ["Two is three, and whoever counts to it is one short.", "tests/test_numbers.py"])
def test_one_that_does_not_is_refused(patch: Path, cut: str) -> None:
    patch.write_text(PATCH.replace(cut, ""))
    with pytest.raises(AssertionError, match="two_is_three"):
        read_mutant(patch)


def test_a_patch_that_fits_is_applied_and_one_that_does_not_is_stale(patch: Path, tmp_path: Path) -> None:
    source = tmp_path / "numbers.txt"
    source.write_text("one\ntwo\nthree\n")
    apply(patch, tmp_path)
    assert source.read_text() == "one\nthree\nthree\n"
    with pytest.raises(StalePatch, match="renew this patch"):
        apply(patch, tmp_path)


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (["assert 2 == 3"], True),
        (["AssertionError: two is not three"], True),
        (["Failed: DID NOT RAISE <class 'base.storage.bulk.GuardFailed'>"], True),
        (['failed on teardown with "AssertionError: money is missing"'], True),
        (["NameError: no two", 'failed on teardown with "AssertionError: money is missing"'], False),
        (["NameError: no two", "assert 2 == 3"], True),
        (['failed on setup with "AssertionError: no market"'], False),
        (["collection failure"], False),
        (["Failed: Timeout (>60.0s) from pytest-timeout."], False),
        ([], False),
    ],
)
def test_what_counts_as_noticed(patch: Path, said: list[str], counts: bool) -> None:
    mutant = read_mutant(patch)
    verdict = Verdict(1, "", failed={TWO: said})
    assert killed(mutant, verdict) == ([TWO] if counts else [])
    assert killed(mutant, Verdict(2, "", failed={TWO: said})) == []


def test_a_test_that_hangs_must_have_been_expected_to(patch: Path) -> None:
    said = ["Failed: Timeout (>20.0s) from pytest-timeout."]
    assert killed(read_mutant(patch), Verdict(1, "", failed={TWO: said, ALL: said})) == [ALL]


def test_mutants_are_of_the_product() -> None:
    changed = {line for mutant in mutants() for line in mutant.path.read_text().splitlines() if line[:6] == "+++ b/"}
    assert changed
    assert not [line for line in changed if line.startswith(("+++ b/tests", "+++ b/audit"))]
