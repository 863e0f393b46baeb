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

from tools.demo.environment import Environment
from tools.rig import exchange
from tools.rig.process import ROOT, die_with_parent
from tools.rig.servers import redis_command

# All programs one after the other, each within its own time.
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
                cwd=ROOT,
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
    ours = (exchange.worker(), exchange.beat(environment.data), exchange.web(environment.port))
    programs = [Program(each.name, each.command, each.stop_seconds) for each in ours]
    if environment.redis_port is not None:
        redis = redis_command(environment.redis_port, environment.data / "redis", persistent=True)
        programs.insert(0, Program("redis", redis, 5))
    return programs


def _config(environment: Environment, programs: list[Program]) -> str:
    sections = [
        "[supervisord]",
        "nodaemon = true",
        "silent = true",
        f"directory = {_text(ROOT)}",
        f"logfile = {_text(environment.logs / 'supervisord.log')}",
        "logfile_maxbytes = 5MB",
        "logfile_backups = 2",
        f"childlogdir = {_text(environment.logs)}",
        f"pidfile = {_text(environment.data / 'supervisord.pid')}",
    ]
    for place, program in enumerate(programs, start=1):
        command = (sys.executable, "-m", "tools.rig.process", *program.command)
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
