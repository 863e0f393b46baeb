"""What anybody may ask for is read once while nothing happens in its market, and is never older than the question."""

import pytest

from tests.integration.test_intake import statements
from tests.support.world import World

pytestmark = pytest.mark.dialect

ROWS = {"SELECT candles", "SELECT trades", "SELECT orders", "SELECT order_events"}


@pytest.fixture
def traded(world: World) -> World:
    trade(world, 100)
    return world


def trade(world: World, price: int) -> None:
    world.play(world.bob, f"sell 0.1 @ {price}")
    world.play(world.alice, f"buy 0.1 @ {price}")


@pytest.mark.parametrize(
    "path",
    [
        "/ticker",
        "/ticker/BTC-USD",
        "/klines/BTC-USD",
        "/klines/BTC-USD?interval=1M&limit=3",
        "/trades/BTC-USD",
        "/trades/BTC-USD?limit=1&startTime=2020-01-01",
        "/orderbook/BTC-USD?limit=500",
    ],
)
def test_the_rows_are_read_once_until_something_happens(traded: World, path: str) -> None:
    traded.play(traded.alice, "buy 1 @ 50")
    first = traded.carol.get(path)
    with statements() as seen:
        again = traded.alice.get(path)
    assert again == first
    assert ROWS & set(seen) == set()
    trade(traded, 120)
    assert traded.carol.get(path) != first
    traded.play(traded.alice, "buy 1 @ 60")
    if path.startswith(("/ticker", "/orderbook")):
        assert "'60'" in str(traded.carol.get(path)), "the best bid"


def test_pages_of_the_tape_go_on(traded: World) -> None:
    for price in (101, 102):
        trade(traded, price)
    first = traded.carol.call("GET", "/trades/BTC-USD?limit=2").body
    second = traded.carol.call("GET", f"/trades/BTC-USD?limit=2&cursor={first['nextCursor']}").body
    assert [line["price"] for line in (*first["data"], *second["data"])] == ["102", "101", "100"]
    assert second["nextCursor"] is None
