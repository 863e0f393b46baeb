"""Which queues a worker adds, how they are declared, and when it begins to hear."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from amqp.exceptions import ConnectionForced, PreconditionFailed
from celery import Celery, current_app
from celery.utils.timer2 import Timer
from django.test import override_settings

from base.storage.outages import is_server_away
from commands import queue
from exchange.celery import QUORUM, Declarations
from matching.worker.subscription import MarketSubscription, Served
from tests.support.world import World


@dataclass
class Hearing:
    """Stands in for Celery's consumer of tasks: what was added, and whether it is heard."""

    added: list[str] = field(default_factory=list)
    consuming: bool = False

    def add_queue(self, added: Any) -> None:
        self.added.append(added.name)

    def consume(self) -> None:
        self.consuming = True


def test_nothing_is_heard_before_the_loop_begins(world: World, monkeypatch: Any) -> None:
    """RabbitMQ sends the first bell while the next queue is declared, when nobody is there to take it."""
    rung: list[str] = []
    monkeypatch.setattr(queue, "ring_now", rung.append)
    hearing = Hearing()
    consumer = SimpleNamespace(app=private_app(), task_consumer=hearing, timer=Timer())
    step = MarketSubscription(consumer)
    step.start(consumer)
    assert hearing.added == ["orders", "orders.dlq", f"orders.{world.symbol}"]
    assert rung == [world.symbol]
    assert not hearing.consuming
    step.poll(consumer)
    assert not hearing.consuming, "no market is new"
    step.subscribed.clear()
    step.poll(consumer)
    assert hearing.consuming
    step.stop(consumer)


def private_app() -> Celery:
    app = Celery("private", set_as_current=False, amqp=Declarations)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    return app


def test_a_broker_that_goes_is_away_and_one_that_refuses_is_not() -> None:
    assert is_server_away(ConnectionForced("the broker stops"))
    assert not is_server_away(PreconditionFailed("declared otherwise before"))


def test_markets_with_a_worker_of_their_own_are_left_to_it(world: World, settings: Any) -> None:
    served = Served(current_app)
    assert served.symbols() == {world.symbol}
    settings.WORKER_EXCEPT = frozenset({world.symbol})
    assert served.symbols() == set()


@pytest.mark.parametrize(("is_redis", "arguments"), [(True, None), (False, QUORUM)])
def test_a_queue_is_declared_as_the_broker_needs_it(is_redis: bool, arguments: Any) -> None:
    with override_settings(IS_REDIS_BROKER=is_redis):
        queues = Declarations(current_app._get_current_object()).Queues(None)
        assert queues["orders.BTC-USD"].queue_arguments == arguments
        assert queues["orders.dlq"].queue_arguments == arguments
