"""A full disk: the database has a small file system of its own, which is filled to the last byte, and emptied again.

A server with a binary log does not refuse what it cannot write: it waits in the middle of a commit until somebody has
freed space, and looks once a minute. So requests take as long as their clients wait. Without a binary log it refuses
each statement that needs a larger file. InnoDB may also end the server, because it cannot purge: then it is started
again once there is space.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tools.chaos.exchange import Exchange, database_server, exchange_on
from tools.chaos.laps import Course, Lap, Plan
from tools.chaos.report import Report, together
from tools.rig.exchange import answers
from tools.rig.packages import UnavailableError
from tools.rig.process import NotReadyError, Process, Server, wait_for
from tools.rig.servers import start_redis

ROUNDS = {"ci": 1, "full": 5}
# The data folder and what a run adds to it; the rest is taken away by a file.
MEGABYTES = 400
OPTIONS = ("--innodb-buffer-pool-size=64M", "--loose-innodb-redo-log-capacity=32M", "--loose-innodb-log-file-size=32M")
NO_LOG, LOG = "a server without a binary log", "a server with one"
KINDS = {NO_LOG: ("--skip-log-bin",), LOG: ("--log-bin=binlog",)}
SECONDS = 6.0
# A server that waits for space looks again once a minute.
BACK_SECONDS, CATCH_UP_SECONDS = 90.0, 70.0
PIECE = bytes(64 * 1024)
# Mounts the file system in a namespace of its own, copies the data folder into it, and keeps it for whoever enters.
SCRIPT = 'mount -t tmpfs -o size="$1"m none "$2" && cp -a "$2.made/." "$2" && echo mounted && exec sleep 1000000'


def run(plan: Plan) -> Report:
    """Each kind on a server of its own, a sample on the first. Raises UnavailableError where nothing can be mounted."""
    reports = {}
    for number, kind in enumerate([NO_LOG] if plan.most else KINDS):
        own = replace(plan, folder=plan.folder / str(number), most=0)
        with exchange_on_a_small_disk(own, KINDS[kind]) as (running, disk):
            course = Course("A full disk", {"disk full": partial(_fill, disk)}, catch_up_seconds=CATCH_UP_SECONDS)
            reports[kind] = own.lap(running, course).run()
    return together("A full disk", reports)


@contextmanager
def exchange_on_a_small_disk(plan: Plan, options: tuple[str, ...]) -> Iterator[tuple[Exchange, Path]]:
    """With workers. The path is that of the server's data folder, as this process reaches it."""
    with ExitStack() as stack:
        database = database_server(plan.database, plan.folder, (*OPTIONS, *options))
        disk = stack.enter_context(on_a_small_disk(database))
        stack.callback(database.kill)
        redis_server = stack.enter_context(start_redis(plan.folder / "redis"))
        running = stack.enter_context(exchange_on(database, redis_server, plan.folder))
        running.open()
        running.start_workers()
        yield running, disk


@contextmanager
def on_a_small_disk(server: Server) -> Iterator[Path]:
    """The same server, started again with its data folder on a file system of its own, which outlives it.

    Yields the folder as this process reaches it. Raises UnavailableError.
    """
    server.stop()
    data = data_folder(server)
    data.rename(made := data.with_name(f"{data.name}.made"))
    data.mkdir()
    if not all(map(shutil.which, ("unshare", "nsenter"))):
        raise UnavailableError("no unshare and nsenter, which give the server a file system of its own")
    is_root = os.geteuid() == 0
    keep = ("unshare", "--mount", *(() if is_root else ("--map-root-user",)))
    command = (*keep, "sh", "-c", SCRIPT, "sh", str(MEGABYTES), str(data))
    keeper = Process("disk", command, data.with_name("disk.log"), ready=lambda own: own.has_logged("mounted"))
    try:
        keeper.start()
    except NotReadyError as error:
        raise UnavailableError(f"no file system can be mounted on {data}: {error}") from error
    with keeper:
        shutil.rmtree(made)
        enter = (
            "nsenter",
            f"--target={keeper.pid}",
            "--mount",
            *(() if is_root else ("--user", "--preserve-credentials")),
        )
        server.command = (*enter, *server.command)
        server.start()
        yield Path(f"/proc/{keeper.pid}/root{data}")


def data_folder(server: Server) -> Path:
    [option] = [each for each in server.command if each.startswith("--datadir=")]
    return Path(option.removeprefix("--datadir="))


def _fill(disk: Path, lap: Lap) -> None:
    ballast = disk / "ballast"
    lap.watch.began("disk full")
    began = time.monotonic()
    while time.monotonic() < began + SECONDS:
        # Again and again: what the server deletes is room too.
        _write_all(ballast)
        time.sleep(0.2)
    free = os.statvfs(disk)
    lap.facts.append(("left on the full disk", f"{free.f_bavail * free.f_frsize} bytes"))
    ballast.unlink()
    if lap.exchange.database.has_ended:
        lap.facts.append(("the server ended by itself", "and was started again"))
        lap.exchange.database.start()
    wait_for(lambda: not lap.watch.unmatched(), seconds=BACK_SECONDS)
    # Requests whose commits waited for space hold web's threads, each for as long as the server sleeps.
    wait_for(lambda: answers(lap.exchange.port, "/health/ready"), seconds=BACK_SECONDS)


def _write_all(file: Path) -> None:
    try:
        with file.open("ab", buffering=0) as opened:
            while opened.write(PIECE):
                pass
    except OSError:
        return
