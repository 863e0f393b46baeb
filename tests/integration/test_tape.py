"""Candles and the ticker: the public tape summed up."""

from datetime import timedelta

import pytest
from django.utils import timezone

from marketdata.tape import read_ticker
from markets.models import Candle, Interval
from matching import drain
from tests.support.world import World, fund

pytestmark = pytest.mark.dialect


def trade(world: World, price: str, quantity: str) -> None:
    world.play(world.bob, f"sell {quantity} @ {price}")
    world.play(world.alice, f"buy {quantity} @ {price}")


def klines(world: World, query: str = "") -> list[dict]:
    return world.carol.get(f"/klines/{world.symbol}?{query}")


@pytest.fixture
def ago(monkeypatch):
    """Let the database's clock, as the worker reads it, stand so much before the test's beginning."""
    beginning = timezone.now()

    def set_back(**delta: int) -> None:
        now = beginning - timedelta(**delta)
        monkeypatch.setattr(drain, "database_time", lambda: now)

    return set_back


def test_a_candle_sums_up_its_interval(world):
    for price, quantity in (("100", "1"), ("120", "0.5"), ("90", "0.1"), ("110", "0.4")):
        trade(world, price, quantity)
    day = klines(world, "interval=1d&limit=1")
    assert day == [
        {
            "openTime": day[0]["openTime"],
            "open": "100",
            "high": "120",
            "low": "90",
            "close": "110",
            "volume": "2",
            "quoteVolume": "213",
            "trades": 4,
        }
    ]
    assert day[0]["openTime"].endswith("T00:00:00.000000Z")
    assert Candle.objects.filter(interval=Interval.HOUR).count() in (1, 2)


def test_several_fills_of_one_batch_count_each(world):
    for price in ("100", "101"):
        world.play(world.bob, f"sell 1 @ {price}")
    world.play(world.alice, "buy 2 @ 101")
    assert [(candle["open"], candle["close"], candle["trades"]) for candle in klines(world, "interval=1d&limit=1")] == [
        ("100", "101", 2)
    ]


def test_empty_intervals_are_flat_and_there_are_none_before_the_first_trade(world, ago):
    ago(minutes=3)
    trade(world, "100", "1")
    ago()
    trade(world, "105", "1")
    # The minute may have ended since: then one more is shown, flat.
    shown = klines(world, "limit=10")[:4]
    assert [candle["close"] for candle in shown] == ["100", "100", "100", "105"]
    assert [candle["trades"] for candle in shown] == [1, 0, 0, 1]
    assert shown[1]["volume"] == "0"
    assert klines(world, "limit=1")[0]["close"] == "105"


def test_windows(world):
    trade(world, "100", "1")
    now = timezone.now()
    start = (now - timedelta(minutes=2)).isoformat().replace("+00:00", "Z")
    milliseconds = int(now.timestamp() * 1000)
    assert len(klines(world, f"startTime={start}&limit=5")) == 1
    assert len(klines(world, f"startTime={milliseconds - 60_000}&endTime={milliseconds + 300_000}&limit=500")) == 6
    assert len(klines(world, f"startTime={milliseconds}&endTime={milliseconds + 300_000}&limit=2")) == 2
    assert klines(world, f"endTime={milliseconds - 3_600_000}") == []


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("interval=2m", "INVALID_CHOICE"),
        ("interval=", "INVALID_CHOICE"),
        ("limit=501", "LIMIT_OUT_OF_RANGE"),
        ("startTime=yesterday", "INVALID_TIME"),
        ("startTime=99999999999999999", "INVALID_TIME"),
        ("startTime=0001-01-01", "INVALID_TIME"),
        ("endTime=9999-12-31T23:59:59", "INVALID_TIME"),
        ("endTime=-5", "INVALID_TIME"),
    ],
)
def test_windows_that_are_none(world, query, error):
    refused = world.carol.call("GET", f"/klines/{world.symbol}?{query}")
    assert (refused.status_code, refused.body["error"]) == (400, error)


def test_ticker(world, ago):
    ago(hours=23)
    trade(world, "100", "1")
    ago()
    trade(world, "125", "0.5")
    world.play(world.alice, "buy 1 @ 99")
    world.play(world.bob, "sell 1 @ 130")
    assert world.carol.get("/ticker") == [world.carol.get("/ticker/BTC-USD")]
    assert world.carol.get("/ticker/BTC-USD") == {
        "symbol": "BTC-USD",
        "lastPrice": "125",
        "priceChange": "25",
        "priceChangePercent": "25",
        "high": "125",
        "low": "100",
        "volume": "1.5",
        "quoteVolume": "162.5",
        "bestBid": "99",
        "bestAsk": "130",
        "trades": 2,
    }
    assert read_ticker(world.market, timezone.now() + timedelta(hours=2))["low"] == "125"


def test_ticker_of_a_quiet_market(world):
    assert world.carol.get("/ticker/BTC-USD") == {
        **dict.fromkeys(("lastPrice", "priceChange", "priceChangePercent", "high", "low", "bestBid", "bestAsk")),
        "symbol": "BTC-USD",
        "volume": "0",
        "quoteVolume": "0",
        "trades": 0,
    }


def test_turnover_is_not_bounded_by_what_there_is(world):
    """The same money may pass many times: its sum must never stop the market."""
    fund(world.alice.user, USD="80000000000", BTC="1")
    for _ in range(3):
        world.play(world.alice, "sell 1 @ 70000000000 none")
        world.play(world.alice, "buy 1 @ 70000000000 none")
    assert klines(world, "interval=1d&limit=1")[0]["quoteVolume"] == "210000000000"
