"""Market data of `/api/v3`: as ours, in Binance's words."""

import json
from decimal import Decimal

import pytest
from django.test import Client

from base.web.ratelimit.meter import Meter
from markets.services import change_market, create_market, read_market
from tests.support.binance import API, read
from tests.support.world import World


def traded(world: World, *prices: int) -> None:
    for price in prices:
        world.play(world.bob, f"sell 0.5 @ {price}")
        world.play(world.alice, f"buy 0.5 @ {price}")


def test_what_a_client_reads_first(world: World) -> None:
    change_market(read_market(world.symbol), price_band=Decimal("0.1"), min_notional=Decimal(5), max_open_orders=50)
    create_market(symbol="ETH-USD", base="ETH", quote="USD", tick_size=Decimal("0.5"), lot_size=Decimal(1))
    change_market(read_market("ETH-USD"), status="HALTED")
    info = read("exchangeInfo").body
    assert (info["timezone"], info["exchangeFilters"]) == ("UTC", [])
    bitcoin, ether = info["symbols"]
    assert (bitcoin["symbol"], bitcoin["status"], bitcoin["baseAsset"], bitcoin["quoteAsset"]) == (
        "BTCUSD",
        "TRADING",
        "BTC",
        "USD",
    )
    assert (ether["symbol"], ether["status"]) == ("ETHUSD", "HALT")
    filters = {each.pop("filterType"): each for each in bitcoin["filters"]}
    assert filters["PRICE_FILTER"] == {
        "minPrice": "0.01000000",
        "maxPrice": "90000000000.00000000",
        "tickSize": "0.01000000",
    }
    lots = {"minQty": "0.00010000", "maxQty": "1000000000.00000000", "stepSize": "0.00010000"}
    assert filters["LOT_SIZE"] == filters["MARKET_LOT_SIZE"] == lots
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert filters["MAX_NUM_ORDERS"] == {"maxNumOrders": 50}
    assert filters["PERCENT_PRICE_BY_SIDE"]["bidMultiplierUp"] == "1.10000000"
    assert filters["PERCENT_PRICE_BY_SIDE"]["askMultiplierDown"] == "0.90000000"
    assert "PERCENT_PRICE_BY_SIDE" not in {each["filterType"] for each in ether["filters"]}
    for asked in ({"symbol": "ETHUSD"}, {"symbols": '["ETH-USD"]'}, {"symbolStatus": "HALT"}):
        assert [each["symbol"] for each in read("exchangeInfo", **asked).body["symbols"]] == ["ETHUSD"]
    assert len(read("exchangeInfo", permissions="SPOT").body["symbols"]) == 2
    assert "permissionSets" not in read("exchangeInfo", showPermissionSets="false").body["symbols"][0]


def test_the_book_with_the_number_of_the_last_event(world: World) -> None:
    world.play(world.alice, "buy 1 @ 99")
    world.play(world.alice, "buy 2 @ 98")
    world.play(world.bob, "sell 3 @ 101")
    assert read("depth", symbol="BTCUSD").body == {
        "lastUpdateId": 3,
        "bids": [["99.00000000", "1.00000000"], ["98.00000000", "2.00000000"]],
        "asks": [["101.00000000", "3.00000000"]],
    }
    assert len(read("depth", symbol="BTC-USD", limit=1).body["bids"]) == 1
    assert read("depth", symbol="BTCUSD", limit=5000).status_code == 200


def test_trades_by_their_numbers_and_times(world: World) -> None:
    traded(world, 100, 101, 102)
    trades = read("trades", symbol="BTCUSD").body
    assert [(each["price"], each["qty"], each["quoteQty"], each["isBuyerMaker"]) for each in trades] == [
        ("100.00000000", "0.50000000", "50.00000000", False),
        ("101.00000000", "0.50000000", "50.50000000", False),
        ("102.00000000", "0.50000000", "51.00000000", False),
    ]
    numbers = [each["id"] for each in trades]
    assert [each["id"] for each in read("trades", symbol="BTCUSD", limit=2).body] == numbers[1:]
    asked = {"symbol": "BTCUSD", "limit": 2}
    assert [each["id"] for each in read("historicalTrades", **asked, fromId=numbers[0] + 1).body] == numbers[1:]
    assert [each["id"] for each in read("historicalTrades", **asked, fromId=0).body] == numbers[:2]
    assert [each["a"] for each in read("aggTrades", **asked, fromId=numbers[1]).body] == numbers[1:]
    start, end = trades[1]["time"], trades[1]["time"]
    found = [each["a"] for each in read("aggTrades", symbol="BTCUSD", startTime=start, endTime=end).body]
    assert numbers[1] in found, "both ends are counted in"
    assert read("aggTrades", symbol="BTCUSD", startTime=0, limit=1).body[0]["a"] == numbers[0]
    assert read("aggTrades", symbol="BTCUSD", endTime=trades[0]["time"] - 60_000).body == []
    assert read("aggTrades", symbol="BTCUSD", startTime=10**18).body == []


def test_candles_and_the_average(world: World) -> None:
    assert read("klines", symbol="BTCUSD", interval="1m").body == []
    assert read("avgPrice", symbol="BTCUSD").body["price"] == "0.00000000"
    traded(world, 100, 103)
    [candle] = read("klines", symbol="BTCUSD", interval="1h").body
    assert candle[1:6] == ["100.00000000", "103.00000000", "100.00000000", "103.00000000", "1.00000000"]
    assert candle[6] == candle[0] + 3_600_000 - 1
    assert candle[7:9] == ["101.50000000", 2]
    assert len(candle) == 12
    assert read("uiKlines", symbol="BTCUSD", interval="1M", limit=1000, startTime=0).body[0][0] < candle[0] + 1
    assert read("avgPrice", symbol="BTCUSD").body["price"] == "101.50000000"


@pytest.mark.dialect
def test_tickers_of_one_of_some_and_of_all(world: World) -> None:
    create_market(symbol="ETH-USD", base="ETH", quote="USD", tick_size=Decimal("0.5"), lot_size=Decimal(1))
    traded(world, 100, 103)
    world.play(world.alice, "buy 2 @ 99")
    day = read("ticker/24hr", symbol="BTCUSD").body
    assert {name: day[name] for name in ("lastPrice", "lastQty", "openPrice", "priceChange", "priceChangePercent")} == {
        "lastPrice": "103.00000000",
        "lastQty": "0.50000000",
        "openPrice": "100.00000000",
        "priceChange": "3.00000000",
        "priceChangePercent": "3.000",
    }
    assert (day["bidPrice"], day["bidQty"], day["askQty"], day["weightedAvgPrice"], day["count"]) == (
        "99.00000000",
        "2.00000000",
        "0.00000000",
        "101.50000000",
        2,
    )
    assert [each["symbol"] for each in read("ticker/24hr").body] == ["BTCUSD", "ETHUSD"]
    assert "bidPrice" not in read("ticker/24hr", symbol="BTCUSD", type="MINI").body
    assert read("ticker/price", symbol="BTCUSD").body == {"symbol": "BTCUSD", "price": "103.00000000"}
    assert read("ticker/price").body[1] == {"symbol": "ETHUSD", "price": "0.00000000"}
    tops = read("ticker/bookTicker").body
    assert tops == read("ticker/bookTicker", symbols=json.dumps(["BTCUSD", "ETHUSD"])).body
    assert tops[0]["bidQty"] == "2.00000000"
    world.play(world.alice, "buy 1 @ 99")
    assert read("ticker/bookTicker", symbol="BTCUSD").body["bidQty"] == "3.00000000", "as it is now"


def test_market_data_is_for_every_origin_and_what_is_private_for_none(world: World) -> None:
    client = Client(headers={"Origin": "https://example.org"})
    assert client.get(f"{API}/ticker/price")["Access-Control-Allow-Origin"] == "*"
    private = client.get(f"{API}/account")
    assert "Access-Control-Allow-Origin" not in private.headers
    assert private["Cache-Control"] == "no-store"


def test_deletes_are_cancels_under_the_rate_limit() -> None:
    counted = {path: Meter("DELETE", f"{API}/{path}", "", "") for path in ("order", "openOrders", "userDataStream")}
    assert {path: meter.is_cancel for path, meter in counted.items()} == {
        "order": True,
        "openOrders": True,
        "userDataStream": False,
    }
    assert counted["openOrders"].is_urgent
