"""What others hold, and what is away, must not hold up the rest."""

import secrets
import threading
import time

import pytest
from celery import Celery, current_app
from django.conf import settings
from django.db import connection, transaction

from balances.models import Balance
from balances.services import lock_balances
from commands import queue
from tests.support.world import World, fund
from users.models import User

pytestmark = pytest.mark.dialect


def test_a_broker_that_is_away_costs_one_try(world, monkeypatch):
    """By default kombu would try again for six seconds, within the client's request."""
    app = Celery("away", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.broker_url = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(queue, "current_app", app)
    monkeypatch.setattr("commands.queue.cache.add", lambda *_args, **_options: True)
    began = time.monotonic()
    queue.ring_now(world.symbol)
    assert time.monotonic() - began < 1.5


@pytest.mark.skipif(not settings.IS_REDIS_BROKER, reason="RabbitMQ itself puts back what was not acknowledged")
def test_a_bell_that_was_not_acknowledged_does_not_end_its_worker(monkeypatch):
    """A freeze of Redis swallows the acknowledgement, then Redis is killed: nothing is put back, for nothing can be."""
    name = f"orders.test-{secrets.token_hex(4)}"
    with current_app.connection() as broker:
        bells = broker.SimpleQueue(name)
        bells.put({})
        bells.get(timeout=5)
        bells.channel.queue_delete(name)

        def fail(*_: object) -> None:
            raise AttributeError("there is no connection any more")

        monkeypatch.setattr(bells.channel.qos, "restore_unacked", fail)
        bells.channel.close()


@pytest.mark.parametrize("bystanders", [3, 60])
def test_a_strangers_balance_is_not_waited_for(transactional_db, bystanders):
    """However small the table: MySQL, left to itself, reads all of it and waits for every row."""
    world = World.make()
    User.objects.bulk_create(
        [User(username=f"bystander-{number}", email=f"{number}@example.com") for number in range(bystanders)]
    )
    people = User.objects.filter(username__startswith="bystander-")
    Balance.objects.bulk_create([Balance(user=one, currency_id="USD") for one in people])
    fund(world.carol.user, USD="1")
    held, release = threading.Event(), threading.Event()

    def hold_carols() -> None:
        try:
            with transaction.atomic():
                Balance.objects.filter(user=world.carol.user).update(available=1)
                held.set()
                release.wait(10)
        finally:
            connection.close()

    stranger = threading.Thread(target=hold_carols)
    stranger.start()
    try:
        assert held.wait(5)
        # SQLite lets one writer in at a time; there the transaction of the stranger is waited for as a whole.
        if connection.vendor == "mysql":
            began = time.monotonic()
            with transaction.atomic():
                keys = [(world.alice.user.id, "USD"), (world.bob.user.id, "BTC"), (people[0].id, "USD")]
                assert lock_balances(keys).keys() == set(keys)
            assert time.monotonic() - began < 1.5
    finally:
        release.set()
        stranger.join()
