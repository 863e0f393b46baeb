"""Icebergs from the request to the rows: what is shown of them, what takers reach, and what is refused."""

from decimal import Decimal

import pytest

from marketdata.depth import Depth, read_levels, take_depth
from matching import books, prepare
from matching.books import BookRow
from matching.models import OrderBook
from orders.models import Order
from tests.support.orders import checks, full, quick, replay
from tests.support.world import World, fund, outcome, stored_rows

pytestmark = pytest.mark.dialect


@pytest.fixture
def iced(world: World) -> World:
    """Bob shows a tenth of the bitcoin that he offers; another order of his stands behind the first tip."""
    world.play(world.bob, "sell 1 @ 100 show 0.1", clientOrderId="iceberg")
    world.play(world.bob, "sell 0.2 @ 100")
    return world


def order(world: World) -> dict:
    return world.bob.get("/orders/client/iceberg")


def fills(world: World, of: dict) -> list[str]:
    return [fill["quantity"] for fill in world.alice.get(f"/orders/{of['orderId']}/trades")]


def test_the_book_shows_tips_alone(iced):
    shown = order(iced)
    assert (shown["displayQuantity"], shown["quantity"], shown["remainingQuantity"]) == ("0.1", "1", "1")
    assert iced.bob.holds("BTC") == "8.8 1.2"
    [level] = iced.carol.get("/orderbook/BTC-USD")["asks"]
    assert (level["quantity"], level["orderCount"]) == ("0.3", 2)
    taker = iced.play(iced.alice, "buy 0.35 @ 100")
    # The first tip, what stood behind it, and a half of the next tip.
    assert (fills(iced, taker), iced.depth()) == (["0.1", "0.2", "0.05"], "| 0.05@100")
    assert outcome(order(iced)) == "0.85 partially_filled +"
    assert checks(full(), quick(), replay()) == set()


def test_takers_reach_what_is_hidden(iced):
    assert iced.play(iced.alice, "buy 1.3 @ 100 fok")["reason"] == "FOK_NOT_FILLABLE"
    taker = iced.play(iced.alice, "buy 1.2 @ 100 fok")
    assert (outcome(taker), outcome(order(iced)), iced.depth()) == ("0 filled", "0 filled", "|")
    assert fills(iced, taker) == ["0.1", "0.2", *["0.1"] * 9]
    assert checks(full(), replay()) == set()


def test_what_is_left_of_a_taker_shows_a_tip_and_a_cancel_gives_all_back(iced):
    taker = iced.play(iced.alice, "buy 3 @ 100 show 0.5")
    assert (outcome(taker), iced.depth(), iced.alice.holds("USD")) == (
        *("1.8 partially_filled +", "0.5@100 |", "9700 180"),
    )
    iced.alice.call("DELETE", f"/orders/{taker['orderId']}")
    iced.match()
    assert (iced.depth(), iced.alice.holds("USD")) == ("|", "9880 0")
    assert checks(full(), replay()) == set()


@pytest.mark.parametrize("cached", [True, False], ids=["in memory", "read again"])
@pytest.mark.parametrize("most_fills", [1, 3])
def test_a_taker_of_many_tips_needs_many_transactions(iced, settings, most_fills, cached):
    """Each transaction begins where the last one ended, in the book of before or in one that was read again."""
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_BOOK_CACHE = most_fills, cached
    settings.ENGINE_TIME_BOX_SECONDS = 60
    fund(iced.alice.user, BTC="1")
    iced.play(iced.alice, "sell 0.02 @ 101")
    iced.place(iced.alice, "buy 1.3 @ 101 show 0.04 expire-maker")
    run = iced.match()
    assert run.batches >= 12 // most_fills
    # With one fill in each its last transaction removes an order of its own, and its tip is stored all the same.
    assert (iced.depth(), Order.objects.latest("id").tip) == ("0.04@101 |", Decimal("0.04"))
    assert checks(full(), quick(), replay()) == set()


def test_all_ways_to_the_depth_agree(iced, monkeypatch):
    """Of the book in memory, of the rows, and of what the public stream sends."""
    sent: list[Depth] = []
    real = prepare.take_depth
    monkeypatch.setattr(prepare, "take_depth", lambda book, limit: sent.append(real(book, limit)) or sent[-1])
    iced.play(iced.alice, "buy 0.35 @ 100")
    row = OrderBook.objects.get()
    market = books.trusted(
        BookRow(row.market_id, row.token, row.next_sequence, None, None, False, row.status, 0, row.updated_at)
    )
    levels = [(10**10, 5 * 10**6, 1)]
    assert sent[-1].asks == take_depth(market.book, 9).asks == read_levels(iced.symbol, 9)[1] == levels
    market.book.check()
    books.forget(iced.symbol)
    assert iced.bob.get(f"/orders/{order(iced)['orderId']}/queue")["level"]["quantity"] == "0.05"


@pytest.mark.parametrize("tip", [None, Decimal(0), Decimal("0.1001")])
def test_the_audit_finds_a_wrong_tip(iced, tip):
    assert checks(full()) == set()
    iceberg = Order.objects.filter(client_order_id="iceberg")
    iceberg.update(tip=tip)
    assert checks(full()) == {"iceberg-shows-its-tip"}
    iceberg.update(tip=Decimal("0.1"))


@pytest.mark.parametrize(
    ("line", "more", "field", "error"),
    [
        ("buy 1 @ market", {}, "displayQuantity", "FIELD_NOT_ALLOWED"),
        ("buy market 100 quote", {}, "displayQuantity", "FIELD_NOT_ALLOWED"),
        ("buy 1 @ 100 ioc", {}, "displayQuantity", "FIELD_NOT_ALLOWED"),
        ("buy 1 @ 100 fok", {}, "displayQuantity", "FIELD_NOT_ALLOWED"),
        ("buy 1 @ 100", {"type": "STOP_LIMIT", "stopPrice": "90"}, "displayQuantity", "FIELD_NOT_ALLOWED"),
        ("buy 1 @ 100", {"displayQuantity": "0.10001"}, "displayQuantity", "QUANTITY_OFF_LOT"),
        ("buy 1 @ 100", {"displayQuantity": "1"}, "displayQuantity", "DISPLAY_QUANTITY_TOO_LARGE"),
        ("buy 1 @ 100", {"displayQuantity": "2"}, "displayQuantity", "DISPLAY_QUANTITY_TOO_LARGE"),
        ("buy 1 @ 100", {"displayQuantity": "0.0009"}, "displayQuantity", "DISPLAY_QUANTITY_TOO_SMALL"),
        ("buy 1 @ 100", {"displayQuantity": "0"}, "displayQuantity", "MUST_BE_POSITIVE"),
        ("buy 1 @ 100", {"displayQuantity": 0.1}, "displayQuantity", "DECIMAL_STRING_REQUIRED"),
        ("buy 1 @ 100", {"displayQuantity": None}, "displayQuantity", "FIELD_REQUIRED"),
    ],
)
def test_what_is_refused_by_name(world, line, more, field, error):
    before = stored_rows()
    answer = world.place(world.alice, line, **{"displayQuantity": "0.1", **more})
    assert answer.status_code == 400
    data = answer.body["data"]
    named = data.get("errors") or [{"field": data["field"], "error": answer.body["error"]}]
    assert (field, error) in [(each["field"], each["error"]) for each in named]
    assert stored_rows() == before


def test_the_smallest_tip_is_that_of_the_market_and_a_thousandth(world):
    world.staff.call("PATCH", "/markets/BTC-USD", {"minQuantity": "0.01"})
    assert world.place(world.alice, "buy 1 @ 100 show 0.009").body["error"] == "QUANTITY_TOO_SMALL"
    assert world.place(world.alice, "buy 1 @ 100 show 0.01").status_code == 202
    refused = world.place(world.alice, "buy 10.0001 @ 1 show 0.01").body
    assert (refused["error"], refused["data"]["minDisplayQuantity"]) == ("DISPLAY_QUANTITY_TOO_SMALL", "0.0101")
    assert world.place(world.alice, "buy 10 @ 1 show 0.01").status_code == 202


def test_it_may_have_an_end(world):
    order = world.play(world.alice, "buy 1 @ 100 show 0.1", timeInForce="GTD", expiresAt="2100-01-01T00:00:00Z")
    assert (outcome(order), order["timeInForce"], world.depth()) == ("1 open +", "GTD", "0.1@100 |")


def test_a_repeat_shows_the_same_tip(world):
    first = world.place(world.alice, "buy 1 @ 100 show 0.1", clientOrderId="mine")
    again = world.place(world.alice, "buy 1 @ 100 show 0.10", clientOrderId="mine")
    assert again.body["data"] == first.body["data"]
    for line in ("buy 1 @ 100", "buy 1 @ 100 show 0.2"):
        assert world.place(world.alice, line, clientOrderId="mine").status_code == 422
