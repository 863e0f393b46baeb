"""Processes of the tools: started, stopped, killed and started again; they end with the thread that started them."""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tools.rig.packages import UnavailableError

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
READY_SECONDS = 60
STOP_SECONDS = 30
WAIT_SECONDS = 20
# In the logs of servers that are not ours, and in those of our own processes.
ERROR_WORDS = ("ERROR", "FATAL", '"level":"error"', '"level":"critical"')
PARENT_DEATH_SIGNAL = 1
LIBC = ctypes.CDLL(None)
# The settings that limit what one client may send: off where a program sends more than a client would.
LIMITS = ("RATE_LIMIT", "SIGN_IN_LIMIT", "REGISTRATION_LIMIT", "REFRESH_LIMIT", "LOCKOUT_FAILURES", "BATCHES_MAX")


class NotReadyError(Exception):
    """A process ended or was not ready in time; its log gives the reason."""


@dataclass
class Process:
    """A program with a log, which each start appends to."""

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] | None = None
    # Asked until it is true; without this the process is ready at once.
    ready: Callable[["Process"], bool] | None = None
    stop_seconds: float = STOP_SECONDS
    # Open files that it holds too.
    inherited: tuple[int, ...] = ()
    running: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    _log_begins: int = 0

    def start(self) -> Self:
        """Start, or start again; returns once the process is ready. Raises NotReadyError."""
        self.launch()
        try:
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self) -> None:
        """As `start`, but returns at once: the process may be killed before it is ready."""
        assert self.running is None or self.has_ended, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._log_begins = log.tell()
            self.running = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C in the terminal reaches the parent alone, which stops its processes.
                process_group=0,
                pass_fds=self.inherited,
                # Safe enough beside threads: one system call through a library that is loaded already.
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )

    def wait_until_ready(self) -> None:
        """Raises NotReadyError."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self.has_ended or time.monotonic() > deadline:
                raise NotReadyError(f"{self.name} did not start: {last_log_line(self.log)} ({self.log})")
            time.sleep(0.05)

    @property
    def pid(self) -> int | None:
        return self.running.pid if self.running else None

    @property
    def has_ended(self) -> bool:
        """The process ended by itself: nobody stopped or killed it."""
        return self.running is not None and self.running.poll() is not None

    def is_ready(self) -> bool:
        return self.ready is None or self.ready(self)

    def has_logged(self, words: str) -> bool:
        """Whether the log has the words since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            return words.encode() in log.read()

    def stop(self) -> None:
        self.end(signal.SIGTERM)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, with_signal: int) -> None:
        """Send the signal, and kill the process if it has not ended within its time."""
        end_all([self], with_signal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass(kw_only=True)
class Server(Process):
    """A database or Redis server of our own; `origin` names where its program comes from."""

    origin: str
    port: int
    ask_version: Callable[[str, int], str]
    version: str = ""

    def start(self) -> Self:
        """As a process does. Raises UnavailableError: another origin may have a server that starts."""
        try:
            return super().start()
        except NotReadyError as error:
            raise UnavailableError(f"{error} ({self.origin})") from error

    @property
    def url(self) -> str:
        address = f"{HOST}:{self.port}"
        return f"redis://{address}" if self.name == "redis" else f"mysql://root@{address}/exchange"

    def is_ready(self) -> bool:
        """Whether the server answers, which also names its version."""
        try:
            self.version = self.ask_version(HOST, self.port)
        except (OSError, ValueError):
            return False
        return True


def end_all(processes: Iterable[Process], with_signal: int = signal.SIGTERM) -> None:
    """End processes beside each other, and kill those that have not ended within their time."""
    running = [(process, process.running) for process in processes if process.running]
    for _, popen in running:
        popen.send_signal(with_signal)
    for process, popen in running:
        try:
            popen.wait(process.stop_seconds)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
        process.running = None


def restart_ended(processes: Iterable[Process]) -> list[Process]:
    """Start again what ended by itself; which these are."""
    ended = [process for process in processes if process.has_ended]
    for process in ended:
        process.launch()
    return ended


def wait_for(read: Callable[[], Any], enough: Callable[[Any], bool] = bool, seconds: float = WAIT_SECONDS) -> Any:
    """Read until it is enough. Raises AssertionError with what was read last."""
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if enough(value):
            return value
        assert time.monotonic() < deadline, f"still {value} after {seconds} s"
        time.sleep(0.02)


def last_log_line(log: Path) -> str:
    """The last line that reports an error; without one, the last line."""
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if any(word in line for word in ERROR_WORDS)]
    return (errors or lines or ["its log is empty"])[-1]


def exit_at_signals() -> None:
    """Have SIGTERM and SIGHUP end this program as an error does, so that what it started is stopped too."""
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda number, _frame: sys.exit(128 + number))


def die_with_parent(with_signal: signal.Signals = signal.SIGKILL) -> None:
    """To be called in the child: the kernel ends it when its parent is gone, however the parent ended."""
    if sys.platform == "linux":
        LIBC.prctl(PARENT_DEATH_SIGNAL, with_signal)
