"""A server that takes no writes for a while: the outcome of a request is unknown, and no order fails."""

import os

import pytest
from django.db import OperationalError, connection
from django.test import Client

from matching import drain
from tests.support.world import World, outcome


def _set_read_only(word: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET GLOBAL super_read_only = {word}")


@pytest.mark.django_db(transaction=True)
def test_a_server_that_became_read_only_fails_no_order(monkeypatch, settings):
    """As after a failover, until the new primary is found."""
    if connection.vendor != "mysql" or connection.mysql_is_mariadb or os.environ.get("TEST_DATABASE_URL"):
        pytest.skip("a server of our own is needed, and only MySQL refuses the superuser too")
    monkeypatch.setattr(drain, "BACKOFF_SECONDS", 0)
    world = World.make()
    waiting = world.place(world.alice, "buy 1 @ 100", clientOrderId="k-1").body["data"]["orderId"]
    _set_read_only("ON")
    try:
        refused = world.place(world.alice, "buy 1 @ 100", clientOrderId="k-2")
        assert (refused.status_code, refused.body["error"]) == (503, "UNAVAILABLE")
        with pytest.raises(OperationalError, match="read-only"):
            world.match()
        health = Client().get("/health/ready")
        assert (health.status_code, health.json()["database"]) == (503, "read-only")
    finally:
        _set_read_only("OFF")
    assert outcome(world.alice.get(f"/orders/{waiting}")) == "1 pending +"
    assert outcome(world.play(world.alice, "buy 1 @ 100", clientOrderId="k-2")) == "1 open +"
    assert outcome(world.alice.get(f"/orders/{waiting}")) == "1 open +"
