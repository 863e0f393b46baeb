"""The exchange's processes under one supervisor, which starts again what dies and stops them in order."""

import functools
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tools.demo.environment import HOME, HOST, Environment
from tools.rig.binaries import redis_binary
from tools.rig.process import die_with_parent

# All programs one after the other, each within its own patience.
STOP_SECONDS = 40


@dataclass(frozen=True)
class Program:
    """What the supervisor runs. They start in the order of the list and stop in the opposite one."""

    name: str
    command: tuple[str, ...]
    stop_seconds: int


class Supervisor:
    """supervisord in the foreground as our child. It is asked to stop if we are killed, and its programs with it."""

    def __init__(self, environment: Environment, lock: IO[str]) -> None:
        self.programs = _programs(environment)
        config = environment.data / "supervisord.conf"
        config.write_text(_config(environment, self.programs))
        with (environment.logs / "supervisord.err").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(config)],
                cwd=HOME,
                env=environment.variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[lock.fileno()],
                # Its own group: the terminal's Ctrl-C must reach the traders first.
                process_group=0,
                preexec_fn=functools.partial(die_with_parent, signal.SIGTERM),  # noqa: PLW1509
            )

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """Stop everything in order; a second Ctrl-C meanwhile kills."""
        try:
            self.process.terminate()
            self.process.wait(STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self.kill()

    def kill(self) -> None:
        # The programs first: a supervisor that is asked to stop starts nothing again, and ends when they are gone.
        for pid in _children(self.process.pid):
            _kill(pid)
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _programs(environment: Environment) -> list[Program]:
    # Quietly: without the banner. What it logs goes by LOG_LEVEL.
    celery = (sys.executable, "-m", "celery", "--quiet", "-A", "exchange")
    # Without -Q: such a worker serves every market, and those that open while it runs.
    worker = (*celery, "worker", "-P", "solo", "-c", "1", "--without-gossip", "--without-mingle")
    beat = (*celery, "beat", "--schedule", str(environment.data / "beat"), "--pidfile", "")
    # REST and the streams: on one port without a proxy they are one process.
    web: tuple[str, ...] = (sys.executable, "-m", "uvicorn", "exchange.asgi:application", "--host", HOST, "--port")
    web += (str(environment.port), "--no-access-log", "--no-proxy-headers", "--timeout-graceful-shutdown", "3")
    programs = [Program("worker", worker, 10), Program("beat", beat, 5), Program("web", web, 8)]
    if environment.redis_port is not None:
        programs.insert(0, Program("redis", _redis(environment.redis_port, environment.data / "redis"), 5))
    return programs


def _redis(port: int, folder: Path) -> tuple[str, ...]:
    return (
        *(redis_binary(), "--port", str(port), "--bind", HOST, "--dir", str(folder)),
        *("--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction", "--daemonize", "no"),
    )


def _config(environment: Environment, programs: list[Program]) -> str:
    sections = [
        "[supervisord]",
        "nodaemon = true",
        "silent = true",
        f"directory = {_text(HOME)}",
        f"logfile = {_text(environment.logs / 'supervisord.log')}",
        "logfile_maxbytes = 5MB",
        "logfile_backups = 2",
        f"childlogdir = {_text(environment.logs)}",
        f"pidfile = {_text(environment.data / 'supervisord.pid')}",
    ]
    for place, program in enumerate(programs, start=1):
        command = (sys.executable, "-m", "tools.demo.parent_death", *program.command)
        sections += [
            "",
            f"[program:{program.name}]",
            f"command = {_text(shlex.join(command))}",
            f"priority = {place}",
            "autorestart = true",
            "startsecs = 1",
            # A program may have to wait for another one as long as it takes: never give it up.
            "startretries = 100000",
            f"stopwaitsecs = {program.stop_seconds}",
            "stopasgroup = true",
            "killasgroup = true",
            "redirect_stderr = true",
            f"stdout_logfile = {_text(environment.logs / program.name)}.log",
            "stdout_logfile_maxbytes = 5MB",
            "stdout_logfile_backups = 2",
        ]
    return "\n".join(sections) + "\n"


def _text(value: str | Path) -> str:
    """The supervisor expands percent signs in values."""
    return str(value).replace("%", "%%")


def _children(parent: int) -> list[int]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
    pairs = [line.split() for line in listing.splitlines()]
    return [int(pid) for pid, owner in pairs if int(owner) == parent]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
