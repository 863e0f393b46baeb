"""Own fills of all orders: every half of every trade, newest first, whatever is asked for."""

from decimal import Decimal
from itertools import product

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from markets.services import create_market
from matching.drain import drain
from tests.integration.test_lists import read
from tests.support.tape import parse
from tests.support.world import Person, World, fund

pytestmark = pytest.mark.dialect

ETHER = "ETH-USD"


def trade(world: World, who: Person, line: str, symbol: str) -> int:
    """The id of the order of the line, which was matched."""
    placed = who.call("POST", "/orders", parse(line).body(symbol))
    assert placed.status_code == 202, placed.body
    drain(symbol)
    order_id: int = placed.body["data"]["orderId"]
    return order_id


@pytest.fixture
def busy(world: World) -> World:
    """Alice trades in two markets in turns, as a maker and as a taker, and once with herself."""
    create_market(symbol=ETHER, base="ETH", quote="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
    fund(world.bob.user, ETH="10", USD="1000")
    for symbol, price in (("BTC-USD", 100), (ETHER, 10), ("BTC-USD", 101), (ETHER, 11)):
        trade(world, world.bob, f"sell 1 @ {price}", symbol)
        trade(world, world.alice, f"buy 1 @ {price}", symbol)
    trade(world, world.alice, "sell 2 @ 90", "BTC-USD")
    trade(world, world.bob, "buy 1 @ 90", "BTC-USD")
    trade(world, world.alice, "buy 1 @ 90 none", "BTC-USD")
    return world


def fills_of_orders(who: Person) -> list[dict]:
    """The same, order by order."""
    orders = [order["orderId"] for order in who.get("/orders?limit=500")]
    return [fill for order in orders for fill in who.get(f"/orders/{order}/trades?limit=500")]


def key(fill: dict) -> tuple:
    return fill["createdAt"], fill["tradeId"], fill["side"]


def test_all_halves_of_all_orders(busy):
    for who, count in ((busy.alice, 7), (busy.bob, 5), (busy.carol, 0)):
        fills = who.get("/fills")
        assert len(fills) == count
        assert sorted(fills, key=key) == sorted(fills_of_orders(who), key=key)
        instants = [fill["createdAt"] for fill in fills]
        assert instants == sorted(instants, reverse=True)


def test_a_trade_with_oneself_is_two_fills(busy):
    both = busy.alice.get("/fills?limit=2")
    assert len({fill["tradeId"] for fill in both}) == 1
    assert {(fill["side"], fill["role"]) for fill in both} == {("BUY", "TAKER"), ("SELL", "MAKER")}
    assert len({fill["orderId"] for fill in both}) == 2


def test_pages(busy):
    whole = busy.alice.get("/fills")
    for limit in (1, 2, 3, 7):
        assert read(busy.alice, "/fills", limit) == whole


def test_filters(busy):
    whole = busy.alice.get("/fills")
    for name, value in {(name, fill[name]) for fill, name in product(whole, ("symbol", "orderId"))}:
        meant = [fill for fill in whole if fill[name] == value]
        assert read(busy.alice, f"/fills?{name}={value}", 1) == meant
    for fill in whole:
        others = [each for each in whole if each["createdAt"] >= fill["createdAt"]]
        assert read(busy.alice, f"/fills?startTime={fill['createdAt']}", 2) == others
        meant = [each for each in whole if each not in others and each["symbol"] == ETHER]
        assert busy.alice.get(f"/fills?symbol={ETHER}&endTime={fill['createdAt']}") == meant
    bitcoin = next(fill["orderId"] for fill in whole if fill["symbol"] == "BTC-USD")
    assert busy.alice.get(f"/fills?orderId={bitcoin}&symbol={ETHER}") == []


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ("symbol=NOPE", 404, "MARKET_NOT_FOUND"),
        ("orderId=1000000", 404, "ORDER_NOT_FOUND"),
        ("orderId=x", 400, "INVALID_ID"),
        ("cursor=x", 400, "INVALID_CURSOR"),
        ("side=BUY", 400, "PARAMETER_UNKNOWN"),
    ],
)
def test_refusals(world, query, status, error):
    refused = world.alice.call("GET", f"/fills?{query}")
    assert (refused.status_code, refused.body["error"]) == (status, error)


def test_of_whom(busy):
    alice, bobs = busy.alice.user.id, busy.bob.get("/fills")[0]["orderId"]
    assert busy.bob.call("GET", f"/fills?userId={alice}").status_code == 403
    assert busy.alice.call("GET", f"/fills?orderId={bobs}").status_code == 404
    assert busy.staff.get(f"/fills?userId={alice}") == busy.alice.get("/fills")


def test_a_page_is_a_handful_of_statements(busy):
    with CaptureQueriesContext(connection) as queries:
        busy.alice.get("/fills?limit=3")
    read_trades = [query["sql"] for query in queries if "trades" in query["sql"]]
    assert len(read_trades) == 2, read_trades
