"""RabbitMQ as the broker of the bells: killed, frozen, and started again without its queues. Matching goes on."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tools.chaos.exchange import Exchange, database_server, exchange_on, freeze, thaw
from tools.chaos.laps import Course, Lap, Plan
from tools.chaos.report import Report
from tools.rig.process import HOST, Server
from tools.rig.rabbit import rabbit_server
from tools.rig.servers import start_redis

ROUNDS = {"ci": 1, "full": 15}
# Workers look for a broker that is away every few seconds, but their pollers match meanwhile.
CATCH_UP_SECONDS = 10.0


def run(plan: Plan) -> Report:
    """Raises UnavailableError."""
    with exchange_on_rabbit(plan) as (running, broker):
        return plan.lap(running, broken(broker)).run()


def broken(broker: Server) -> Course:
    return Course(
        "RabbitMQ as the broker",
        {
            "RabbitMQ killed": partial(_killed, broker),
            "RabbitMQ frozen": partial(_frozen, broker),
            "RabbitMQ without its queues": partial(_emptied, broker),
        },
        is_noticed=False,
        catch_up_seconds=CATCH_UP_SECONDS,
    )


@contextmanager
def exchange_on_rabbit(plan: Plan) -> Iterator[tuple[Exchange, Server]]:
    """With workers."""
    with (
        rabbit_server(plan.folder / "rabbit") as broker,
        database_server(plan.database, plan.folder) as database,
        start_redis(plan.folder / "redis") as redis_server,
        exchange_on(
            database, redis_server, plan.folder, BROKER_URL=f"amqp://guest:guest@{HOST}:{broker.port}//", FEED="on"
        ) as running,
    ):
        running.open()
        running.start_workers()
        yield running, broker


def _killed(broker: Server, lap: Lap) -> None:
    lap.watch.began(lap.now)
    broker.kill()
    lap.wait_for_matching()
    broker.start()


def _frozen(broker: Server, lap: Lap) -> None:
    lap.watch.began(lap.now)
    freeze(broker)
    lap.wait_for_matching()
    thaw(broker)


def _emptied(broker: Server, lap: Lap) -> None:
    """As when another broker takes its place: queues and their bells are gone."""
    lap.watch.began(lap.now)
    broker.kill()
    for data in broker.log.parent.glob("chaos-*"):
        shutil.rmtree(data) if data.is_dir() else data.unlink()
    lap.wait_for_matching()
    broker.start()
