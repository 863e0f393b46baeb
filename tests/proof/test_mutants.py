"""With any one of its safeguards taken out the product fails its own tests."""

import os
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from django.conf import settings

from tests.support.mutants import Laboratory, Mutant, Verdict, killed, mutants

# Cousins of others, left out of a run that must be short: PROOF_TIMES=2 takes them in.
COUSINS = {
    "a_halt_is_obeyed_at_once",
    "a_key_answers_for_any_order",
    "a_limit_of_fills_for_each_command",
    "a_look_before_the_lock",
    "another_command_is_given_up",
    "balances_frozen_in_any_order",
    "inbox_read_by_the_clock",
    "keys_are_not_looked_up",
    "new_token_over_any_other",
    "rung_before_the_commit",
    "the_newest_command_decides_what_is_stale",
    "tried_again_inside_a_transaction",
    "what_was_committed_counts_as_heard",
}
TIMES = int(os.environ.get("PROOF_TIMES", "1"))
MUTANTS = [mutant for mutant in mutants() if TIMES > 1 or str(mutant) not in COUSINS]
LEAST = 20
UNTOUCHED = "untouched"

Verdicts = dict[str, "Future[Verdict]"]

pytestmark = pytest.mark.timeout(600)


def can_show(mutant: Mutant) -> bool:
    return not (mutant.needs_server and settings.DATABASE_URL.startswith("sqlite"))


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    """All that were chosen at work from the first test on: who asks for one waits for that one only."""
    laboratory = Laboratory(tmp_path_factory.mktemp("mutants"), settings.DATABASE_URL, settings.REDIS_URL)
    asked = {item.callspec.params["mutant"] for item in request.session.items if item.name.startswith("test_a_mutant")}
    chosen = [mutant for mutant in MUTANTS if mutant in (asked or MUTANTS) and can_show(mutant)]
    try:
        at_work = {UNTOUCHED: laboratory.examine(UNTOUCHED, [test for mutant in chosen for test in mutant.tests])}
        at_work |= {str(mutant): laboratory.examine(str(mutant), mutant.tests, mutant.path) for mutant in chosen}
        yield at_work
    finally:
        laboratory.close()


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


def test_there_are_enough() -> None:
    assert len(MUTANTS) >= LEAST
