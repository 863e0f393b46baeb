"""With any one of its safeguards taken out the product fails its own tests.

`make test` tries those whose files have changed and three others, drawn by lot; `make prove` tries all.
"""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from django.conf import settings

from tests.support.mutants import Mutant, MutantRuns, Verdict, changed_files, fits, killed, mutants
from tests.support.sampling import PROVE, dice

LEAST = 20
# Where a branch has changed nearly everything, some of those whose files it changed are left to `make prove` too.
MOST_CHANGED, BY_LOT = 6, 3
UNTOUCHED = "untouched"


def chosen_mutants() -> list[Mutant]:
    everything = mutants()
    if PROVE:
        return everything
    changed = changed_files()
    touched = [mutant for mutant in everything if mutant.files & changed]
    others = [mutant for mutant in everything if mutant not in touched]
    lot = dice("mutants")
    drawn = lot.sample(touched, min(MOST_CHANGED, len(touched))) + lot.sample(others, min(BY_LOT, len(others)))
    return sorted(drawn, key=str)


MUTANTS = chosen_mutants()

Verdicts = dict[str, "Future[Verdict]"]

pytestmark = pytest.mark.timeout(600)


def can_show(mutant: Mutant) -> bool:
    return not (mutant.needs_server and settings.DATABASE_URL.startswith("sqlite"))


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    """All that were chosen at work from the first test on: who asks for one waits for that one only."""
    runs = MutantRuns(tmp_path_factory.mktemp("mutants"), settings.DATABASE_URL, settings.REDIS_URL)
    asked = {item.callspec.params["mutant"] for item in request.session.items if item.name.startswith("test_a_mutant")}
    chosen = [mutant for mutant in MUTANTS if mutant in (asked or MUTANTS) and can_show(mutant)]
    try:
        at_work = {UNTOUCHED: runs.start(UNTOUCHED, [test for mutant in chosen for test in mutant.tests])}
        at_work |= {str(mutant): runs.start(str(mutant), mutant.tests, mutant.path) for mutant in chosen}
        yield at_work
    finally:
        runs.close()


def test_the_product_itself_passes_them(verdicts: Verdicts) -> None:
    verdict = verdicts[UNTOUCHED].result()
    assert verdict.code == 0, verdict.output
    missing = {test for mutant in MUTANTS if str(mutant) in verdicts for test in mutant.tests} - verdict.passed
    assert not missing, verdict.output


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_is_killed(verdicts: Verdicts, mutant: Mutant) -> None:
    if not can_show(mutant):
        pytest.skip("needs a database server")
    verdict = verdicts[str(mutant)].result()
    survived = set(mutant.tests) - set(killed(mutant, verdict))
    assert not survived, f"{mutant.harm}\nNot noticed by {sorted(survived)}:\n{verdict.output}"


def test_there_are_enough_and_each_fits() -> None:
    everything = mutants()
    assert len(everything) >= LEAST
    assert [str(mutant) for mutant in everything if not fits(mutant.path)] == []
