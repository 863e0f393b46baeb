"""What the settings and the sampling need before they are read: loaded by `-p`, ahead of everything else."""

import os
import random

import pytest

os.environ.setdefault("DEMO", "1")
# The cast asks faster than anybody may. The tests of the limit switch it on, live processes that have it say so.
os.environ["RATE_LIMIT"] = "off"
# Another one in each run, so that what is sampled moves. All processes of a run inherit it: see tests.support.sampling.
os.environ.setdefault("TEST_SEED", str(random.SystemRandom().randrange(1_000_000)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """At the end and also with -q: whoever sees a failure needs the seed to see it again."""
    extent = "all cases" if os.environ.get("PROVE") else "long proofs sampled (PROVE=1 runs them whole)"
    terminalreporter.write_line(f"TEST_SEED={os.environ['TEST_SEED']}: {extent}")
