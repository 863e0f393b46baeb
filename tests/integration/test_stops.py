"""Stop kinds from the request to the rows, with books that are read again and transactions that end anywhere."""

from decimal import Decimal

import pytest
from django.conf import LazySettings

from commands.models import Command
from core import market as core_market
from markets.services import change_market, read_market
from matching import books
from matching.models import DeadLetter, OrderBook
from matching.snapshots.recording import record
from orders.models import OrderEvent, Trail
from tests.support.orders import checks, full, quick
from tests.support.tape import parse
from tests.support.world import Person, World, fund, outcome, stored_rows

pytestmark = pytest.mark.dialect
BIDS = ("buy 2 @ 95", "buy 2 @ 90", "buy 2 @ 80")
ASKS = ("sell 2 @ 105", "sell 2 @ 110")


@pytest.fixture
def trading(world: World, settings: LazySettings) -> World:
    """The last price is 100. Alice bids, Bob offers, and both have of everything."""
    # A cascade of many transactions is one run, however slow the machine is.
    settings.ENGINE_TIME_BOX_SECONDS = 60
    fund(world.alice.user, BTC="100", USD="100000")
    fund(world.bob.user, BTC="100", USD="100000")
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    for line in (*BIDS, *ASKS):
        world.play(world.alice if line.startswith("buy") else world.bob, line)
    return world


def place_all(world: World, who: Person, *lines: str) -> list[int]:
    return [world.place(who, line).body["data"]["orderId"] for line in lines]


def shown(who: Person, *order_ids: int) -> list[str]:
    return [outcome(who.get(f"/orders/{order_id}")) for order_id in order_ids]


@pytest.mark.parametrize(
    ("line", "frozen", "trade", "ends"),
    [
        ("sell 3 @ market stop 95", "3", "sell 1 @ 95", "0 filled"),
        ("sell 3 @ 96 stop 95 post-only", "3", "sell 1 @ 95", "3 open +"),
        ("sell 3 @ 92 stop 95 ioc", "3", "sell 1 @ 95", "2 partially_filled ioc_remainder"),
        ("buy 3 @ market stop 105", "0", "buy 1 @ 105", "0 filled"),
        ("sell 1 @ market take 105", "1", "buy 1 @ 105", "0 filled"),
        ("buy 1 @ 94 take 95", "94", "sell 1 @ 95", "1 open +"),
        ("sell 1 @ market trail 5", "1", "sell 1 @ 95", "0 filled"),
        ("buy market 211 quote trail 5", "211", "buy 1 @ 105", "- filled"),
    ],
)
def test_each_kind_waits_is_triggered_and_becomes_what_it_says(
    trading: World, line: str, frozen: str, trade: str, ends: str
):
    carol, body = trading.carol, parse(line)
    fund(carol.user, BTC="10", USD="2000")
    waiting = trading.play(carol, line)
    assert (waiting["type"], waiting["status"], waiting["active"]) == (body.type, "WAITING", True)
    assert (waiting["triggeredAt"], waiting["stopPrice"]) == (None, body.stop_price or trade.rsplit(maxsplit=1)[-1])
    assert trading.depth() == "2@95 2@90 2@80 | 2@105 2@110"
    assert carol.holds("BTC" if body.side == "SELL" else "USD").split()[1] == frozen
    trading.play(trading.alice if trade.startswith("buy") else trading.bob, trade)
    fired = carol.get(f"/orders/{waiting['orderId']}")
    assert outcome(fired) == ends
    assert fired["triggeredAt"] is not None and fired["stopPrice"] == waiting["stopPrice"]
    events = carol.get(f"/orders/{waiting['orderId']}/events")
    assert [(event["status"], event["reason"]) for event in events[:2]] == [
        ("WAITING", None),
        ("TRIGGERED", "TRIGGERED"),
    ]
    if not fired["active"]:
        assert [carol.holds(asset).split()[1] for asset in ("BTC", "USD")] == ["0", "0"]
    assert checks(full(), quick()) == set()


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"type": "STOP", "quantity": "1"}, "FIELD_REQUIRED", "stopPrice"),
        ({"type": "STOP", "stopPrice": "90"}, "FIELD_REQUIRED", "quantity"),
        ({"type": "STOP_LIMIT", "quantity": "1", "stopPrice": "90"}, "FIELD_REQUIRED", "price"),
        ({"type": "TRAILING_STOP", "quantity": "1"}, "FIELD_REQUIRED", "trailingOffset"),
        ({"type": "LIMIT", "quantity": "1", "price": "90", "stopPrice": "90"}, "FIELD_NOT_ALLOWED", "stopPrice"),
        ({"type": "MARKET", "quantity": "1", "stopPrice": "90"}, "FIELD_NOT_ALLOWED", "stopPrice"),
        ({"type": "MARKET", "quantity": "1", "trailingOffset": "9"}, "FIELD_NOT_ALLOWED", "trailingOffset"),
        (
            {"type": "STOP", "quantity": "1", "stopPrice": "90", "trailingOffset": "9"},
            *("FIELD_NOT_ALLOWED", "trailingOffset"),
        ),
        (
            {"type": "TRAILING_STOP", "quantity": "1", "stopPrice": "90", "trailingOffset": "9"},
            *("FIELD_NOT_ALLOWED", "stopPrice"),
        ),
        ({"type": "STOP", "quantity": "1", "stopPrice": "90", "price": "90"}, "FIELD_NOT_ALLOWED", "price"),
        (
            {"type": "TAKE_PROFIT", "quantity": "1", "stopPrice": "90", "timeInForce": "GTC"},
            *("FIELD_NOT_ALLOWED", "timeInForce"),
        ),
        (
            {"type": "TRAILING_STOP", "quantity": "1", "trailingOffset": "9", "postOnly": True},
            *("FIELD_NOT_ALLOWED", "postOnly"),
        ),
        ({"type": "STOP", "quoteQuantity": "100", "stopPrice": "90"}, "FIELD_NOT_ALLOWED", "quoteQuantity"),
        (
            {"type": "STOP_LIMIT", "quoteQuantity": "100", "quantity": "1", "price": "90", "stopPrice": "90"},
            *("FIELD_NOT_ALLOWED", "quoteQuantity"),
        ),
        ({"type": "STOP", "quantity": "1", "stopPrice": "90.001"}, "PRICE_OFF_TICK", "stopPrice"),
        ({"type": "STOP", "quantity": "1", "stopPrice": "90000000001"}, "PRICE_TOO_LARGE", "stopPrice"),
        ({"type": "TRAILING_STOP", "quantity": "1", "trailingOffset": "0.001"}, "PRICE_OFF_TICK", "trailingOffset"),
        ({"type": "STOP", "quantity": "1", "stopPrice": "0"}, None, "stopPrice"),
        ({"type": "STOP", "quantity": "1", "stopPrice": True}, None, "stopPrice"),
        ({"type": "TRAILING_STOP", "quantity": "1", "trailingOffset": "-1"}, None, "trailingOffset"),
        ({"type": "STOP", "quantity": "100", "stopPrice": "90"}, "INSUFFICIENT_FUNDS", None),
    ],
)
def test_each_field_in_a_wrong_place_is_refused_by_name(world: World, fields: dict, error: str | None, field: str):
    before = stored_rows()
    refused = world.bob.call("POST", "/orders", {"symbol": world.symbol, "side": "SELL", **fields})
    assert refused.status_code == 400, refused.body
    assert error in (None, refused.body["error"])
    assert refused.body["data"].get("field") == field
    assert stored_rows() == before


def test_the_rules_of_value_go_by_the_stop_price(trading: World):
    change_market(read_market(trading.symbol), min_notional=Decimal(50), price_band=Decimal("0.1"))
    for line, error in (
        ("sell 0.5 @ market stop 90", "NOTIONAL_TOO_SMALL"),
        ("sell 0.6 @ market stop 90", None),
        # The band binds when it fires, and not now.
        ("buy 1 @ 900 stop 800", None),
        ("sell 0.4 @ market trail 5", "NOTIONAL_TOO_SMALL"),
    ):
        assert trading.place(trading.bob, line).body.get("error") == error, line


def test_a_repeat_of_a_stop_has_its_first_answer_and_another_price_is_a_reuse(world: World):
    line, other = "sell 1 @ market stop 90", "sell 1 @ market stop 91"
    first = world.place(world.bob, line, clientOrderId="s-1")
    assert world.place(world.bob, line, clientOrderId="s-1").body["data"] == first.body["data"]
    assert world.place(world.bob, other, clientOrderId="s-1").body["error"] == "CLIENT_ORDER_ID_REUSED"


CASCADE = (
    *(f"sell 1 @ market stop {price}" for price in (95, 95, 94, 91, 90, 80)),
    *("sell 1 @ 99 stop 95", "sell 1 @ market trail 5", "sell 1 @ market trail 8", "buy 1 @ market take 93"),
    *("buy 1 @ market trail 4", "buy 1 @ 50 stop 94", "sell 2 @ 60 stop 81 ioc"),
)
# 11 is reached when it is accepted. A sale at 95 triggers four at once, and each of these what it moves the price to.
TAPE = [
    *("11 triggered", "0 triggered", "1 triggered", "6 triggered", "7 triggered", "2 triggered", "9 triggered"),
    *("8 triggered", "3 triggered", "4 triggered", "12 triggered", "5 triggered"),
    *("9 self_trade", "3 self_trade", "4 self_trade", "12 ioc_remainder", "5 self_trade"),
]
SIZES = [(250, 500, True), (1, 1, True), (2, 3, False), (1, 500, False)]


@pytest.mark.parametrize(("fills", "size", "cache"), SIZES)
def test_a_cascade_ends_its_transactions_anywhere(
    trading: World, settings: LazySettings, fills: int, size: int, cache: bool
):
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_BATCH_SIZE = fills, size
    settings.ENGINE_BOOK_CACHE = cache
    carol = trading.carol
    fund(carol.user, BTC="50", USD="5000")
    order_ids = place_all(trading, carol, *CASCADE)
    trading.match()
    place_all(trading, trading.bob, "sell 1 @ 95", "sell 1 @ 200")
    carol.call("DELETE", f"/orders/{order_ids[5]}")
    trading.match()
    events = OrderEvent.objects.filter(reason__isnull=False).order_by("sequence").values_list("order_id", "reason")
    assert [f"{order_id - order_ids[0]} {reason.lower()}" for order_id, reason in events] == TAPE
    assert shown(carol, *order_ids) == [
        *("0 filled", "0 filled", "0 filled", *["1 cancelled self_trade"] * 3, "1 open +", "0 filled", "0 filled"),
        *("1 cancelled self_trade", "1 waiting +", "1 open +", "2 expired ioc_remainder"),
    ]
    assert not Command.objects.exists() and not OrderBook.objects.get().is_cascading
    assert checks(full(), quick()) == set()


@pytest.mark.parametrize("cache", [True, False])
def test_a_trailing_stop_shows_where_it_stands(trading: World, settings: LazySettings, cache: bool):
    settings.ENGINE_BOOK_CACHE = cache
    first, second = place_all(trading, trading.bob, "sell 1 @ market trail 4", "sell 1 @ market trail 3")
    trading.match()
    path = f"/orders/{first}"
    assert trading.bob.get(path)["stopPrice"] == "96"
    trading.play(trading.alice, "buy 2 @ 105")
    later = trading.play(trading.bob, "sell 1 @ market trail 9")
    trading.play(trading.alice, "buy 1 @ 110")
    stands = {order["orderId"]: order["stopPrice"] for order in trading.bob.get("/orders?status=WAITING")}
    assert stands == {first: "106", second: "107", later["orderId"]: "101"}
    assert [(trail.side, trail.extreme) for trail in Trail.objects.all()] == [("SELL", 110)]
    cancelled = trading.bob.call("DELETE", path) and trading.match() and trading.bob.get(path)
    assert (outcome(cancelled), cancelled["stopPrice"]) == ("1 cancelled user_cancelled", "106")


@pytest.mark.django_db(transaction=True)
def test_a_market_buy_among_them_spends_what_is_there_when_it_fires(trading: World, caplog):
    carol = trading.carol
    assert trading.place(carol, "buy 1 @ market stop 105").body["error"] == "INSUFFICIENT_FUNDS"
    fund(carol.user, USD="150")
    stop = trading.play(carol, "buy 2 @ market stop 105")
    spent = trading.play(carol, "buy 0.1 @ 90")
    trading.play(trading.alice, "buy 1 @ 105")
    assert shown(carol, stop["orderId"], spent["orderId"]) == [
        "0.6728 partially_filled insufficient_funds",
        "0.1 open +",
    ]
    # A batch that spends more would be thrown away, and done again so that nothing fires in it.
    assert "failed with" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_fails_when_it_fires_is_given_up_alone(trading: World, monkeypatch, settings):
    """Also where it would have fired in the transaction of the order that triggered it."""
    settings.ENGINE_RETRY_MS = []
    carol = trading.carol
    fund(carol.user, BTC="10")
    broken, sound = place_all(trading, carol, "sell 2 @ market stop 95", "sell 1 @ market stop 95")
    trading.match()
    place = core_market.place

    def fail(book, order, **more):
        if order.id == broken:
            raise ValueError("poison")
        return place(book, order, **more)

    monkeypatch.setattr(core_market, "place", fail)
    trade, other = place_all(trading, trading.bob, "sell 1 @ 95", "sell 1 @ 200")
    trading.match()
    assert shown(carol, broken, sound) == ["2 failed internal_error", "0 filled"]
    assert shown(trading.bob, trade, other) == ["0 filled", "1 open +"]
    assert [(letter.kind, letter.order_id) for letter in DeadLetter.objects.all()] == [("TRIGGER", broken)]
    assert carol.holds("BTC") == "9 0" and not Command.objects.exists()
    assert checks(full(), quick()) == set()


def test_a_halted_market_triggers_nothing_and_a_delisted_one_cancels_what_waits(trading: World, settings):
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    stops = place_all(
        trading, trading.bob, "sell 1 @ market stop 95", "buy 1 @ 120 take 20", "sell 1 @ market trail 70"
    )
    trading.match()
    trading.switch("HALTED")
    trading.match()
    assert trading.place(trading.bob, "sell 1 @ market stop 95").body["error"] == "MARKET_NOT_TRADING"
    assert shown(trading.bob, *stops) == ["1 waiting +"] * 3
    trading.switch("DELISTED")
    trading.match()
    assert shown(trading.bob, *stops) == ["1 cancelled market_delisted"] * 3
    closed = OrderEvent.objects.filter(reason="MARKET_DELISTED").order_by("sequence").values_list("order_id", flat=True)
    assert list(closed)[-3:] == stops
    assert not Trail.objects.exists()
    assert trading.bob.holds("BTC").split()[1] == "0"


def test_what_waits_counts_as_open(trading: World):
    change_market(read_market(trading.symbol), max_open_orders=3)
    lines = ["sell 1 @ market stop 50"] * 2
    # Bob offers at 105 and at 110.
    assert [trading.place(trading.bob, line).status_code for line in lines] == [202, 400]
    trading.match()
    assert trading.place(trading.bob, lines[0]).body["error"] == "TOO_MANY_OPEN_ORDERS"


def test_stops_are_read_with_a_book_that_is_from_a_snapshot(trading: World, settings):
    settings.SNAPSHOT_ORDERS, settings.ENGINE_BOOK_CACHE = 1, False
    stop = trading.play(trading.bob, "sell 1 @ market stop 95")
    trading.play(trading.bob, "sell 1 @ market trail 30")
    record(trading.symbol)
    trading.play(trading.bob, "sell 1 @ 95")
    assert shown(trading.bob, stop["orderId"]) == ["0 filled"]
    assert books.load_snapshot(OrderBook.objects.get()) is not None
