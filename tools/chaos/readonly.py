"""A database that takes no writes for a while, as a primary that was made a replica: nothing is lost."""

import time

import httpx

from tools.chaos.exchange import running_exchange
from tools.chaos.laps import Course, Lap, Plan
from tools.chaos.report import Report
from tools.chaos.root import execute
from tools.rig.packages import UnavailableError
from tools.rig.process import wait_for

ROUNDS = {"ci": 1, "full": 20}
SECONDS = 3.0
READY_SECONDS = 10.0


def run(plan: Plan) -> Report:
    """Raises UnavailableError."""
    if plan.database != "mysql":
        raise UnavailableError("only MySQL refuses the writes of the superuser too")
    with running_exchange(plan.database, plan.folder) as exchange:
        exchange.start_workers()
        return plan.lap(exchange, READ_ONLY).run()


def _read_only(lap: Lap) -> None:
    lap.watch.began("database read-only")
    execute(lap.exchange.database, "SET GLOBAL super_read_only = ON")
    try:
        answer = wait_for(lambda: readiness(lap.exchange.url), lambda answer: answer != (200, "ok"), READY_SECONDS)
        if answer != (503, "read-only"):
            lap.wrong.append(f"the database is read-only, and /health/ready says {answer}")
        time.sleep(SECONDS)
    finally:
        execute(lap.exchange.database, "SET GLOBAL read_only = OFF")
    wait_for(lambda: readiness(lap.exchange.url), lambda answer: answer == (200, "ok"), READY_SECONDS)


READ_ONLY = Course("A database that takes no writes", {"database read-only": _read_only})


def readiness(url: str) -> tuple[int, str]:
    """The status of /health/ready, and what it says of the database."""
    answer = httpx.get(f"{url}/health/ready", timeout=READY_SECONDS, trust_env=False)
    return answer.status_code, answer.json()["database"]
