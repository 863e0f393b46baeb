"""The demo's processes: started again when they end by themselves, stopped in order, with logs that stay short."""

import contextlib
import os
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from tools.demo.environment import Environment
from tools.rig import exchange
from tools.rig.process import Process, end_all, restart_ended
from tools.rig.servers import redis_command

LOG_BYTES = 8_000_000


class Supervisor:
    """Redis, unless the user named one, and the exchange on it. They end with us, and hold the lock until then."""

    def __init__(self, environment: Environment, lock: IO[str], *more: exchange.Program) -> None:
        self._logs = environment.logs
        self._variables = environment.variables
        self._lock = lock.fileno()
        self.processes = [
            self._process(program.name, program.command, program.stop_seconds)
            for program in (
                *(exchange.worker(), exchange.beat(), exchange.web(environment.port, host=environment.host)),
                *more,
            )
        ]
        if environment.redis_port is not None:
            redis = redis_command(environment.redis_port, environment.data / "redis", persistent=True)
            self.processes.insert(0, self._process("redis", redis, 5))

    def start(self) -> None:
        for process in self.processes:
            process.launch()
            self._note(process, "started")

    def watch(self) -> None:
        """To be called again and again."""
        # Of files that are missing when the data folder is removed.
        with contextlib.suppress(FileNotFoundError):
            for process in restart_ended(self.processes):
                self._note(process, "ended by itself and was started again")
            for process in self.processes:
                shorten(process.log)

    def stop(self) -> None:
        """Redis last, because all others use it. Ctrl-C meanwhile kills."""
        try:
            end_all(process for process in self.processes if process.name != "redis")
            end_all(self.processes)
        except KeyboardInterrupt:
            end_all(self.processes, signal.SIGKILL)

    def _process(self, name: str, command: tuple[str, ...], stop_seconds: int) -> Process:
        log = self._logs / f"{name}.log"
        return Process(name, command, log, self._variables, stop_seconds=stop_seconds, inherited=(self._lock,))

    def _note(self, process: Process, what: str) -> None:
        with (self._logs / "processes.log").open("a") as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {process.name} {what}, pid {process.pid}\n")


def shorten(log: Path) -> None:
    """Copy a long log to .1 and empty it; its process goes on appending to it. A line between the two may be lost."""
    if log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)
