"""Each way to place an order that the benchmark times, against a running exchange."""

from tests.support.live import Live
from tools.bench.ways import Ways, median_and_slowest


def test_an_order_by_each_way(exchange: Live) -> None:
    symbol = exchange.market()
    maker, taker = exchange.trader("maker", BTC="10"), exchange.trader("taker", USD="1000")
    made = taker.call("POST", "/keys", {"label": "bench", "scopes": ["trade"]}).json()["data"]
    maker.played(symbol, "sell 10 @ 100")
    order = {"price": "100", "quantity": "0.01"}
    with Ways(exchange.port, symbol, order, taker.token, (made["keyId"], made["secret"])) as ways:
        times = ways.measure(2)
    assert [len(each) for each in times.values()] == [2] * 5
    assert median_and_slowest([1.0] * 99 + [5.0])[0] == 1
    bought = [order["filledQuantity"] for order in taker.get(f"/orders?symbol={symbol}&status=FILLED")]
    assert bought == ["0.01"] * 10
