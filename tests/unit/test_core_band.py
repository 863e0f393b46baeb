"""The price band of a taker: how far from the reference price it may trade, and what becomes of its rest."""

import pytest

from core.band import furthest_price, twice_reference
from core.money import MAX_UNITS
from core.types import Side
from tests.support.tape import Desk, outcome_of, units


@pytest.fixture
def desk() -> Desk:
    """The last trade was at 100; two wait at 105, at 110 and at 111 each, as many bid at 95, 90 and 89."""
    desk = Desk(band="0.1")
    desk.play("sell 1 @ 100", "buy 1 @ 100")
    desk.play("sell 2 @ 105", "sell 2 @ 110", "sell 2 @ 111", "buy 2 @ 95", "buy 2 @ 90", "buy 2 @ 89")
    return desk


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("buy 5 @ market", "1 partially_filled price_protection"),
        ("buy market 1000 quote", "570 partially_filled price_protection"),
        ("buy 5 @ 111", "1 partially_filled price_protection"),
        ("buy 5 @ 111 ioc", "1 partially_filled price_protection"),
        ("buy 5 @ 111 fok", "5 expired fok_not_fillable"),
        ("buy 4 @ 111 fok", "0 filled"),
        ("sell 5 @ market", "1 partially_filled price_protection"),
        ("sell 5 @ 89", "1 partially_filled price_protection"),
        ("buy 4 @ market", "0 filled"),
        ("buy 1 @ 111 post-only", "1 rejected would_take"),
        # What is all spent is FILLED, whatever comes next.
        ("buy market 430 quote", "0 filled"),
        # Its own limit is nearer than the band: it rests.
        ("buy 5 @ 110", "1 partially_filled"),
        ("sell 5 @ 90", "1 partially_filled"),
    ],
)
def test_a_taker_stops_at_the_band(desk, line, expected):
    assert outcome_of(desk.play(line, funds="1000000")) == expected


@pytest.mark.parametrize("line", ["buy 1 @ market", "buy market 200 quote", "buy 1 @ 111", "buy 1 @ 111 ioc"])
def test_whoever_meets_nothing_within_the_band_is_rejected(line):
    desk = Desk(band="0.1")
    desk.play("sell 1 @ 100", "buy 1 @ 100", "sell 1 @ 111")
    assert outcome_of(desk.play(line, funds="1000")).endswith(" rejected price_protection")
    assert desk.depth() == "| 1@111"


@pytest.mark.parametrize("max_steps", [None, 1, 2])
def test_the_band_does_not_follow_the_taker(desk, max_steps):
    """Its trade at 110 would allow 121; in however many transactions, the taker keeps what it began with."""
    taker = desk.play("buy 5 @ market", funds="1000", max_steps=max_steps)
    assert desk.fills(taker) == "3:2@105 4:2@110"
    assert taker.protection_price == units(110)


def test_before_the_first_trade_it_is_the_middle():
    desk = Desk(band="0.1")
    desk.play("buy 1 @ 99", "sell 1 @ 102", "sell 1 @ 111")
    assert outcome_of(desk.play("buy 2 @ market", funds="1000")) == "1 partially_filled price_protection"


def test_without_a_reference_price_there_is_no_band():
    desk = Desk(band="0.1")
    desk.play("sell 1 @ 1", "sell 1 @ 1000")
    taker = desk.play("buy 2 @ market", funds="2000", max_steps=1)
    assert outcome_of(taker) == "0 filled", "its own first trade is no reference for the second"


def test_an_order_rests_beyond_the_band_where_it_meets_nobody(desk):
    """What it would trade at there is better for whoever comes."""
    desk.play("buy 6 @ market", funds="10000")
    desk.play("buy 2 @ 111")
    assert outcome_of(desk.play("buy 1 @ 130")) == "1 open"


@pytest.mark.parametrize(
    ("side", "twice", "band", "expected"),
    [
        # A tenth of 1.00000001 around the middle of two odd prices, to the last unit.
        (Side.BUY, 200_000_002, 10_000_000, 110_000_001),
        (Side.SELL, 200_000_002, 10_000_000, 90_000_001),
        (Side.BUY, 200_000_001, 10_000_000, 110_000_000),
        (Side.SELL, 200_000_001, 10_000_000, 90_000_001),
        (Side.BUY, 2 * MAX_UNITS, 50_000_000, MAX_UNITS),
        (Side.BUY, None, 1, MAX_UNITS),
        (Side.SELL, None, 1, 0),
    ],
)
def test_the_furthest_price(side, twice, band, expected):
    assert furthest_price(side, twice, band) == expected


def test_the_reference_price():
    assert twice_reference(7, 1, 2) == 14
    assert twice_reference(None, 1, 2) == 3
    assert twice_reference(None, None, 2) is twice_reference(None, 1, None) is None
