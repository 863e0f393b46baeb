"""The running exchange that is measured: the processes that the README runs by hand, on free ports."""

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

import httpx

from tools.rig.process import HOST, die_with_parent, last_words
from tools.rig.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60
STOP_SECONDS = 15
WEB = ("gunicorn", "exchange.wsgi", "--workers", "2", "--threads", "4")
STREAM = (
    "uvicorn",
    "exchange.asgi:application",
    "--timeout-graceful-shutdown",
    "3",
    "--no-access-log",
    "--no-proxy-headers",
)
CELERY = ("celery", "--quiet", "-A", "exchange")
WORKER = (*CELERY, "worker", "-P", "solo", "-c", "1", "--without-gossip", "--without-mingle")
BEAT = (*CELERY, "beat", "--pidfile", "")


class NotReadyError(Exception):
    """A process of the exchange ended, or did not get ready in time; its log says why."""


@dataclass
class Exchange:
    """REST and streams run within the `with`; the worker and beat from `start_matching` on.

    `environment` names the database and Redis and has all that the settings need; the logs are kept in `folder`.
    `servers` are the process ids of servers whose CPU time is to be told beside that of the exchange's own processes.
    """

    environment: Mapping[str, str]
    folder: Path
    servers: Mapping[str, int] = field(default_factory=dict)
    web: tuple[str, ...] = WEB
    web_port: int = field(default_factory=free_port)
    stream_port: int = field(default_factory=free_port)
    _running: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start("web", *self.web, "--bind", f"{HOST}:{self.web_port}")
            self._start("stream", *STREAM, "--host", HOST, "--port", str(self.stream_port))
            self._wait_for("web", lambda _: _answers(self.web_port))
            self._wait_for("stream", lambda _: _answers(self.stream_port))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start_matching(self) -> None:
        """Start what applies the commands, if it does not run: the worker and beat. Returns once they work."""
        if self.is_matching:
            return
        self._start("worker", *WORKER)
        self._start("beat", *BEAT, "--schedule", str(self.folder / "beat"))
        self._wait_for("worker", lambda log: " ready." in log)
        self._wait_for("beat", lambda log: "beat: Starting" in log)

    @property
    def is_matching(self) -> bool:
        return "worker" in self._running

    def stop(self) -> None:
        self._end(*reversed(self._running))

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far of each process with its children, of the servers, and of the load generator: us."""
        pids = {name: process.pid for name, process in self._running.items()} | dict(self.servers)
        usage = _usage()
        return {name: _spent(pid, usage) for name, pid in pids.items()} | {"generator": time.process_time()}

    def _start(self, name: str, *command: str) -> None:
        with self._log(name).open("wb") as output:
            self._running[name] = subprocess.Popen(
                (sys.executable, "-m", *command),
                cwd=ROOT,
                # The worker says that it is ready at this level only, which is the settings' default.
                env={**self.environment, "LOG_LEVEL": "INFO"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Its own group: the terminal's Ctrl-C goes to the benchmark first, which stops them in order.
                process_group=0,
                preexec_fn=functools.partial(die_with_parent, signal.SIGTERM),  # noqa: PLW1509
            )

    def _wait_for(self, name: str, is_ready: Callable[[str], bool]) -> None:
        """Until it is ready, by what it logged or otherwise. Raises NotReadyError."""
        log, deadline = self._log(name), time.monotonic() + READY_SECONDS
        while not is_ready(log.read_text(errors="replace")):
            if self._running[name].poll() is not None or time.monotonic() > deadline:
                raise NotReadyError(f"the exchange's {name} did not start: {last_words(log)} ({log})")
            time.sleep(0.05)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _end(self, *names: str) -> None:
        ending = [self._running.pop(name) for name in names if name in self._running]
        for process in ending:
            process.terminate()
        for process in ending:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """The CPU seconds between two readings, of who used any."""
    used = {name: after[name] - before[name] for name in after if name in before}
    return "CPU s: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in used.items() if seconds >= 0.05)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://{HOST}:{port}/api/v1/time", trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _usage() -> dict[int, tuple[int, float]]:
    """Of each process the parent and the CPU seconds; nothing where there is no /proc."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The command's name comes before it, in brackets, and may contain anything.
            values = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(stat.parent.name)] = int(values[1]), (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")
    return found


def _spent(pid: int, usage: Mapping[int, tuple[int, float]]) -> float:
    own = usage[pid][1] if pid in usage else 0.0
    return own + sum(_spent(child, usage) for child, (parent, _) in usage.items() if parent == pid)
