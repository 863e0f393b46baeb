"""The primary is killed and its replica promoted, which has everything, or lags by seconds.

A semi-synchronous replica has everything that was acknowledged, so the verdict is that of the kills. One that lags
lacks the last seconds: accepted orders are lost, and that is said plainly. What must hold then: no order is lost that
was accepted before; what is stored is consistent and replays; an id of a lost order never names another one; every
stream that was ahead is reset; and no cache answers what is no longer there.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

from tools.chaos.exchange import Exchange, exchange_on
from tools.chaos.laps import Course, Lap, Plan
from tools.chaos.lost import LostCommits
from tools.chaos.replicas import Pair, replicated
from tools.chaos.report import Report, together
from tools.rig.packages import UnavailableError
from tools.rig.process import HOST
from tools.rig.servers import start_redis

ROUNDS = {"ci": 1, "full": 5}
SEMI_SYNCHRONOUS = "a semi-synchronous replica"
LAGGING = "a replica that lags"
NOBODY_ACTED = "a replica that lags, and nobody acts"
KINDS = (SEMI_SYNCHRONOUS, LAGGING, NOBODY_ACTED)
CATCH_UP_SECONDS = 10.0
# Longer than it takes to promote a replica.
DOWN_SECONDS = 1.0


def run(plan: Plan) -> Report:
    """Each kind on servers of its own. Raises UnavailableError."""
    if plan.database != "mysql":
        raise UnavailableError("the replication of MySQL and not of MariaDB is practised")
    random = Random(f"{plan.seed}-failover")
    kinds = random.sample(KINDS, plan.most) if plan.most else KINDS
    reports = {}
    for number in range(1, plan.rounds + 1):
        for kind in kinds:
            own = replace(plan, folder=plan.folder / f"{number}{KINDS.index(kind)}", rounds=1, most=0)
            reports[f"{number}. {kind}"] = _run(own, kind, random)
    return together("Failover to a replica", reports)


def _run(plan: Plan, kind: str, random: Random) -> Report:
    with _exchange(plan, random, waits_for_replica=kind == SEMI_SYNCHRONOUS) as (running, pair):
        if kind == SEMI_SYNCHRONOUS:
            return plan.lap(running, _lossless(pair)).run()
        return LostCommits(running, pair, plan.seed, acts=kind == LAGGING).run()


@contextmanager
def _exchange(plan: Plan, random: Random, *, waits_for_replica: bool) -> Iterator[tuple[Exchange, Pair]]:
    """With workers, and every process at the address of the pair."""
    with (
        replicated(plan.folder, random, waits_for_replica=waits_for_replica) as pair,
        start_redis(plan.folder / "redis") as redis_server,
    ):
        url = f"mysql://root@{HOST}:{pair.proxy.port}/exchange"
        with exchange_on(pair.primary, redis_server, plan.folder, DATABASE_URL=url) as running:
            running.open()
            running.start_workers()
            yield running, pair


def _lossless(pair: Pair) -> Course:
    def fail_over(lap: Lap) -> None:
        lap.watch.began("the primary killed")
        seconds = pair.lose_primary()
        lap.facts.append(("the replica had applied what it had received after", f"{seconds:.2f} s"))
        time.sleep(DOWN_SECONDS)
        pair.promote()
        lap.exchange.database = pair.replica
        lap.wait_for_matching()

    return Course("Failover to a semi-synchronous replica", {"failover": fail_over}, catch_up_seconds=CATCH_UP_SECONDS)
