"""Whatever is lost and wherever a client is cut off, its bookmark brings all that it has not received."""

import random
import time
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.utils import timezone

from base.models import Lineage
from base.streams.bookmark import EMPTY, LONGEST, MOST_LOGS, Bookmark, lineage_of, read_bookmark
from base.streams.gap_detector import GapDetector
from base.streams.hub import HasAll
from base.streams.messages import RESET, Message
from base.streams.signin import Permit
from base.web.accounts import Credential
from orders import catch_up
from orders.feed import OrderEventLog, OrderFeed, stored_updates
from orders.models import OrderEvent
from orders.representation import ORDER_STATUS_UPDATE
from tests.integration.stream.cast import Cast
from tests.support.sampling import SEED, TIMES

MARKETS = ("BTC-USD", "ETH-USD")


def everything(*_: object) -> bool:
    return True


@dataclass
class Client:
    """What it received, and the bookmark that it keeps as a browser keeps it. The model: a set of ids."""

    bookmark: str = ""
    has: set[str] = field(default_factory=set)

    def take(self, feed: OrderFeed, messages: list[Message], has_all: HasAll | None) -> None:
        for message in messages:
            if message.id is not None:
                self.bookmark = feed.bookmark(message.type, message.id, has_all)
            if message.type == ORDER_STATUS_UPDATE:
                self.has.add(str(message.id))


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(SEED, SEED + 15 * TIMES))
def test_nothing_is_missing_after_a_cut(cast: Cast, seed: int) -> None:
    dice, now = random.Random(seed), timezone.now()
    detector = GapDetector(
        OrderEventLog(),
        is_subscribed=everything,
        has_streams=everything,
        must_catch_up=lambda _: None,
        must_end=lambda: None,
    )
    before = [cast.tell(cast.alice, dice.choice(MARKETS), published=False) for _ in range(dice.randrange(3))]
    client, feed, waiting, mine = (
        Client(),
        OrderFeed(cast.alice.pk, None, Permit(Credential(cast.alice.pk))),
        list[Message](),
        set[str](),
    )
    client.take(feed, feed.opening(time.monotonic()), everything)
    for _ in range(60):
        step = dice.random()
        if step < 0.6:
            user, at = dice.choice((cast.alice, cast.bob)), now + timedelta(seconds=dice.randrange(-4000, 4000))
            event = cast.tell(user, dice.choice(MARKETS), published=False, created_at=at)
            if user is cast.alice:
                mine.add(event.event_id)
            if dice.random() < 0.8:
                detector.receive(event.event_id)
                waiting += stored_updates([event]) if user is cast.alice else []
        elif step < 0.8:
            client.take(feed, waiting, detector.has_all)
            waiting = []
        elif step < 0.9:
            client.take(feed, feed.missed(time.monotonic()), everything)
        else:
            feed, waiting = OrderFeed(cast.alice.pk, client.bookmark, Permit(Credential(cast.alice.pk))), []
            opening = feed.opening(time.monotonic())
            if RESET in {message.type for message in opening}:
                # The first event of a market was lost, and the client does not know of the market.
                assert len(read_bookmark(client.bookmark) or {}) < len(MARKETS)
                client.has |= mine
            client.take(feed, opening, everything)
            assert mine <= client.has
            # What is sent a second time is what came after a hole, and nothing from before the first connection.
            assert client.has.isdisjoint(event.event_id for event in before)


@pytest.mark.django_db
@pytest.mark.dialect
def test_another_server_that_took_over_makes_old_bookmarks_worthless(cast: Cast) -> None:
    """It may lack commits, and give their numbers to other events: from its bookmark a client could not tell."""
    [_, seen, _] = cast.tell_many(cast.alice, 3, published=False)
    before = catch_up.current_position()
    assert len(catch_up.missed_events(cast.alice.pk, seen.event_id)) == 1
    Lineage.objects.update(server="another")
    assert catch_up.current_position().is_behind(before), "open streams are ended"
    feed = OrderFeed(cast.alice.pk, seen.event_id, Permit(Credential(cast.alice.pk)))
    opening, client = feed.opening(time.monotonic()), Client()
    assert [message.type for message in opening] == ["connected", RESET]
    client.take(feed, opening, everything)
    assert catch_up.missed_events(cast.alice.pk, client.bookmark) == []
    missed = cast.tell(cast.alice, published=False)
    client.take(feed, stored_updates([missed]), everything)
    assert read_bookmark(client.bookmark) == {"BTC-USD": missed.sequence}
    assert catch_up.missed_events(cast.alice.pk, client.bookmark) == []


@pytest.mark.django_db
@pytest.mark.dialect
def test_a_replay_reads_what_it_sends_and_no_more(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """By market and number, so that neither the user's past nor the market's other users cost anything."""
    cast.tell_many(cast.alice, 300, published=False)
    cast.tell_many(cast.bob, 300, published=False)
    cast.tell_many(cast.alice, 5, "ETH-USD", published=False)
    seen = catch_up.newest_numbers(cast.alice.pk)
    assert seen == {"BTC-USD": 300, "ETH-USD": 5}
    missed = cast.tell_many(cast.alice, 2, published=False)
    found = catch_up.missed_events(cast.alice.pk, "BTC-USD-300,ETH-USD-5")
    assert [event.pk for event in found] == [event.pk for event in missed]
    plan = OrderEvent.objects.filter(user_id=cast.alice.pk, market_id="BTC-USD", sequence__gt=300).explain()
    assert "event_user_place" in plan


def test_a_bookmark_is_read_as_it_was_written() -> None:
    bookmark = Bookmark({"ETH-USD": 4})
    bookmark.move("BTC-USD", 17)
    bookmark.move("BTC-USD", 16)
    assert bookmark.text("BTC-USD") == "BTC-USD-17,ETH-USD-4"
    assert bookmark.text("NOPE") == "ETH-USD-4,BTC-USD-17"
    assert read_bookmark(bookmark.text()) == {"ETH-USD": 4, "BTC-USD": 17}
    assert read_bookmark(Bookmark({}).text()) == read_bookmark(EMPTY) == {}
    assert read_bookmark(Bookmark({}, "5f0a3c91").text()) == {}
    later = Bookmark({"BTC-USD": 17}, "5f0a3c91").text("BTC-USD")
    assert (later, read_bookmark(later), lineage_of(later)) == ("~5f0a3c91,BTC-USD-17", {"BTC-USD": 17}, "5f0a3c91")


@pytest.mark.parametrize("name", ["M{}", "A-RATHER-LONG-NAME-OF-A-MARKET-{}"])
def test_a_bookmark_has_a_limit(name: str) -> None:
    many = Bookmark({name.format(number): number for number in range(1, 2 * MOST_LOGS)})
    text = many.text(name.format(2 * MOST_LOGS - 1))
    assert len(text) <= LONGEST
    last = read_bookmark(text)
    assert last is not None
    assert len(last) <= MOST_LOGS
    assert next(iter(last.items())) == (name.format(2 * MOST_LOGS - 1), 2 * MOST_LOGS - 1)


@pytest.mark.parametrize(
    "junk",
    ["", ",", "BTC-USD-1,", "BTC-USD-1,BTC-USD-2", "BTC-USD-1,x", "1", "00", *("M-1," * 300, "M" * 5000)],
)
def test_junk_is_no_bookmark(junk: str) -> None:
    assert read_bookmark(junk) is None
