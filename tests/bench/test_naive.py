"""The engine that ours is measured against matches the same, or the comparison would mean nothing."""

from typing import Any

from commands.models import Command
from markets.models import Trade
from matching import drain
from orders.models import Order
from tests.support.sampling import PROVE
from tools.bench.flow import flow
from tools.bench.naive import drain_naively
from tools.bench.stage import Stage

COMMANDS = 300 if PROVE else 100


def test_both_engines_trade_alike(db):
    ours = staged("BTC-USD")
    while drain.drain(ours.symbol).commands:
        pass
    naive = staged("BTC-USD-NAIVE")
    assert drain_naively(naive.symbol, COMMANDS) == COMMANDS

    assert Command.objects.count() == 0
    assert tape(naive) == tape(ours)
    assert len(tape(ours)) > COMMANDS / 4
    assert states(naive) == states(ours)


def test_it_stops_at_the_limit(db):
    stage = staged("BTC-USD")
    assert drain_naively(stage.symbol, 10) == 10
    assert Command.objects.count() == COMMANDS - 10


def test_they_take_turns(db, settings):
    """Neither trusts what it remembers from before the other's turn."""
    settings.ENGINE_BATCH_SIZE, settings.ENGINE_TIME_BOX_SECONDS = 40, 0
    mixed = staged("BTC-USD")
    while Command.objects.exists():
        drain.drain(mixed.symbol)
        drain_naively(mixed.symbol, 40)
    ours = staged("BTC-USD-OURS")
    while drain.drain(ours.symbol).commands:
        pass
    assert tape(mixed) == tape(ours)


def staged(symbol: str) -> Stage:
    stage = Stage(symbol)
    assert stage.queue(flow(COMMANDS)) == COMMANDS
    return stage


def tape(stage: Stage) -> list[tuple[Any, ...]]:
    trades = Trade.objects.filter(market=stage.market).order_by("sequence")
    return list(trades.values_list("sequence", "price", "quantity", "taker_side", "buyer_fee", "seller_fee"))


def states(stage: Stage) -> list[tuple[Any, ...]]:
    """What became of every order, by the sequence that makes its priority."""
    orders = Order.objects.filter(market=stage.market).order_by("sequence")
    return list(orders.values_list("sequence", "status", "phase", "filled_quantity", "filled_notional", "frozen"))
