"""The network between the processes: late, lossy, partitioned, cut. Web and the workers each reach the servers by a
proxy of their own (tools.chaos.proxy), so that one of them can be cut off from a server that the others reach.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random

from tools.chaos.exchange import Exchange, database_server, exchange_on
from tools.chaos.kills import in_words_of
from tools.chaos.laps import Course, Lap, Plan
from tools.chaos.proxy import Proxy
from tools.chaos.report import Report
from tools.rig.process import HOST
from tools.rig.servers import start_redis

ROUNDS = {"ci": 1, "full": 12}
SECONDS = 3.0
CUTS = 10
DELAY, LOSS, LOST_ANSWERS = (0.002, 0.03), 0.05, 0.01
# A partition that lasts longer than a client waits; when it ends everything that was held arrives at once.
CATCH_UP_SECONDS = 10.0
SIDES, SERVERS = ("web", "workers"), ("database", "redis")

Proxies = Mapping[tuple[str, str], Proxy]


def network(proxies: Proxies) -> Course:
    """The course of an exchange whose processes reach the servers by these proxies."""
    accidents: dict[str, Callable[[Lap], None]] = {
        "all that is sent comes late": partial(_weather, proxies, delay=DELAY),
        "one packet in twenty is lost": partial(_weather, proxies, loss=LOSS),
        "answers of the database are lost": partial(_lost_answers, proxies),
        "connections are reset": partial(_resets, proxies),
    }
    for (side, server), proxy in proxies.items():
        accidents[f"{side} cut off from {server}"] = partial(_partition, proxy, server)
    return Course("A network that is late, lossy, partitioned and cut", accidents, catch_up_seconds=CATCH_UP_SECONDS)


@contextmanager
def networked_exchange(plan: Plan) -> Iterator[tuple[Exchange, Proxies]]:
    """With workers; web and the workers (and beat with them) each have a proxy to each server."""
    with ExitStack() as stack:
        database = stack.enter_context(database_server(plan.database, plan.folder))
        redis_server = stack.enter_context(start_redis(plan.folder / "redis"))
        ports = {"database": database.port, "redis": redis_server.port}
        proxies = {
            (side, server): stack.enter_context(
                Proxy(f"{side}-{server}", ports[server], Random(f"{plan.seed}-{side}-{server}"))
            )
            for side in SIDES
            for server in SERVERS
        }
        by_web, by_workers = (_addresses(*(proxies[side, server].port for server in SERVERS)) for side in SIDES)
        roles = {"web": by_web, "worker": by_workers, "beat": by_workers}
        running = stack.enter_context(exchange_on(database, redis_server, plan.folder, roles))
        running.open()
        running.start_workers()
        yield running, proxies


def run(plan: Plan) -> Report:
    with networked_exchange(plan) as (running, proxies):
        lap = plan.lap(running, network(proxies))
        report = lap.run()
    happened: Counter[str] = sum((Counter(proxy.counts) for proxy in proxies.values()), start=Counter())
    report.add("what became of connections", in_words_of(happened))
    return report


def _addresses(database_port: int, redis_port: int) -> dict[str, str]:
    redis = f"redis://{HOST}:{redis_port}"
    return {
        "DATABASE_URL": f"mysql://root@{HOST}:{database_port}/exchange",
        "BROKER_URL": f"{redis}/0",
        "REDIS_URL": f"{redis}/1",
        "CACHE_URL": f"{redis}/2",
    }


def _weather(proxies: Proxies, lap: Lap, delay: tuple[float, float] = (0.0, 0.0), loss: float = 0.0) -> None:
    for proxy in proxies.values():
        proxy.delay, proxy.loss = delay, loss
    time.sleep(SECONDS)
    for proxy in proxies.values():
        proxy.heal()


def _lost_answers(proxies: Proxies, lap: Lap) -> None:
    """The statement was carried out, a commit perhaps, and whoever asked for it gets no answer."""
    to_database = [proxy for (_, server), proxy in proxies.items() if server == "database"]
    for proxy in to_database:
        proxy.lost_answers = LOST_ANSWERS
    time.sleep(SECONDS)
    for proxy in to_database:
        proxy.heal()


def _resets(proxies: Proxies, lap: Lap) -> None:
    for _ in range(CUTS):
        for proxy in proxies.values():
            proxy.cut()
        time.sleep(lap.random.uniform(0, 2 * SECONDS / CUTS))


def _partition(proxy: Proxy, server: str, lap: Lap) -> None:
    """Nothing passes. When it is over, what was held arrives, or the connections turn out to be gone."""
    lap.watch.began(f"{proxy.name} partition")
    proxy.hold()
    if server == "redis":
        # Without Redis orders are matched all the same.
        lap.wait_for_matching()
    else:
        time.sleep(SECONDS)
    if lap.random.random() < 0.5:
        proxy.cut()
    proxy.let_go()
