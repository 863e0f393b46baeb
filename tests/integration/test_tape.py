"""Candles and the ticker: the public tape summed up."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from core.money import plain
from marketdata.candles import MOST_ROWS, SPANS
from marketdata.tape import read_tickers
from markets.models import Candle, Interval
from markets.services import create_market
from matching import drain
from matching.books import lock_book
from tests.support.sampling import dice
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
        monkeypatch.setattr(drain, "lock_book", lambda symbol: lock_book(symbol)._replace(now=now))

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


def test_windows(world, ago):
    """Candles open from the start to the end, and never later than now."""
    ago(minutes=2)
    trade(world, "100", "1")
    now = timezone.now()
    traded = int((now - timedelta(minutes=2)).timestamp() * 1000) // 60_000 * 60_000
    iso = datetime.fromtimestamp(traded / 1000, UTC).isoformat().replace("+00:00", "Z")
    assert [len(klines(world, f"startTime={start}&endTime={traded + 60_000}")) for start in (traded, iso)] == [2, 2]
    # The minute of the trade opened before this start.
    [later] = klines(world, f"startTime={traded + 1}&endTime={traded + 60_000}")
    assert (later["close"], later["trades"]) == ("100", 0)
    # From before the first trade: the first candles that there are.
    assert klines(world, f"startTime={traded - 3_600_000}&limit=1")[0]["trades"] == 1
    in_an_hour = int((now + timedelta(hours=1)).timestamp() * 1000)
    assert klines(world, f"endTime={in_an_hour}&limit=500")[-1]["openTime"] <= timezone.now().isoformat()
    assert klines(world, f"startTime={in_an_hour}") == []
    assert klines(world, f"endTime={traded - 60_000}") == []


def test_longer_intervals_are_the_sums_of_what_was_traded_in_them(world, ago):
    """All intervals against the trades themselves, grouped by the calendar."""
    draw, beginning, traded = dice("candles"), timezone.now(), []
    for minutes in sorted((draw.randint(0, 80 * 24 * 60) for _ in range(14)), reverse=True):
        ago(minutes=minutes)
        price = draw.randint(90, 110)
        trade(world, str(price), "0.5")
        traded.append((beginning - timedelta(minutes=minutes), price))
    for name in SPANS:
        expected: dict[datetime, list[int]] = {}
        for at, price in traded:
            expected.setdefault(opening(at, name), []).append(price)
        shown = [
            (each["openTime"], each["open"], each["high"], each["low"], each["close"], each["volume"])
            for opens in expected
            for each in klines(world, f"interval={name}&startTime={opens.isoformat()[:19]}&limit=1")
        ]
        assert shown == [
            (
                opens.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
                *map(str, (prices[0], max(prices), min(prices), prices[-1])),
                plain(len(prices) * Decimal("0.5")),
            )
            for opens, prices in expected.items()
        ], name


def opening(at: datetime, name: str) -> datetime:
    """The opening of an interval, by the calendar alone."""
    day, minute = at.replace(hour=0, minute=0, second=0, microsecond=0), at.hour * 60 + at.minute
    if name == "1M":
        return day.replace(day=1)
    if name == "1w":
        return day - timedelta(days=day.weekday())
    length = int(name[:-1]) * {"m": 1, "h": 60, "d": 1440}[name[-1]]
    return day + timedelta(minutes=minute // length * length)


def test_no_call_reads_more_than_5000_candles():
    most = {name: min(500, MOST_ROWS // span.parts) * span.parts for name, span in SPANS.items()}
    assert max(most.values()) <= 5_000
    assert {name: SPANS[name].parts for name in ("1m", "3m", "30m", "1w", "1M")} == {
        "1m": 1,
        "3m": 3,
        "30m": 2,
        "1w": 7,
        "1M": 31,
    }


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
    assert next(read_tickers([world.symbol], timezone.now() + timedelta(hours=2)))["low"] == "125"


def test_the_change_is_since_the_price_of_24_hours_ago(world, ago):
    ago(days=2)
    trade(world, "110", "1")
    quiet = next(read_tickers([world.symbol], timezone.now()))
    assert (quiet["lastPrice"], quiet["priceChange"], quiet["high"], quiet["trades"]) == ("110", "0", None, 0)
    ago(hours=1)
    trade(world, "150", "1")
    ticker = world.carol.get("/ticker/BTC-USD")
    assert (ticker["priceChange"], ticker["priceChangePercent"], ticker["low"]) == ("40", "36.36", "150")


def test_a_clock_that_stepped_back_does_not_change_which_trade_is_the_last(world, ago):
    ago()
    for price in ("100", "120"):
        trade(world, price, "1")
    ago(minutes=1)
    trade(world, "90", "1")
    ticker = world.carol.get("/ticker/BTC-USD")
    assert (ticker["lastPrice"], ticker["priceChange"], ticker["low"], ticker["high"]) == ("90", "-10", "90", "120")


def test_the_ticker_is_the_sum_of_the_trades_of_24_hours(world, ago):
    """At any minute of the day, whichever kept candles cover the window."""
    draw, beginning, traded = dice("ticker"), timezone.now(), []
    for minutes in sorted((draw.randint(0, 26 * 60) for _ in range(12)), reverse=True):
        ago(minutes=minutes)
        price = draw.randint(90, 110)
        trade(world, str(price), "0.5")
        traded.append((beginning - timedelta(minutes=minutes), price))
    for later in range(0, 24 * 60, 97):
        now = beginning + timedelta(minutes=later)
        opens = now.replace(second=0, microsecond=0) - timedelta(hours=24) + timedelta(minutes=1)
        prices = [price for at, price in traded if at >= opens]
        before = [price for at, price in traded if at < opens]
        ticker = next(read_tickers([world.symbol], now))
        assert (ticker["trades"], ticker["volume"]) == (len(prices), plain(len(prices) * Decimal("0.5")))
        assert ticker["high"] == (str(max(prices)) if prices else None)
        assert ticker["priceChange"] == str(traded[-1][1] - (before[-1] if before else prices[0]))


def test_tickers_of_many_markets_take_as_many_queries_as_of_one(world, django_assert_num_queries):
    trade(world, "100", "1")
    with django_assert_num_queries(4):
        one = list(read_tickers(["BTC-USD"], timezone.now()))
    create_market(symbol="BTC-EUR", base="BTC", quote="EUR", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
    with django_assert_num_queries(4):
        both = list(read_tickers(["BTC-EUR", "BTC-USD"], timezone.now()))
    assert both[1] == one[0]


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
