"""A demo as its user starts it: one command in a folder of its own, on the embedded default."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from base.telemetry.liveness import is_alive
from tools.rig.process import LIMITS, ROOT
from tools.rig.servers import free_port

READY_SECONDS = 60
STOP_SECONDS = 40
# Nothing else of the environment is passed on: no database, no Redis, no settings.
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "XDG_CACHE_HOME")


class Demo:
    """One data folder, and the demo that runs on it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_port()
        self.output = folder / "output"
        # Settings that are not the default's.
        self.variables: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *arguments: str) -> None:
        assert self.process is None
        command = [sys.executable, "-m", "tools.demo", "--port", str(self.port), *arguments]
        variables = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**variables, "DATA_DIR": str(self.data), **dict.fromkeys(LIMITS, "off"), **self.variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def ensure_running(self) -> None:
        """With its traders, on whatever data there is."""
        if self.process is None:
            self.start()
            self.wait_until_ready()

    def end(self) -> None:
        if self.process is not None:
            self.interrupt()

    def text(self) -> str:
        return self.output.read_text()

    def wait_until_ready(self) -> None:
        self.wait_for("Ctrl-C stops")

    def wait_for(self, pattern: str) -> None:
        """Until a line of the output matches."""
        assert self.process
        process = self.process
        wait_until(lambda: re.search(pattern, self.text()) or process.poll() is not None, READY_SECONDS, self.text)
        assert re.search(pattern, self.text()), self.text()

    def wait(self, seconds: float) -> int:
        """The exit code."""
        assert self.process
        code = self.process.wait(seconds)
        self.process = None
        return code

    def interrupt(self) -> int:
        """As Ctrl-C does; the exit code."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        return self.wait(STOP_SECONDS)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.wait(STOP_SECONDS)

    def pid(self, program: str) -> int:
        """Of the program's newest process."""
        log = (self.data / "logs" / "processes.log").read_text()
        return int(re.findall(rf" {program} .*started.*, pid (\d+)", log)[-1])

    def kill_program(self, program: str) -> int:
        """Kill -9; return the pid that it had."""
        pid = self.pid(program)
        os.kill(pid, signal.SIGKILL)
        return pid

    @contextmanager
    def frozen(self, program: str) -> Iterator[None]:
        """The program takes connections and answers nothing."""
        pid = self.pid(program)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def processes(self) -> dict[int, str]:
        """What runs on the data folder: on Linux whatever has it in its environment, elsewhere what was started."""
        if sys.platform == "linux":
            return _with_variable(f"DATA_DIR={self.data}")
        pids = re.findall(r", pid (\d+)", (self.data / "logs" / "processes.log").read_text())
        return {int(pid): pid for pid in pids if is_alive(int(pid))}


def wait_until(condition: Callable[[], object], seconds: float, explain: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {explain()}"
        time.sleep(0.1)


def _with_variable(text: str) -> dict[int, str]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            if text.encode() in variables:
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            # It ended while we looked, or is somebody else's.
            continue
    return found
