"""Start the exchange for a class: python -m tools.classroom --students 30 [--scenario price-discovery]"""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Sequence

import httpx

from tools.classroom.plan import MOST_STUDENTS, SHEET, STUDENTS, TEACHER, TEACHER_FILE, read_plan
from tools.demo.environment import CannotStartError, Environment, begin, claim_data, claim_port, host, port, prepare
from tools.demo.room import qr_lines, room_url
from tools.demo.starting import run_as_program, seed
from tools.demo.supervision import Supervisor
from tools.rig.exchange import ANY, Program, reached
from tools.rig.process import HOST

FOLDER = "class"
REFUSED = 3
READY_SECONDS = 120
WATCH_SECONDS = 0.5
WARNING = (
    "WARNING: everybody in this network can reach this address, and without TLS whoever is on the way reads along.\n"
    "It is for a class, for some hours. Hand out the sheet, and keep teacher.txt to yourself."
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    return run_as_program(lambda: _run(options))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.classroom", description=__doc__)
    parser.add_argument("--students", type=_students, default=30, help=f"how many accounts, up to {MOST_STUDENTS}")
    parser.add_argument("--scenario", default="price-discovery", help="one that is shipped, or the path of a file")
    parser.add_argument("--seed", type=_seed, help="of all random numbers; else the scenario's, else another each time")
    parser.add_argument("--port", type=port, default=8000)
    parser.add_argument("--host", type=host, default=ANY, help=f"{HOST}: for this machine alone")
    parser.add_argument("--seconds", type=float, default=0, help="end after so long; 0: at Ctrl-C")
    return parser.parse_args(arguments)


def _students(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MOST_STUDENTS):
        raise argparse.ArgumentTypeError(f"{text[:20]} is no number of students between 1 and {MOST_STUDENTS}")
    return int(text)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"{text[:20]} is no seed: a whole number below {2**32}")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    environment = prepare(options.port, options.host, FOLDER, is_private=True)
    environment.variables["CLASSROOM"] = "on"
    with claim_data(environment.data, environment.address) as lock:
        claim_port(options.port, host=options.host)
        begin(environment)
        if not _seeded(environment, options):
            return 1
        director = ("tools.classroom.director", environment.address)
        supervisor = Supervisor(environment, lock, Program("director", director, 5, lambda _: True))
        try:
            print("starting " + " ".join(process.name for process in supervisor.processes), flush=True)
            supervisor.start()
            code = asyncio.run(_hold(environment, supervisor, options.seconds))
            print("stopping", flush=True)
            return code
        finally:
            supervisor.stop()


def _seeded(environment: Environment, options: argparse.Namespace) -> bool:
    """False for a scenario that is refused, which was said in words. Raises CannotStartError."""
    print(f"preparing {options.students} accounts, which takes some seconds the first time", flush=True)
    command = ["tools.classroom.seed", "--students", str(options.students)]
    command += ["--scenario", options.scenario, "--address", address_of(environment)]
    command += ["--seed", str(options.seed)] if options.seed is not None else []
    return seed(environment, command, "the class", (0, REFUSED)) == 0


def address_of(environment: Environment) -> str:
    """What students type in: the address in the room, or of this machine where it is in no network."""
    found = room_url(environment.host, environment.port) if environment.host != HOST else None
    return found or f"http://{reached(environment.host)}:{environment.port}/"


async def _hold(environment: Environment, supervisor: Supervisor, seconds: float) -> int:
    asked_to_stop = asyncio.Event()
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(stop, asked_to_stop.set)
    began, is_ready = time.monotonic(), False
    while environment.has_data and not asked_to_stop.is_set():
        supervisor.watch()
        if not is_ready and await _has_a_round(environment):
            is_ready, began = True, time.monotonic()
            print(_welcome(environment), flush=True)
        passed = time.monotonic() - began
        if not is_ready and passed > READY_SECONDS:
            raise CannotStartError(f"the round has not begun within {READY_SECONDS} s; see {environment.logs}")
        if is_ready and seconds and passed > seconds:
            break
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asked_to_stop.wait(), WATCH_SECONDS)
    return 0 if is_ready else 1


async def _has_a_round(environment: Environment) -> bool:
    """Whether the director has begun the round of this start."""
    try:
        async with httpx.AsyncClient(base_url=environment.address, trust_env=False, timeout=5) as http:
            answer = await http.get("/api/v1/class")
    except httpx.TransportError:
        return False
    begun = environment.data / "begun"
    if not answer.is_success or not begun.exists():
        return False
    is_ours = begun.read_text() == read_plan(environment.data).start
    return is_ours and answer.json()["data"]["round"] is not None


def _welcome(environment: Environment) -> str:
    plan, data = read_plan(environment.data), environment.data
    students = sum(not each.is_bot for each in plan.people)
    bots = len(plan.people) - students
    address = address_of(environment)
    in_the_room = [qr_lines(address)] if environment.host != HOST else []
    lines = [
        "",
        f"{plan.scenario['title']}: {students} students, {bots} bots, seed {plan.seed}",
        f"  students    {address}",
        f"  leaderboard {address}leaderboard",
        f"  your page   {address}admin/class/  (name {TEACHER}, password in {data / TEACHER_FILE})",
        f"  sheet       {data / SHEET} to print, {data / STUDENTS} as a table",
        f"  logs in {environment.logs}; Ctrl-C stops",
        "",
        *in_the_room,
        *([WARNING, ""] if environment.host != HOST else []),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
