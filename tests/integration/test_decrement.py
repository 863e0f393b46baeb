"""DECREMENT from the request to the rows: both orders of one user lose the smaller quantity, and nothing trades."""

import pytest

from markets.models import Market, Trade
from matching import prepare
from orders.models import OrderEvent
from orders.representation import from_rows
from tests.support.orders import checks, full, quick, replay
from tests.support.world import World, fund, outcome

pytestmark = pytest.mark.dialect


@pytest.fixture
def own(world: World) -> World:
    """Alice has dollars and bitcoin, and offers five hundredths of one at 101; Bob offers as much at 100 and at 102."""
    fund(world.alice.user, BTC="1")
    world.play(world.bob, "sell 0.05 @ 100")
    world.play(world.alice, "sell 0.05 @ 101", clientOrderId="own")
    world.play(world.bob, "sell 0.05 @ 102")
    return world


def maker(world: World) -> dict:
    return world.alice.get("/orders/client/own")


def steps(world: World, order: dict) -> list[str]:
    events = world.alice.get(f"/orders/{order['orderId']}/events")
    return [" ".join([event["status"], event["reason"] or ""]).strip() for event in events]


def is_sound() -> bool:
    return checks(full(), quick(), replay()) == set()


def test_both_lose_the_smaller_quantity(own):
    taker = own.play(own.alice, "buy 0.12 @ 101 decrement")
    shown = ("quantity", "filledQuantity", "preventedQuantity", "remainingQuantity", "status", "reason")
    assert [taker[name] for name in shown] == ["0.12", "0.05", "0.05", "0.02", "PARTIALLY_FILLED", None]
    assert [maker(own)[name] for name in shown] == ["0.05", "0", "0.05", "0", "CANCELLED", "SELF_TRADE"]
    assert steps(own, taker) == ["PARTIALLY_FILLED", "PARTIALLY_FILLED SELF_TRADE"]
    assert steps(own, maker(own)) == ["OPEN", "CANCELLED SELF_TRADE"]
    # 5 were paid, 2.02 are frozen for what rests, and the funds of what was prevented are free, of both.
    assert (own.alice.holds("USD"), own.alice.holds("BTC")) == ("9992.98 2.02", "1.05 0")
    assert is_sound()


def test_the_maker_that_is_larger_keeps_its_place(own):
    taker = own.play(own.alice, "buy 0.08 @ 101 decrement")
    assert (outcome(taker), outcome(maker(own))) == ("0 cancelled self_trade", "0.02 open +")
    assert (taker["filledQuantity"], taker["preventedQuantity"]) == ("0.05", "0.03")
    assert (own.depth(), own.alice.holds("BTC")) == ("| 0.02@101 0.05@102", "1.03 0.02")
    assert is_sound()


def test_a_budget_loses_the_notional_at_the_makers_price(own):
    taker = own.play(own.alice, "buy market 12 quote decrement")
    assert (taker["status"], taker["reason"], taker["filledQuote"], taker["quoteQuantity"]) == (
        *("CANCELLED", "SELF_TRADE", "6.9482", "12"),
    )
    assert (taker["preventedQuantity"], own.alice.holds("USD")) == ("0.05", "9993.0518 0")
    assert is_sound()


def test_a_fill_or_kill_would_not_be_filled_by_its_own(own):
    assert outcome(own.play(own.alice, "buy 0.06 @ 102 fok decrement")) == "0.06 expired fok_not_fillable"
    assert outcome(own.play(own.alice, "buy 0.05 @ 102 fok decrement")) == "0 filled"


def test_a_market_by_quantity_and_an_iceberg(own):
    own.play(own.alice, "sell 0.3 @ 99 show 0.1", clientOrderId="iceberg")
    taker = own.play(own.alice, "buy 0.25 @ market decrement")
    iceberg = own.alice.get("/orders/client/iceberg")
    assert (outcome(taker), outcome(iceberg)) == ("0 cancelled self_trade", "0.05 open +")
    assert steps(own, iceberg) == ["OPEN"] + ["OPEN SELF_TRADE"] * 3
    assert own.depth().startswith("| 0.05@99 ")
    assert is_sound()


def test_the_default_of_the_market_counts(own):
    answer = own.staff.call("PATCH", "/markets/BTC-USD", {"selfTradePrevention": "DECREMENT"})
    assert answer.body["data"]["selfTradePrevention"] == Market.objects.get().self_trade_prevention == "DECREMENT"
    assert outcome(own.play(own.alice, "buy 0.06 @ 101")) == "0 cancelled self_trade"


def test_the_stream_tells_what_a_replay_tells(own, settings, monkeypatch):
    """Of orders that were plain until then: their events of before have the terms of before."""
    told: list[dict] = []
    monkeypatch.setattr(prepare, "publish_updates", lambda batch, **_: told.extend(message.data for message in batch))
    settings.ENGINE_BATCH_SIZE, settings.ENGINE_TIME_BOX_SECONDS = 2, 60
    for line in ("buy 0.12 @ 101 decrement", "sell 0.01 @ 101 none", "buy 0.05 @ 90", "sell 0.3 @ 90 decrement"):
        own.place(own.alice, line)
    own.match()
    trades = {(trade.market_id, trade.sequence): trade for trade in Trade.objects.all()}
    events = OrderEvent.objects.filter(sequence__gt=3).order_by("sequence")
    assert told == [message.data for message in from_rows(events, trades)]
    assert {step["preventedQuantity"] for step in told} > {"0", "0.05"}


@pytest.mark.parametrize("most_fills", [1, 2])
def test_over_many_transactions(own, settings, most_fills):
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_BOOK_CACHE = most_fills, False
    settings.ENGINE_TIME_BOX_SECONDS = 60
    own.play(own.alice, "sell 0.02 @ 100.5")
    taker = own.play(own.alice, "buy 0.4 @ 103 decrement")
    assert (outcome(taker), taker["preventedQuantity"], own.depth()) == (
        *("0.23 partially_filled +", "0.07", "0.23@103 |"),
    )
    assert is_sound()
