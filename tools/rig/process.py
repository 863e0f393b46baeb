"""Servers and programs of our own as processes: start, stop, kill, start again; gone with whoever started them."""

import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.rig.packages import UnavailableError

HOST = "127.0.0.1"
READY_SECONDS = 60
STOP_SECONDS = 30
# Of servers that are not ours, and of our own processes.
COMPLAINTS = ("ERROR", "FATAL", '"level":"error"', '"level":"critical"')
PARENT_DEATH_SIGNAL = 1
LIBC = ctypes.CDLL(None)


@dataclass
class Server:
    """A running server of our own. Ends with the thread that started it, even if that one is killed."""

    kind: str
    origin: str
    port: int
    log: Path
    command: tuple[str, ...]
    ask_version: Callable[[str, int], str]
    kill_command: tuple[str, ...] = ()
    death_signal: signal.Signals = signal.SIGKILL
    version: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        address = f"{HOST}:{self.port}"
        return f"redis://{address}" if self.kind == "redis" else f"mysql://root@{address}/exchange"

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def start(self) -> Self:
        """Start, or start again on the same data and port; returns once the server answers."""
        self.launch()
        try:
            self.version = self._wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self) -> None:
        """As `start`, but returns at once: the server does not answer yet, and may be killed before it does."""
        assert self.process is None or self.process.poll() is not None, f"{self.kind} runs already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Its own group: the terminal's Ctrl-C goes to the tests first, which still need the server.
                process_group=0,
                # Safe enough beside threads: one system call through a library that is loaded already.
                preexec_fn=functools.partial(die_with_parent, self.death_signal),  # noqa: PLW1509
            )

    @property
    def has_ended(self) -> bool:
        """By itself: nobody stopped or killed it."""
        return self.process is not None and self.process.poll() is not None

    @property
    def answers(self) -> bool:
        try:
            self.ask_version(HOST, self.port)
        except (OSError, ValueError):
            return False
        return True

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        if self.kill_command and self.process:
            subprocess.run(self.kill_command, check=False, capture_output=True)
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self) -> str:
        assert self.process
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return self.ask_version(HOST, self.port)
            except (OSError, ValueError):
                time.sleep(0.05)
        raise UnavailableError(f"{self.kind} {self.origin} did not start: {last_words(self.log)}")

    def _end(self, with_signal: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        _end(process, with_signal, STOP_SECONDS)


@dataclass
class Process:
    """A program of the exchange's own, with a log that is added to at each start."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    running: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _said_before: int = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._said_before = log.tell()
            self.running = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # As a server: Ctrl-C goes to whoever started it, which ends it in order.
                process_group=0,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )

    @property
    def has_ended(self) -> bool:
        """By itself: nobody asked it to."""
        return self.running is not None and self.running.poll() is not None

    def said(self, words: str) -> bool:
        """Whether it has logged the words since it was last started."""
        with self.log.open("rb") as log:
            log.seek(self._said_before)
            return words.encode() in log.read()

    def end(self, with_signal: signal.Signals = signal.SIGTERM, seconds: float = 10) -> None:
        process, self.running = self.running, None
        if process is None:
            return
        _end(process, with_signal, seconds)


def _end(process: "subprocess.Popen[bytes]", with_signal: signal.Signals, seconds: float) -> None:
    """Ask it to end, and kill it where it does not within so long."""
    process.send_signal(with_signal)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    complaints = [line for line in lines if any(word in line for word in COMPLAINTS)]
    return (complaints or lines or ["it said nothing"])[-1]


def die_with_parent(with_signal: signal.Signals = signal.SIGKILL) -> None:
    """To be called in the child: the kernel ends it when its parent is gone, however that went."""
    if sys.platform == "linux":
        LIBC.prctl(PARENT_DEATH_SIGNAL, with_signal)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
