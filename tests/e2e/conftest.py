"""Real processes: a demo that most tests share, and one of its own for a test that needs other settings."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Demo
from tests.e2e.shell import Shell
from tools.rig.process import wait_for


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


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """`make run`, which the tests share that look at a running exchange."""
    shell = Shell(tmp_path_factory.mktemp("run"))
    make = shell.begin("run", f"make run PORT={shell.port}")
    try:
        wait_for(lambda: make.has_logged("Ctrl-C stops") or make.has_ended, seconds=60)
        assert make.has_logged("Ctrl-C stops"), make.log.read_text()
        yield shell
    finally:
        if make.pid:
            # As the terminal does on Ctrl-C.
            os.killpg(make.pid, signal.SIGINT)
        wait_for(lambda: make.has_ended, seconds=40)
    assert make.log.read_text().count("stopping") == 1
