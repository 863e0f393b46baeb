"""The price band from the request to the rows: refused at intake, held by the engine, and replayed by the audit."""

from decimal import Decimal

import pytest

from markets.services import change_market, read_market
from matching import books
from orders.models import Order
from tests.support.orders import checks, full, quick, replay
from tests.support.tape import parse
from tests.support.world import World, fund, outcome, stored_rows

pytestmark = pytest.mark.dialect


def give_band(world: World, band: str | None) -> None:
    change_market(read_market(world.symbol), price_band=None if band is None else Decimal(band))


@pytest.fixture
def banded(world: World) -> World:
    """Trades no further than a tenth from the last one, which was at 100."""
    give_band(world, "0.1")
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    return world


@pytest.mark.parametrize(
    ("who", "line", "limit"),
    [("alice", "buy 1 @ 110.01", {"maxPrice": "110"}), ("bob", "sell 1 @ 89.99", {"minPrice": "90"})],
)
def test_a_price_beyond_the_band_is_refused(banded, who, line, limit):
    before = stored_rows()
    refused = banded.place(getattr(banded, who), line)
    assert (refused.status_code, refused.body["error"]) == (400, "PRICE_OUT_OF_BAND")
    assert refused.body["data"] == {"field": "price", "referencePrice": "100", "priceBand": "0.1", **limit}
    assert stored_rows() == before


@pytest.mark.parametrize(
    ("who", "line"),
    [("alice", "buy 1 @ 110"), ("bob", "sell 1 @ 90"), ("alice", "buy 1 @ 1"), ("bob", "sell 1 @ 900")],
)
def test_up_to_the_band_and_on_the_passive_side_it_is_accepted(banded, who, line):
    assert banded.place(getattr(banded, who), line).status_code == 202


def test_before_a_trade_the_best_prices_count(world):
    give_band(world, "0.1")
    assert world.place(world.alice, "buy 0.1 @ 1000").status_code == 202, "there is nothing to compare it with"
    world.alice.call("DELETE", "/orders")
    world.play(world.alice, "buy 0.1 @ 90")
    assert world.play(world.bob, "sell 0.1 @ 110")["status"] == "OPEN"
    refused = world.place(world.alice, "buy 0.1 @ 110.01").body
    assert (refused["error"], refused["data"]["referencePrice"]) == ("PRICE_OUT_OF_BAND", "100")


def test_a_batch_is_checked_order_by_order(banded):
    lines = ("buy 1 @ 110", "buy 1 @ 111")
    answer = banded.alice.call("POST", "/orders/batch", {"orders": [parse(line).body("BTC-USD") for line in lines]})
    assert [result.get("error") for result in answer.body["data"]["results"]] == [None, "PRICE_OUT_OF_BAND"]


@pytest.mark.parametrize("fills", [1, 2, 500])
def test_a_taker_keeps_its_reference_price_over_transactions_and_crashes(banded, fills, settings):
    """With one fill in a transaction it goes on after its own trades at 109, in a book that was read again."""
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_BOOK_CACHE = fills, False
    for price in (108, 109, 110, 111, 118):
        banded.play(banded.bob, f"sell 1 @ {price}")
    taker = banded.play(banded.alice, "buy 9 @ market")
    assert outcome(taker) == "6 partially_filled price_protection"
    assert banded.depth() == "| 1@111 1@118"
    assert checks(full(), quick(), replay()) == set()


def test_an_order_keeps_the_band_that_it_was_accepted_with(banded):
    """So a change needs no place in the market's sequence."""
    for price in (105, 120):
        banded.play(banded.bob, f"sell 1 @ {price}")
    early = banded.place(banded.alice, "buy 2 @ market").body["data"]["orderId"]
    give_band(banded, None)
    banded.match()
    assert outcome(banded.alice.get(f"/orders/{early}")) == "1 partially_filled price_protection"
    assert outcome(banded.play(banded.alice, "buy 1 @ market")) == "0 filled"
    give_band(banded, "0.01")
    assert checks(full(), quick(), replay()) == set()


def test_the_last_price_outlives_the_worker(banded):
    books.forget(banded.symbol)
    banded.play(banded.bob, "sell 1 @ 111")
    books.forget(banded.symbol)
    assert outcome(banded.play(banded.alice, "buy 1 @ market")) == "1 rejected price_protection"


def test_the_audit_finds_a_trade_beyond_the_band(banded):
    banded.play(banded.bob, "sell 1 @ 109")
    banded.play(banded.alice, "buy 1 @ 109", clientOrderId="taker")
    assert checks(full(), replay()) == set()
    Order.objects.filter(client_order_id="taker").update(price_band=Decimal("0.05"))
    assert checks(full()) == {"price-within-band"}
    assert checks(replay()) == {"replay-events"}
    Order.objects.filter(client_order_id="taker").update(price_band=Decimal("0.1"))


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("sell 0.0999 @ market", "NOTIONAL_TOO_SMALL"),
        ("buy 0.0999 @ market", "NOTIONAL_TOO_SMALL"),
        ("buy 1.0001 @ market", "NOTIONAL_TOO_LARGE"),
        ("sell 0.1 @ market", None),
        ("buy 1 @ market", None),
    ],
)
def test_a_market_order_by_quantity_is_worth_what_the_reference_price_says(world, line, error):
    fund(world.alice.user, BTC="1")
    change_market(read_market(world.symbol), min_notional=Decimal(10), max_notional=Decimal(100))
    assert world.place(world.alice, "sell 0.0001 @ market").status_code == 202, "nothing says what it is worth"
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    assert world.place(world.alice, line).body.get("error") == error
