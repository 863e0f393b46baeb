"""Streams that the sandbox tampers with: events twice, late, or not before the client comes again."""

import time
from collections.abc import Iterator

import pytest
from django.test import override_settings

from base.streams.application import StreamApplication
from sandbox.faults import Plan
from sandbox.models import OF_THE_ACCOUNT
from sandbox.services import order_faults
from tests.integration.stream.cast import Cast, another_application, opened, serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def application() -> StreamApplication:
    with override_settings(STREAM_FAULTS="sandbox.streams.StreamFaults"):
        return another_application()


@pytest.fixture
def port(application: StreamApplication) -> Iterator[int]:
    with serving(application) as port:
        yield port


def test_events_come_twice_and_late_and_only_to_who_ordered_it(cast: Cast, port: int) -> None:
    order_faults(cast.alice.pk, OF_THE_ACCOUNT, Plan(duplicate_percent=100, late_ms=300, late_percent=100))
    with opened(port, cast.alice) as alice, opened(port, cast.bob) as bob:
        assert alice.headers["x-sandbox-fault"] == "stream"
        assert "x-sandbox-fault" not in bob.headers
        began = time.perf_counter()
        event = cast.tell(cast.alice)
        others = cast.tell(cast.bob)
        assert [told.id for told in bob.take(1)] == [others.event_id]
        assert [told.id for told in alice.take(2)] == [event.event_id] * 2
        assert time.perf_counter() - began > 0.3


def test_who_comes_again_after_each_cut_misses_nothing(cast: Cast, port: int) -> None:
    order_faults(cast.alice.pk, OF_THE_ACCOUNT, Plan(seed=3, cut_percent=50))
    last, received, cuts = cast.tell(cast.alice).event_id, [], 0
    sent: list[str] = []
    for _ in range(8):
        with opened(port, cast.alice, Last_Event_ID=last) as client:
            received += [told.id for told in client.take(len(sent) - len(received))]
            sent.append(cast.tell(cast.alice).event_id)
            heard = client.next()
            received += [] if heard is None else [heard.id]
            cuts += client.ended
            last = client.last_event_id or last
    with opened(port, cast.alice, Last_Event_ID=last) as client:
        received += [told.id for told in client.take(len(sent) - len(received))]
    assert received == sent
    assert 0 < cuts < 8


def test_late_is_each_event_and_a_stream_ends_in_between(cast: Cast, application: StreamApplication, port: int) -> None:
    """Also where many events come at once: whoever is signed out is sent none of those that are late."""
    order_faults(cast.alice.pk, OF_THE_ACCOUNT, Plan(late_ms=300, late_percent=100))
    with opened(port, cast.alice) as alice:
        began = time.perf_counter()
        events = cast.tell_many(cast.alice, 20)
        assert [told.id for told in alice.take(1)] == [events[0].event_id]
        assert 0.3 < time.perf_counter() - began < 3
        application._hub.end_all()
        assert len(alice.take(19)) < 3
        assert alice.ended
