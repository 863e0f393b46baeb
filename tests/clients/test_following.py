"""Streams without a network: what is cut, sent twice, missed and reset."""

from dataclasses import replace

import pytest

from clients.python.clearbell import (
    DepthUpdate,
    Forbidden,
    Gap,
    Interrupted,
    MarketReset,
    NotSignedIn,
    Opened,
    OrderBook,
    OrderUpdate,
    Password,
    TradesUpdate,
)
from clients.python.clearbell.answers.market import Depth
from clients.python.clearbell.answers.reading import read_as
from clients.python.clearbell.conversation import Conversations
from clients.python.clearbell.credentials import Nobody
from clients.python.clearbell.retry import Cut, Retry
from clients.python.clearbell.streams import sources
from clients.python.clearbell.streams.following import Following
from clients.python.clearbell.streams.sources import OneMarket, OwnOrders
from tests.clients.fakes import ORDER, Fake, done, frame, refused, trade

TALK = Conversations(Nobody(), Retry())
NO_ORDERS = done([], asOf={"BTC-USD": 0})


def update(number, **changed):
    event = {**ORDER, "eventId": f"BTC-USD-{number}", "sequence": number, **changed}
    return frame("order-status-update", event, f"BTC-USD-{number}")


def last_trade(number):
    return {
        "tradeId": f"BTC-USD-{number}",
        "price": "100",
        "quantity": "1",
        "role": "MAKER",
        "fee": "0",
        "feeCurrency": "USD",
    }


def fill(number):
    return {**last_trade(number), "orderId": 7, "symbol": "BTC-USD", "side": "BUY", "createdAt": "2026-01-01T00:00:02Z"}


def followed(source, *answers):
    fake = Fake(*answers)
    fake.run(Following(TALK, source, "events").steps())
    return fake


def test_a_cut_stream_goes_on_after_its_position_and_delivers_nothing_twice():
    fake = followed(
        OwnOrders(TALK),
        *(None, NO_ORDERS, update(1), update(2), Cut("reset")),
        *(None, update(2), update(3)),
    )
    assert [type(event) for event in fake.delivered] == [
        Opened,
        OrderUpdate,
        OrderUpdate,
        Interrupted,
        Opened,
        OrderUpdate,
    ]
    assert fake.sent[-1].headers["Last-Event-ID"] == "BTC-USD-2"
    assert [event.sequence for event in fake.delivered if isinstance(event, OrderUpdate)] == [1, 2, 3]


def test_a_stream_that_is_cut_before_its_first_position_reads_what_it_missed():
    closed = {**ORDER, "status": "FILLED", "active": False, "updatedAt": "2026-01-01T00:00:03Z"}
    fake = followed(
        OwnOrders(TALK),
        *(None, done([ORDER], asOf={"BTC-USD": 1}), Cut("reset")),
        *(None, done([], asOf={"BTC-USD": 9}), done([closed]), done([fill(5)]), update(9), update(10)),
    )
    assert [type(event) for event in fake.delivered] == [Opened, Interrupted, Opened, Gap, OrderUpdate]
    gap = fake.delivered[3]
    assert ([each.status for each in gap.orders], [each.trade_id for each in gap.fills]) == (["FILLED"], ["BTC-USD-5"])


def test_pauses_are_no_shorter_than_the_exchange_asks_and_grow_while_nothing_comes():
    busy = [refused(429, "TOO_MANY_STREAMS", retryAfterMs=9000)] * 20
    fake = followed(OwnOrders(TALK), *busy)
    assert all(9 <= pause <= 20 for pause in fake.pauses) and len(set(fake.pauses)) > 1
    # It is opened each time, by a proxy perhaps, and nothing comes.
    fake = followed(OwnOrders(TALK, "BTC-USD-1"), *[None, Cut("reset")] * 12)
    assert max(fake.pauses) > 10
    # A request that did not arrive in time is sent again.
    assert len(followed(OwnOrders(TALK), refused(408, "REQUEST_TIMEOUT"), None, NO_ORDERS).delivered) == 2


def test_a_reset_is_filled_by_rest_and_each_fill_is_delivered_once():
    closed = {**ORDER, "status": "FILLED", "active": False, "updatedAt": "2026-01-01T00:00:03Z"}
    fake = followed(
        OwnOrders(TALK),
        *(None, NO_ORDERS, update(1), update(2, lastTrade=last_trade(2))),
        frame("stream-reset", {"reason": "TOO_MANY_MISSED"}, "BTC-USD-9"),
        # Open orders, orders since then, fills since then, and the one that was open.
        *(done([], asOf={"BTC-USD": 9}), done([]), done([fill(5), fill(2)]), done(closed)),
        # One that REST has answered already, and one that comes later with a fill that REST has answered.
        *(update(9), update(10, lastTrade=last_trade(5)), update(11, lastTrade=last_trade(11))),
    )
    gap = next(event for event in fake.delivered if isinstance(event, Gap))
    assert (gap.reason, [order.status for order in gap.orders]) == ("TOO_MANY_MISSED", ["FILLED"])
    assert [each.trade_id for each in gap.fills] == ["BTC-USD-5"]
    after = fake.delivered[fake.delivered.index(gap) + 1 :]
    assert [(event.sequence, event.trade and event.trade.trade_id) for event in after] == [
        (10, None),
        (11, "BTC-USD-11"),
    ]


def test_trades_that_a_market_stream_missed_are_read_by_rest():
    fake = followed(
        OneMarket(TALK, "BTC-USD"),
        *(None, done([]), frame("trades", [trade(1), trade(2)]), Cut("reset")),
        *(None, done([trade(5), trade(4), trade(2)]), frame("trades", [trade(5), trade(6)])),
    )
    trades = [
        (event.was_missed, [each.sequence for each in event.trades])
        for event in fake.delivered
        if isinstance(event, TradesUpdate)
    ]
    assert trades == [(False, [1, 2]), (True, [4, 5]), (False, [6])]


def test_more_missed_trades_than_are_read_are_no_secret(monkeypatch):
    monkeypatch.setattr(sources, "MOST_PAGES", 2)
    fake = followed(
        OneMarket(TALK, "BTC-USD"),
        *(None, done([trade(1)]), Cut("reset")),
        *(None, done([trade(9), trade(8)], nextCursor="a"), done([trade(7), trade(6)], nextCursor="b")),
    )
    [update] = [event for event in fake.delivered if isinstance(event, TradesUpdate)]
    assert [each.sequence for each in update.trades] == [6, 7, 8, 9] and not update.is_complete


def test_a_stream_that_is_refused_for_good_ends_and_one_of_too_many_comes_again():
    fake = followed(OwnOrders(TALK), refused(429, "TOO_MANY_STREAMS"), None, NO_ORDERS)
    assert [type(event) for event in fake.delivered] == [Interrupted, Opened]
    with pytest.raises(Forbidden):
        followed(OwnOrders(TALK), refused(403, "SCOPE_REQUIRED", scope="read"))
    # A wrong password is wrong the next time too.
    alice = Conversations(Password("alice", "wrong"), Retry())
    with pytest.raises(NotSignedIn):
        Fake(refused(401, "INVALID_CREDENTIALS")).run(Following(alice, OwnOrders(alice), "events").steps())


def depth(sequence, *bids, asks=("101",)):
    sides = {
        side: [{"price": price, "quantity": "1", "orderCount": 1} for price in prices]
        for side, prices in (("bids", bids), ("asks", asks))
    }
    return read_as(
        Depth, {"symbol": "BTC-USD", "sequence": sequence, **sides, "bestBid": None, "bestAsk": None, "spread": None}
    )


def test_a_book_passes_over_what_is_older_and_says_when_it_is_stale():
    book = OrderBook("BTC-USD")
    assert book.is_stale and book.apply(DepthUpdate(depth(5, "100", "99")))
    assert not book.is_stale and not book.apply(DepthUpdate(depth(4, "98"))) and book.passed_over == 1
    assert book.best_bid.price == 100 and book.agrees_with(depth(5, "100", "99"))
    assert book.agrees_with(depth(5, "100", "98")) is False and book.agrees_with(depth(6, "100")) is None
    book.apply(Interrupted("reset"))
    assert book.is_stale and book.why_stale == "reset"


def test_a_book_is_that_of_one_market_and_stays_stale_until_its_stream_is_back():
    book = OrderBook("BTC-USD")
    book.apply(DepthUpdate(depth(5, "100")))
    book.apply(MarketReset("ETH-USD"))
    other = replace(depth(6, "7"), symbol="ETH-USD")
    assert not book.is_stale and not book.snapshot(other) and book.agrees_with(other) is None
    book.apply(Interrupted("reset"))
    assert book.snapshot(depth(6, "100")) and book.is_stale


def test_a_book_keeps_deeper_levels_of_a_snapshot_behind_those_that_the_stream_shows():
    shown = [str(100 - number) for number in range(20)]
    book = OrderBook("BTC-USD")
    book.snapshot(depth(5, *shown, "80", "79", "70"))
    book.apply(DepthUpdate(depth(6, *[str(99 - number) for number in range(20)])))
    assert [str(level.price) for level in book.bids][-3:] == ["80", "79", "70"]
    assert (book.sequence, book.deep_sequence, len(book.bids)) == (6, 5, 22)
    # A side of fewer levels is all there is.
    book.apply(DepthUpdate(depth(7, "99")))
    assert len(book.bids) == 1 and book.deep_sequence == 7
