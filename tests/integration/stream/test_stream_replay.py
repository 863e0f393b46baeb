"""What a client missed, it is told when it comes again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from exchange.asgi import ORDER_STATUS_PATH
from tests.integration.stream.cast import Cast, connect, opened

pytestmark = pytest.mark.django_db(transaction=True)


def test_replay_is_exact_in_one_market(cast: Cast, port: int) -> None:
    events = [cast.tell(user, published=False) for user in (cast.alice, cast.bob) * 10]
    mine = [event.event_id for event in events if event.user_id == cast.alice.pk]
    with opened(port, cast.alice, Last_Event_ID=mine[3]) as client:
        assert client.ids(6) == mine[4:]
        live = cast.tell(cast.alice)
        assert client.ids(1) == [live.event_id]
    with connect(port, cast.alice, f"{ORDER_STATUS_PATH}?lastEventId={mine[8]}") as client:
        assert client.ids(2) == [None, mine[9]]


@pytest.mark.dialect
@pytest.mark.parametrize("step", [timedelta(seconds=90), timedelta(hours=1)], ids=str)
def test_replay_is_exact_in_all_markets_though_the_clock_steps_back(cast: Cast, port: int, step: timedelta) -> None:
    now = timezone.now()
    with opened(port, cast.alice) as client:
        cast.tell(cast.alice, "ETH-USD", created_at=now)
        cast.tell(cast.alice, "BTC-USD", created_at=now)
        assert [told.id for told in client.take(2)] == ["ETH-USD-1", "BTC-USD-1,ETH-USD-1"]
    missed = [
        cast.tell(cast.alice, symbol, published=False, created_at=now - step + timedelta(seconds=number))
        for number, symbol in enumerate(("BTC-USD", "ETH-USD", "ETH-USD", "BTC-USD"))
    ]
    with opened(port, cast.alice, Last_Event_ID=client.last_event_id) as client:
        assert client.ids(5, 2) == [event.event_id for event in missed]
    with opened(port, cast.alice, Last_Event_ID=client.last_event_id) as client:
        assert client.next(1.5) is None, "and then nothing was missed"


def test_the_id_of_one_event_is_enough_where_it_says_enough(cast: Cast, port: int) -> None:
    """A market in which the user has events from before it may hold others that the client has not: a reset."""
    old = cast.tell(cast.alice, "ETH-USD", published=False)
    seen = cast.tell(cast.alice, "BTC-USD", published=False)
    cast.tell(cast.alice, "ETH-USD", published=False)
    for event in (old, seen):
        with opened(port, cast.alice, Last_Event_ID=event.event_id) as client:
            told = [each.data.get("eventId", each.type) for each in client.take(4, 1)]
        assert told == (["BTC-USD-1", "ETH-USD-2"] if event is old else ["stream-reset"])


def test_a_bookmark_does_not_pass_over_a_hole(cast: Cast, port: int) -> None:
    """Cut off after a message that came, and before the one that was lost is read, a client receives both."""
    with opened(port, cast.alice) as client:
        cast.tell(cast.alice)
        assert client.ids(1) == ["BTC-USD-1"]
        lost, heard = cast.tell(cast.alice, published=False), cast.tell(cast.alice)
        told = client.next()
        assert told is not None
        assert (told.data["eventId"], told.id) == (heard.event_id, "BTC-USD-1")
    with opened(port, cast.alice, Last_Event_ID=client.last_event_id) as client:
        assert client.ids(2) == [lost.event_id, heard.event_id]


@pytest.mark.parametrize(
    "garbage",
    ["x", "-", "BTC-USD-", "BTC-USD-0", "BTC-USD-999", "BTC-USD--1", "BTC-USD-1e3", "BTC-USD-" + "9" * 30, "u1:abc",
     "orders-1:7", "a" * 6000, "\xff\xfe", "'; DROP TABLE orders; --", "NOPE-1", "BTC-USD-\xb2", "btc-usd-1", "%00"],
)  # fmt: skip
def test_garbage_is_a_reset_and_then_live(cast: Cast, port: int, garbage: str) -> None:
    mine = cast.tell(cast.alice, published=False)
    with opened(port, cast.alice, Last_Event_ID=garbage) as client:
        reset = client.next()
        assert reset is not None
        assert (reset.type, reset.id) == ("stream-reset", mine.event_id)
        live = cast.tell(cast.alice)
        assert client.ids(1) == [live.event_id]


def test_another_users_event_is_a_reset(cast: Cast, port: int) -> None:
    theirs = cast.tell(cast.bob, published=False)
    with opened(port, cast.alice, Last_Event_ID=theirs.event_id) as client:
        reset = client.next()
    assert reset is not None
    assert (reset.type, reset.id) == ("stream-reset", "0")


def test_too_much_is_a_reset(cast: Cast, port: int) -> None:
    events = cast.tell_many(cast.alice, 1002, published=False)
    with opened(port, cast.alice, Last_Event_ID=events[0].event_id) as client:
        reset = client.next()
        assert reset is not None
        assert (reset.type, reset.id) == ("stream-reset", "BTC-USD-1002")
        assert client.next(1.5) is None
    with opened(port, cast.alice, Last_Event_ID=events[1].event_id) as client:
        assert len(client.take(1000)) == 1000


def test_connected_is_somewhere_to_go_on_from(cast: Cast, port: int) -> None:
    cast.tell(cast.alice, published=False)
    with opened(port, cast.alice) as client:
        last_event_id = client.last_event_id
    missed = cast.tell(cast.alice)
    with opened(port, cast.alice, Last_Event_ID=last_event_id) as client:
        assert client.ids(1) == [missed.event_id]


@pytest.mark.dialect
def test_what_was_never_published_is_read(cast: Cast, port: int) -> None:
    """The worker dies between its commit and its publication: its users hear of it all the same."""
    with opened(port, cast.alice) as client:
        lost = cast.tell(cast.alice, published=False)
        assert client.ids(1) == [lost.event_id]


def test_a_hole_between_published_events_is_filled(cast: Cast, port: int) -> None:
    """The newest number was heard; only the missing ones in between show that something was lost."""
    with opened(port, cast.alice) as alice, opened(port, cast.bob) as bob:
        lost = cast.tell_many(cast.alice, 3, published=False)
        heard = [cast.tell(cast.alice), cast.tell(cast.bob)]

        assert set(alice.ids(4)) == {event.event_id for event in [*lost, heard[0]]}
        assert bob.ids(1) == [heard[1].event_id]
        assert alice.next(2.5) is None, "nothing comes twice"
        assert bob.next(0) is None
