"""A terminal in which the documented commands run, and the list of those that the tests run."""

import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.e2e.processes import KEPT_VARIABLES
from tools.rig.process import ROOT, Process
from tools.rig.servers import free_port

BIN = Path(sys.executable).parent
# Without the installation, which is current where the tests run.
MAKE = f"make -o venv -o venv-demo -o venv-dev -o venv-bench BIN={BIN}"
RUN: dict[str, str] = {}
Test = TypeVar("Test", bound=Callable[..., object])


def runs(*names: str) -> Callable[[Test], Test]:
    """The commands that a test runs."""

    def note(test: Test) -> Test:
        RUN.update(dict.fromkeys(names, test.__name__))
        return test

    return note


@dataclass
class Shell:
    """A terminal in the project's folder, with a data folder and ports of its own."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    flower_port: int = field(default_factory=free_port)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def fitted(self, line: str) -> str:
        """The line as it is documented, with this terminal's Python, ports and data."""
        line = re.sub(r"(?<!\S)\.venv/bin/", f"{BIN}/", re.sub(r"^make\b", MAKE, line))
        return line.replace(".data/", f"{self.data}/").replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        return {**kept, "DATA_DIR": str(self.data), **self.variables}

    def run(self, line: str, seconds: float = 110) -> str:
        """What the command prints, which must succeed."""
        done = subprocess.run(
            ["sh", "-c", self.fitted(line)],
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}"
        return done.stdout

    def paste(self, lines: str, seconds: float = 110) -> str:
        """What a shell at a terminal prints, into which all the lines are pasted at once, as they stand there."""
        ours, terminal = pty.openpty()
        settings = termios.tcgetattr(terminal)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSANOW, settings)
        shown = self.folder / "pasted"
        with shown.open("wb") as output:
            shell = subprocess.Popen(
                ["sh", "-i"],
                cwd=ROOT,
                env={**self.environment(), "PS1": "", "PS2": ""},
                stdin=terminal,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            # It waits where the terminal is full, as a terminal's program does.
            with os.fdopen(ours, "wb", buffering=0) as keyboard:
                keyboard.write((self.fitted(lines) + "exit\n").encode())
                shell.wait(seconds)
        finally:
            os.close(terminal)
            shell.kill()
        return shown.read_text()

    def begin(self, name: str, line: str) -> Process:
        """The command in the background."""
        command = ("sh", "-c", f"exec {self.fitted(line)}")
        process = Process(name, command, self.folder / f"{name}.log", self.environment())
        process.launch()
        return process
