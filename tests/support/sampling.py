"""What is sampled. The long proofs take a part of their cases, drawn by a seed that is printed.

TEST_SEED=N draws the same cases again. PROVE=1 takes all of them, and the tests marked `long` with them; PROVE=20 takes
them all, and those that are made at random twenty times over.
"""

import os
import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

Case = TypeVar("Case")

# A leg that runs beside another takes one test in so many; all of them if everything is to be proved.
LEG_ONE_IN = int(os.environ.get("TEST_LEG_ONE_IN") or 1)

PROVE = int(os.environ.get("PROVE") or 0)
TIMES = max(PROVE, 1)
# tests.support.environment draws it before the first test is read, for all processes of a run.
SEED = int(os.environ["TEST_SEED"])


# The files of scenarios of order kinds, over HTTP.
ORDER_KINDS = (
    *("stops", "oco", "amend", "replace", "gtd", "dead_man", "preview", "fees", "fee_tiers", "icebergs", "decrement"),
    *("cancels", "auction"),
)

# Files of many cases of one kind.
FAMILIES = (
    *("signed_requests", "admin_lists", "exposure", "queries", "malformed_entries", "lockout", "api_keys", "contract"),
    *("exports", "audit", "overview"),
)

# Of files whose other tests are short.
LONG_ONES = (
    "tests/integration/test_positions.py::test_any_history_adds_up",
    "tests/integration/test_round_history.py::test_a_stream_of_all_kinds_is_played_again",
    "tests/integration/test_servers.py::test_each_process_starts_all_the_same_and_names_it_once",
    "tests/integration/test_binance_book.py::test_a_client_that_begins_anywhere_keeps_the_book",
    "tests/integration/test_lists.py::test_a_page_looks_at_so_many_rows",
    "tests/integration/test_hardening.py::test_the_settings_as_shipped_are_what_django_advises",
    "tests/integration/test_audit_snapshot.py::test_no_alarm_while_the_exchange_trades",
)

# What `make test` runs a part of, because it takes long: one test in so many of these files together.
DRAWN: tuple[tuple[int, tuple[str, ...]], ...] = (
    (4, tuple(f"tests/chaos/test_{part}.py" for part in ("bells", "kills", "laps", "outages", "siege"))),
    (3, tuple(f"tests/e2e/test_{part}.py" for part in ("demo", "recovery", "follow", "flower"))),
    (2, tuple(f"tests/e2e/test_commands.py::test_{name}" for name in ("a_", "the_", "one_", "api_keys_"))),
    (2, ("tests/page/test_trading.py", "tests/page/test_access.py")),
    (3, tuple(f"tests/clients/test_{name}.py" for name in ("live", "examples", "snippets", "mcp", "stock"))),
    (3, ("tests/integration/test_binance_", "tests/integration/test_sandbox_fates.py")),
    (2, ("tests/proof/test_description.py",)),
    (5, ("tests/proof/test_failpoints.py",)),
    (3, ("tests/proof/test_admin_lists.py",)),
    (6, ("tests/proof/test_hostile_input.py",)),
    (3, ("tests/integration/test_migrations.py",)),
    (2, ("tests/integration/test_properties.py",)),
    (2, ("tests/integration/test_bad_input.py",)),
    (2, tuple(f"tests/integration/test_{kind}.py" for kind in ORDER_KINDS)),
    (2, tuple(f"tests/integration/test_{kind}.py" for kind in FAMILIES)),
    (2, ("tests/integration/stream/test_",)),
    (2, ("tests/integration/test_breakers.py",)),
    (2, ("tests/bench/test_naive.py", *LONG_ONES)),
    (2, ("tests/unit/test_coherence.py",)),
)


def dice(*names: object) -> random.Random:
    """Random numbers for one purpose: another purpose that draws more or fewer does not change them."""
    return random.Random(" ".join(map(str, (SEED, *names))))


def sample(cases: Iterable[Case], one_in: int, *names: object) -> list[Case]:
    """A part of the cases in their order, one at least; all of them if everything is to be proved."""
    everything: Sequence[Case] = list(cases)
    if PROVE:
        return list(everything)
    count = max(1, len(everything) // one_in)
    return [everything[at] for at in sorted(dice(*names).sample(range(len(everything)), count))]
