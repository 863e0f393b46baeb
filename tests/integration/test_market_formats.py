"""Market data in the formats of TradingView's charts and of CoinGecko."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.test import Client

from markets.services import create_market
from tests.support.world import World

pytestmark = pytest.mark.django_db
NOW = int(datetime.now(UTC).timestamp())


@pytest.fixture
def traded(world: World) -> World:
    world.play(world.bob, "sell 2 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    world.play(world.alice, "buy 1 @ 90")
    world.play(world.bob, "sell 0.5 @ 90")
    return world


def get(path: str, status: int = 200) -> object:
    """What a page of any origin reads, without a token."""
    answer = Client().get(path, headers={"Origin": "https://charts.example"})
    assert answer.status_code == status, answer.content
    assert answer["Access-Control-Allow-Origin"] == "*"
    return answer.json()


def test_a_chart_finds_its_symbol_and_its_candles(traded):
    assert "1W" in get("/udf/config")["supported_resolutions"]
    (found,) = get("/udf/search?query=btc&type=crypto&exchange=Clearbell&limit=30")
    assert (found["ticker"], found["full_name"]) == ("BTC-USD", "Clearbell:BTC-USD")
    for name in ("BTC-USD", "Clearbell:BTC-USD"):
        symbol = get(f"/udf/symbols?symbol={name}&unknown=parameters")
        assert (symbol["name"], symbol["minmov"], symbol["pricescale"]) == ("BTC-USD", 1, 100)
        assert (symbol["volume_precision"], symbol["currency_code"]) == (4, "USD")
    day = NOW - NOW % 86_400
    wanted = {"s": "ok", "t": [day], "o": [100.0], "h": [100.0], "l": [90.0], "c": [90.0], "v": [1.5]}
    history = "/udf/history?symbol=BTC-USD&resolution"
    assert get(f"{history}=1D&from={day}&to={day + 86_400}") == wanted
    # `countback` counts, whatever `from` is, and `to` is not in it.
    assert get(f"{history}=D&from={day + 1}&to={NOW + 1}&countback=2") == wanted
    assert get(f"{history}=1D&from={day + 1}&to={day + 2}") == {"s": "no_data", "nextTime": day}
    assert get(f"{history}=1D&from=0&to={day}") == {"s": "no_data"}
    # A chart that asks for many months counts back beyond 1970.
    assert get(f"{history}=1D&from=-86400&to={NOW + 1}") == get(f"{history}=1D&from=0&to={NOW + 1}")
    assert abs(int(Client().get("/udf/time").content) - NOW) < 3_600


def test_a_tick_that_is_no_power_of_ten(world):
    create_market(symbol="A-B", base="A", quote="B", tick_size=Decimal("0.25"), lot_size=Decimal(10))
    symbol = get("/udf/symbols?symbol=A-B")
    assert (symbol["minmov"], symbol["pricescale"], symbol["volume_precision"]) == (25, 100, 0)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("symbols", 400, "symbol is required"),
        ("symbols?symbol=NO-SUCH", 404, "there is no market NO-SUCH"),
        ("symbols?symbol=BTC-USD&symbol=BTC-USD", 400, "symbol comes more than once"),
        ("search?limit=501", 400, "limit must be a whole number from 0 to 500"),
        ("history?symbol=BTC-USD&from=0&to=1&resolution=7", 400, "resolution must be one of"),
        ("history?symbol=BTC-USD&from=-&to=1&resolution=1", 400, "from must be a whole number"),
        ("history?symbol=BTC-USD&to=99999999999&resolution=1&countback=1", 400, "to must be a whole number"),
        ("history?symbol=BTC-USD&resolution=1&to=1", 400, "from is required"),
    ],
)
def test_what_a_chart_is_refused(world, path, status, words):
    refused = get(f"/udf/{path}", status)
    assert refused["s"] == "error" and words in refused["errmsg"]


def test_who_lists_exchanges(traded):
    assert get("/coingecko/pairs") == [{"ticker_id": "BTC-USD", "base": "BTC", "target": "USD"}]
    of_market = {"ticker_id": "BTC-USD", "base_currency": "BTC", "target_currency": "USD"}
    traded_then = {"base_volume": "1.5", "target_volume": "145", "high": "100", "low": "90", "last_price": "90"}
    assert get("/coingecko/tickers") == [{**of_market, **traded_then, "bid": "90", "ask": "100"}]
    for depth in (0, 1, 200):
        book = get(f"/coingecko/orderbook?ticker_id=BTC-USD&depth={depth}")
        assert (book["bids"], book["asks"]) == ([["90", "0.5"]], [["100", "1"]])
    trades = get("/coingecko/historical_trades?ticker_id=BTC-USD")
    (bought,), (sold,) = trades["buy"], trades["sell"]
    assert (bought["price"], bought["base_volume"], bought["target_volume"]) == ("100", "1", "100")
    assert abs(bought["trade_timestamp"] / 1_000 - NOW) < 3_600 and bought["type"] == "buy"
    assert get("/coingecko/historical_trades?ticker_id=BTC-USD&type=sell&limit=1") == {"sell": [sold]}
    assert get("/coingecko/historical_trades?ticker_id=BTC-USD&type=buy&limit=1") == {"buy": []}


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("orderbook", "FIELD_REQUIRED"),
        ("orderbook?ticker_id=BTC-USD&depth=-1", "OUT_OF_RANGE"),
        ("historical_trades?ticker_id=BTC-USD&type=both", "INVALID_CHOICE"),
        ("historical_trades?ticker_id=BTC-USD&start_time=soon", "INVALID_TIME"),
    ],
)
def test_what_they_are_refused(world, path, error):
    assert get(f"/coingecko/{path}", 400)["error"] == error


def test_they_are_counted(world, settings):
    settings.RATE_LIMIT = 2
    paths = ("udf/time", "coingecko/pairs", "udf/config")
    answers = [Client().get(f"/{path}") for path in paths]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["s"] == "error"
