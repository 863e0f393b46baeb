"""The road in one process: intake over the REST views, the worker called in place, the database real."""

from decimal import Decimal

import pytest

from commands.models import Command
from orders.models import Order
from tests.support.world import World, fund, outcome, person, stored_rows


def test_limit_exact_match(world):
    world.play(world.bob, "sell 2 @ 100")
    order = world.play(world.alice, "buy 2 @ 100")
    assert outcome(order) == "0 filled"
    assert world.depth() == "|"
    assert (world.alice.holds("USD"), world.alice.holds("BTC")) == ("9800 0", "2 0")
    assert (world.bob.holds("USD"), world.bob.holds("BTC")) == ("200 0", "8 0")


def test_partial_fill_leaves_the_rest_in_the_book(world):
    world.play(world.bob, "sell 2 @ 100")
    assert outcome(world.play(world.alice, "buy 5 @ 100")) == "3 partially_filled +"
    assert world.depth() == "3@100 |"


def test_price_improvement_is_released(world):
    world.play(world.bob, "sell 2 @ 100")
    order = world.play(world.alice, "buy 2 @ 105")
    assert order["averagePrice"] == "100"
    assert world.alice.holds("USD") == "9800 0"


def test_fees_are_taken_from_what_is_received(db):
    world = World.make(maker_fee_rate=Decimal("0.001"), taker_fee_rate=Decimal("0.002"))
    sold = world.play(world.bob, "sell 1 @ 100")
    bought = world.play(world.alice, "buy 1 @ 100")
    assert world.alice.holds("BTC") == "0.998 0"
    assert world.bob.holds("USD") == "99.9 0"
    assert [
        (fill["role"], fill["fee"], fill["feeCurrency"])
        for fill in world.alice.get(f"/orders/{bought['orderId']}/trades")
    ] == [("TAKER", "0.002", "BTC")]
    assert [fill["role"] for fill in world.bob.get(f"/orders/{sold['orderId']}/trades")] == ["MAKER"]
    statement = world.alice.get(f"/balances/{world.alice.user.id}/BTC/ledger")
    assert [(entry["kind"], entry["amount"]) for entry in statement] == [("FEE", "-0.002"), ("TRADE", "1")]


def test_fees_round_up_at_the_assets_scale(db):
    world = World.make(taker_fee_rate=Decimal("0.00000001"))
    world.play(world.bob, "sell 0.0001 @ 100")
    world.play(world.alice, "buy 0.0001 @ 100")
    assert world.alice.holds("BTC") == "0.00009999 0"


@pytest.mark.parametrize(
    ("line", "ends", "depth"),
    [
        ("buy 3 @ market", "0 filled", "| 2@101"),
        ("buy 9 @ market", "4 partially_filled no_liquidity", "|"),
        ("buy 9 @ 100 ioc", "6 partially_filled ioc_remainder", "| 2@101"),
        ("buy 1 @ 99 ioc", "1 expired ioc_remainder", "| 3@100 2@101"),
        ("buy 9 @ 101 fok", "9 expired fok_not_fillable", "| 3@100 2@101"),
        ("buy 5 @ 101 fok", "0 filled", "|"),
        ("buy 1 @ 100 post-only", "1 rejected would_take", "| 3@100 2@101"),
        ("buy 1 @ 99 post-only", "1 open +", "1@99 | 3@100 2@101"),
        ("buy market 350 quote", "- filled", "| 1.505@101"),
        ("buy market 0.005 quote", "- rejected insufficient_funds", "| 3@100 2@101"),
        ("buy market 9000 quote", "- partially_filled no_liquidity", "|"),
    ],
)
def test_taking(world, line, ends, depth):
    world.play(world.bob, "sell 3 @ 100")
    world.play(world.bob, "sell 2 @ 101")
    assert outcome(world.play(world.alice, line)) == ends
    assert world.depth() == depth


def test_market_without_liquidity_is_rejected(world):
    assert outcome(world.play(world.bob, "sell 1 @ market")) == "1 rejected no_liquidity"
    assert world.bob.holds("BTC") == "10 0"


def test_market_buy_spends_no_more_than_is_available(world):
    world.play(world.bob, "sell 10 @ 3000")
    order = world.play(world.alice, "buy 9 @ market")
    assert outcome(order) == "5.6667 partially_filled insufficient_funds"
    assert world.alice.holds("USD") == "0.1 0"


def test_market_buy_spends_what_the_same_batch_brought(world):
    """The sale and the purchase are decided in one transaction: the second already has the money of the first."""
    carol = world.carol
    fund(carol.user, BTC="1", USD="0.001")
    world.play(world.alice, "buy 1 @ 50")
    world.play(world.bob, "sell 1 @ 60")
    for line in ("sell 1 @ 50", "buy 1 @ market"):
        assert world.place(carol, line).status_code == 202
    assert world.match().batches == 1
    assert carol.holds("USD") == "0.003 0"
    assert carol.holds("BTC") == "0.8333 0"


def test_a_market_buy_that_finds_nothing_left_is_rejected(world):
    """What was available when it was accepted went into another order before it was matched."""
    world.play(world.bob, "sell 1 @ 100")
    order_id = world.place(world.alice, "buy 1 @ market").body["data"]["orderId"]
    world.place(world.alice, "buy 100 @ 100")
    world.match()
    assert outcome(world.alice.get(f"/orders/{order_id}")) == "1 rejected insufficient_funds"


@pytest.mark.parametrize(
    ("mode", "ends", "depth"),
    [
        ("expire-taker", "2 cancelled self_trade", "| 1@101 1@102"),
        ("expire-maker", "1 partially_filled +", "1@102 |"),
        ("expire-both", "2 cancelled self_trade", "| 1@102"),
        ("none", "0 filled", "|"),
    ],
)
def test_self_trade_prevention(world, mode, ends, depth):
    fund(world.alice.user, BTC="1")
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "sell 1 @ 101")
    world.play(world.bob, "sell 1 @ 102")
    assert outcome(world.play(world.alice, f"buy 3 @ 102 {mode}")) == ends
    assert world.depth() == depth


def test_default_self_trade_prevention_is_the_markets(world):
    world.market.self_trade_prevention = "EXPIRE_MAKER"
    world.market.save()
    fund(world.bob.user, USD="100")
    first = world.play(world.bob, "sell 1 @ 100")
    assert outcome(world.play(world.bob, "buy 1 @ 100")) == "1 open +"
    assert outcome(world.bob.get(f"/orders/{first['orderId']}")) == "1 cancelled self_trade"


def test_cancel_releases_the_funds(world):
    order = world.play(world.alice, "buy 2 @ 100")
    assert world.alice.holds("USD") == "9800 200"
    answer = world.alice.call("DELETE", f"/orders/{order['orderId']}")
    assert (answer.status_code, answer.body["data"]["status"]) == (202, "OPEN")
    world.match()
    assert outcome(world.alice.get(f"/orders/{order['orderId']}")) == "2 cancelled user_cancelled"
    assert world.alice.holds("USD") == "10000 0"
    assert world.depth() == "|"
    again = world.alice.call("DELETE", f"/orders/{order['orderId']}")
    assert (again.status_code, again.body["error"]) == (409, "ORDER_CLOSED")


def test_cancel_of_a_pending_order_comes_after_it(world):
    placed = world.place(world.alice, "buy 2 @ 100").body["data"]
    assert world.alice.call("DELETE", f"/orders/{placed['orderId']}").status_code == 202
    world.match()
    events = world.alice.get(f"/orders/{placed['orderId']}/events")
    assert [event["status"] for event in events] == ["OPEN", "CANCELLED"]


def test_cancel_that_lost_the_race_changes_nothing(world):
    resting = world.play(world.bob, "sell 1 @ 100")
    world.place(world.alice, "buy 1 @ 100")
    assert world.bob.call("DELETE", f"/orders/{resting['orderId']}").status_code == 202
    world.match()
    assert outcome(world.bob.get(f"/orders/{resting['orderId']}")) == "0 filled"


def test_cancel_all(world):
    for price in (90, 91, 92):
        world.play(world.alice, f"buy 1 @ {price}")
    world.play(world.bob, "sell 1 @ 100")
    answer = world.alice.call("DELETE", f"/orders?symbol={world.symbol}")
    assert (answer.status_code, answer.body["data"]) == (202, {"cancelled": 3})
    world.match()
    assert world.depth() == "| 1@100"


def test_a_sweep_larger_than_one_transaction_goes_on_where_it_stopped(world, settings):
    settings.ENGINE_FILLS_PER_TRANSACTION = 3
    for _ in range(10):
        world.play(world.bob, "sell 0.5 @ 100")
    placed = [world.place(world.alice, line).body["data"]["orderId"] for line in ("buy 5 @ market", "buy 1 @ 100")]
    run = world.match()
    assert run.batches == 4
    assert outcome(world.alice.get(f"/orders/{placed[0]}")) == "0 filled"
    assert outcome(world.alice.get(f"/orders/{placed[1]}")) == "1 open +"


def test_a_sweep_is_finished_by_a_worker_that_starts_in_the_middle(transactional_db, world, settings, monkeypatch):
    """The book rebuilt from the database must not hold the taker that is still on its way through it."""
    settings.ENGINE_FILLS_PER_TRANSACTION = 2
    settings.ENGINE_TIME_BOX_SECONDS = -1
    for _ in range(5):
        world.play(world.bob, "sell 1 @ 100")
    order_id = world.place(world.alice, "buy 6 @ 100").body["data"]["orderId"]
    for _ in range(3):
        monkeypatch.setattr("matching.books._markets", {})
        world.match()
    assert outcome(world.alice.get(f"/orders/{order_id}")) == "1 partially_filled +"
    assert world.depth() == "1@100 |"


def test_a_halted_market_takes_no_orders(world):
    world.staff.call("PATCH", "/markets/BTC-USD", {"status": "HALTED"})
    refused = world.place(world.alice, "buy 1 @ 100")
    assert (refused.status_code, refused.body["error"]) == (409, "MARKET_NOT_TRADING")
    assert world.alice.holds("USD") == "10000 0"


def test_insufficient_funds_stores_nothing(world):
    before = stored_rows()
    asked = (
        (world.alice, "buy 101 @ 100", "USD", "10000"),
        (world.carol, "sell 1 @ 100", "BTC", "0"),
        (world.carol, "sell 1 @ market", "BTC", "0"),
        (world.carol, "buy 1 @ market", "USD", "0"),
        (world.carol, "buy market 5 quote", "USD", "0"),
    )
    for who, line, currency, available in asked:
        refused = world.place(who, line)
        assert (refused.status_code, refused.body["error"]) == (400, "INSUFFICIENT_FUNDS")
        assert (refused.body["data"]["currency"], refused.body["data"]["available"]) == (currency, available)
        assert stored_rows() == before


def test_the_same_client_order_id_places_one_order(world):
    first = world.place(world.alice, "buy 1 @ 100", clientOrderId="k-1")
    again = world.place(world.alice, "buy 1.0 @ 100.00", clientOrderId="k-1")
    other = world.place(world.alice, "buy 2 @ 100", clientOrderId="k-1")
    assert again.status_code == 202
    assert again.body["data"] == first.body["data"]
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert (other.status_code, other.body["error"]) == (422, "CLIENT_ORDER_ID_REUSED")
    assert Order.objects.count() == Command.objects.count() == 1
    world.match()
    assert world.place(world.alice, "buy 1 @ 100", clientOrderId="k-1").body["data"] == first.body["data"]
    found = world.alice.get("/orders/client/k-1")
    assert found["orderId"] == first.body["data"]["orderId"]


def test_client_order_ids_differ_by_case_and_by_user(world):
    world.place(world.alice, "buy 1 @ 1", clientOrderId="abc")
    world.place(world.alice, "buy 1 @ 1", clientOrderId="ABC")
    world.place(world.bob, "sell 1 @ 100", clientOrderId="abc")
    assert Order.objects.count() == 3


def test_what_belongs_to_another_looks_as_if_it_were_not_there(world):
    order = world.play(world.alice, "buy 1 @ 100", clientOrderId="mine")
    paths = [f"/orders/{order['orderId']}", f"/orders/{order['orderId']}/trades", f"/orders/{order['orderId']}/events"]
    nothing = {path: path.replace(str(order["orderId"]), "987654") for path in paths}
    for path, empty in nothing.items():
        theirs, none = world.carol.call("GET", path).body, world.carol.call("GET", empty).body
        assert (theirs["code"], theirs["error"], set(theirs["data"])) == (404, "ORDER_NOT_FOUND", set(none["data"]))
        assert theirs["message"].replace(str(order["orderId"]), "987654") == none["message"]
    for path in ["/orders/client/mine", f"/balances/{world.alice.user.id}", f"/users/{world.alice.user.id}"]:
        theirs, nothing = (
            world.carol.call("GET", path),
            world.carol.call("GET", path.replace("/client/mine", "/client/no")),
        )
        assert theirs.status_code == nothing.status_code == 404, path
    assert world.carol.call("DELETE", f"/orders/{order['orderId']}").status_code == 404
    assert world.carol.get("/orders") == []


def test_user_id_of_older_clients(world):
    own = world.place(world.alice, "buy 1 @ 1", userId=world.alice.user.id)
    foreign = world.place(world.carol, "buy 1 @ 1", userId=world.alice.user.id)
    by_staff = world.place(world.staff, "buy 1 @ 1", userId=world.alice.user.id)
    assert own.status_code == by_staff.status_code == 202
    assert (foreign.status_code, foreign.body["error"]) == (403, "NOT_YOUR_ACCOUNT")
    assert set(Order.objects.values_list("user_id", flat=True)) == {world.alice.user.id}


def test_listing_orders_in_pages(world):
    for price in range(1, 6):
        world.play(world.alice, f"buy 1 @ {price}")
    world.alice.call("DELETE", f"/orders/{world.alice.get('/orders?limit=1')[0]['orderId']}")
    world.match()
    first = world.alice.call("GET", "/orders?limit=2").body
    second = world.alice.call("GET", f"/orders?limit=3&cursor={first['nextCursor']}").body
    assert [order["price"] for order in first["data"] + second["data"]] == ["5", "4", "3", "2", "1"]
    assert second["nextCursor"] is None
    assert [order["price"] for order in world.alice.get("/orders?status=CANCELLED")] == ["5"]
    assert len(world.alice.get("/orders?active=true&symbol=BTC-USD")) == 4
    assert world.alice.call("GET", "/orders?status=OPENED").body["error"] == "INVALID_CHOICE"


def test_fifo_at_one_price(world):
    dora = person("dora")
    fund(dora.user, BTC="5")
    first, second = world.play(world.bob, "sell 1 @ 100"), world.play(dora, "sell 1 @ 100")
    world.play(world.alice, "buy 1.5 @ 100")
    assert outcome(world.bob.get(f"/orders/{first['orderId']}")) == "0 filled"
    assert outcome(dora.get(f"/orders/{second['orderId']}")) == "0.5 partially_filled +"
