"""What the settings and the sampling need before they are read: loaded by `-p`, ahead of everything else."""

import json
import os
import random

import pytest

from tools.rig.process import LIMITS

# A lane has servers of its own. Once only: a test run that a test starts inherits the lane and its addresses.
if "TEST_LANES" in os.environ and "PYTEST_XDIST_WORKER" in os.environ:
    _number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    os.environ.update(json.loads(os.environ.pop("TEST_LANES"))[_number])
os.environ.setdefault("DEMO", "1")
# No rate limit, because tests send more requests than a user may. The tests of the limit set their own.
os.environ |= dict.fromkeys(LIMITS, "off")
# Another one in each run, so that what is sampled moves. All processes of a run inherit it: see tests.support.sampling.
os.environ.setdefault("TEST_SEED", str(random.SystemRandom().randrange(1_000_000)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """At the end and also with -q: whoever sees a failure needs the seed to see it again."""
    extent = "all cases" if os.environ.get("PROVE") else "long proofs sampled (PROVE=1 runs them whole)"
    terminalreporter.write_line(f"TEST_SEED={os.environ['TEST_SEED']}: {extent}")
