"""manage.py after_lost_commits: before an exchange goes on without commits that its clients have heard of."""

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError
from django.db.models import QuerySet

from base.models import CacheState, Lineage
from base.storage.coherence import Phase
from base.storage.lineage import read_lineage
from base.storage.shared_caches import DatabaseStates
from tests.support.world import World

pytestmark = [pytest.mark.dialect, pytest.mark.django_db(transaction=True)]


def test_ids_that_may_have_been_lost_are_not_given_again():
    """Their orders were answered 202: the owner must find nothing under such an id, and nobody else's order."""
    world = World.make()
    first = world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"]
    call_command("after_lost_commits", ids=1000)
    assert world.alice.call("GET", f"/orders/{first + 1}").status_code == 404
    second = world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"]
    assert second > first + 1000
    assert world.alice.get(f"/orders/{second}")["orderId"] == second


def test_it_renews_the_lineage_though_the_server_is_the_same():
    """As after a restore into the same server."""
    before = read_lineage()
    call_command("after_lost_commits")
    assert read_lineage() not in ("", before)


def test_a_server_that_takes_no_writes_yet_is_one_lineage_and_a_new_one(monkeypatch):
    """Each other one would end all streams once more."""
    before = read_lineage()
    Lineage.objects.update(server="another")

    def read_only(*_, **__):
        raise OperationalError(1290, "The MySQL server is running with the --read-only option")

    with monkeypatch.context() as patched:
        patched.setattr(QuerySet, "update", read_only)
        meanwhile = {read_lineage() for _ in range(3)}
    assert len(meanwhile) == 1
    assert len({before, *meanwhile, read_lineage()}) == 3


@pytest.mark.skipif("sqlite" in settings.DATABASES["default"]["ENGINE"], reason="SQLite has no shared caches")
def test_it_closes_the_shared_caches():
    states = DatabaseStates()
    states.change(states.read(), Phase.OPEN, "a run of Redis")
    before = states.read()
    call_command("after_lost_commits")
    after = CacheState.objects.get()
    assert before.phase is Phase.OPEN
    assert (after.phase, after.token == before.token) == (Phase.CLOSING, False)
