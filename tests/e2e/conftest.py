"""Real processes: a demo that most tests share, and one of its own for a test that needs other settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Demo
from tests.e2e.shell import Shell


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Its tests end it as they like, and start it where they need it running: each start takes five seconds."""
    yield from _demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture
def own_demo(tmp_path: Path) -> Iterator[Demo]:
    yield from _demo(tmp_path)


def _demo(folder: Path) -> Iterator[Demo]:
    demo = Demo(folder)
    try:
        yield demo
    finally:
        demo.end()


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A terminal with a data folder of its own, whose path is short: a server's socket is below it."""
    return Shell(tmp_path_factory.mktemp("shell"))
