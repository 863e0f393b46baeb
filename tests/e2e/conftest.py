"""Real processes: each test has a demo of its own, which is gone when the test is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Demo
from tests.e2e.shell import Shell


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    try:
        yield demo
    finally:
        if demo.process is not None:
            demo.interrupt()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A terminal with a data folder of its own."""
    return Shell(tmp_path)
