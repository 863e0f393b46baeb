"""Every program starts in a shell that has set nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.demo.tally import NOTHING_TRADED, Tally

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = (
    "tools.demo",
    "tools.demo.flower",
    "tools.feed",
    "tools.bench",
    "tools.chaos",
    "tools.chaos.drill",
    "tools.siege",
    "tools.compose",
    "tools.scripts.test",
    "tools.scripts.backup",
    "tools.scripts.follow",
    "tools.scripts.trace",
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_says_what_it_does(program: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    done = subprocess.run(
        [sys.executable, "-m", program, "--help"], cwd=ROOT, env=kept, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")


def test_a_demo_that_fails_says_why() -> None:
    """One that is too short for its traders to sign in ended with the error of make alone."""
    tally = Tally()
    assert tally.summary(3).endswith(NOTHING_TRADED)
    tally.see_trade("BTC-USD-1")
    tally.events += 1
    assert NOTHING_TRADED not in tally.summary(3)
