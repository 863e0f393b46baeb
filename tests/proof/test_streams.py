"""Long random streams through the services and the worker, beside the independent matcher, however the work is cut.

Fifty thousand commands, of which `make test` plays a tenth: see tests.support.sampling.
"""

import itertools
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError

from audit.naive import NaiveExchange, NaiveOrder
from base.web.errors import InsufficientFunds, InvalidField
from core import market as core_market
from core.book import Book
from core.money import to_units
from core.types import Order
from matching import drain, prepare
from matching.models import DeadLetter, OrderBook
from orders.models import Order as DatabaseOrder
from orders.placing import OrderRequest, place_orders
from orders.terms import Accepted
from tests.integration.test_properties import CancelMine, DatabaseAndTwin, Drain, Engine, wanted
from tests.support import commands
from tests.support.commands import MARKETS, Place
from tests.support.sampling import PROVE, SEED, TIMES, dice

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600 * TIMES)]

# Fewer where each command is a transaction of its own, or reads the whole book.
COMMANDS = {
    Engine(1, 500): 2_000,
    Engine(2, 2): 2_000,
    Engine(7, 500): 6_000,
    Engine(500, 500): 17_000,
    Engine(1, 500, False): 1_000,
    Engine(2, 2, False): 1_000,
    Engine(7, 500, False): 4_000,
    Engine(500, 500, False): 17_000,
}
STREAM = 1_000
AT_ONCE = 100
SAMPLED_ONE_IN = 10

Step = commands.Command | CancelMine | Drain


class InBulk(DatabaseAndTwin):
    """Orders that follow one another are placed by one request; all is compared at the end and not at each turn."""

    def __init__(self, grain: commands.Market) -> None:
        super().__init__(grain, count_money=False)
        self.waiting: list[NaiveOrder] = []

    def play(self, command: Step) -> None:
        is_other = bool(self.waiting) and _rates(self.waiting[0]) != _rates(command)
        if is_other or not isinstance(command, Place) or len(self.waiting) == AT_ONCE:
            self._place_all()
        if isinstance(command, Place):
            self.waiting.append(commands.naive_order(command, self.grain))
        elif isinstance(command, Drain):
            self.twin.drain()
            self.database.drain()
        else:
            super().play(command)

    def _place_all(self) -> None:
        market = self.database.market
        orders, self.waiting = self.waiting, []
        if not orders:
            return
        market.maker_fee_rate, market.taker_fee_rate = orders[0].maker_rate, orders[0].taker_rate
        market.price_band = orders[0].price_band
        market.fee_currency = "QUOTE" if orders[0].fee_in_quote else "RECEIVED"
        results = place_orders(
            [OrderRequest(self.database.users[str(order.user)], market, wanted(order)) for order in orders]
        )
        # Before the first of them is stored.
        refused = [self.twin.is_refused(order) for order in orders]
        for order, result, is_refused in zip(orders, results, refused, strict=True):
            is_placed = isinstance(result, Accepted)
            assert is_placed or isinstance(result, InsufficientFunds | InvalidField), result
            if isinstance(result, Accepted):
                order.id = result.order.id
            is_accepted = not is_refused and self.twin.place(order)
            assert is_accepted == is_placed


def _rates(order: object) -> list[str]:
    """What orders that are placed together have in common; None of a band stands for no band in both."""
    band = getattr(order, "price_band", None) or getattr(order, "band", None)
    return [*(str(getattr(order, name, "")) for name in ("maker_rate", "taker_rate", "fee_in_quote")), str(band)]


def stream(dice: random.Random, batch_size: int, length: int) -> Iterator[Step]:
    """The worker runs when there is a batch or so for it. Fees and the band change seldom: orders come by the dozen."""
    rates: dict[str, Any] = {}
    for number in range(length):
        if number % 100 == 0:
            rates = {name: dice.choice(commands.RATES[:4]) for name in ("maker_rate", "taker_rate")}
            if dice.random() < 0.3:
                rates["maker_rate"] = commands.REBATE
            rates["fee_in_quote"] = dice.random() < 0.5
            rates["band"] = dice.choice(commands.BANDS)
        throw = dice.random() * min(batch_size, 200)
        if throw < 0.4:
            yield Drain()
        elif dice.random() < 0.01:
            yield CancelMine(dice.choice(commands.CAST))
        else:
            step = commands.random_command(dice)
            yield step._replace(**rates) if isinstance(step, Place) else step


@pytest.fixture(autouse=True)
def unhindered(settings, monkeypatch):
    """The test drains the market itself: no bell is rung, nothing pauses, no order is refused because others wait."""
    settings.ENGINE_TIME_BOX_SECONDS = 60
    # On a busy machine the first of a large batch waits long for the last.
    settings.INTAKE_MAX_AGE_SECONDS = 3600
    settings.ENGINE_RETRY_MS = []
    monkeypatch.setattr(drain.queue, "ring_now", lambda _symbol: None)
    monkeypatch.setattr(drain.queue, "clear_bell", lambda _symbol: None)


@pytest.mark.parametrize("engine", COMMANDS, ids=str)
def test_a_long_stream(engine, settings):
    settings.ENGINE_BATCH_SIZE, settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_BOOK_CACHE = engine
    length = COMMANDS[engine] * TIMES if PROVE else COMMANDS[engine] // SAMPLED_ONE_IN
    trades = 0
    for number, start in enumerate(range(0, length, STREAM), SEED):
        both = InBulk(MARKETS[number % len(MARKETS)])
        for step in (*stream(dice(engine, start), engine.batch_size, min(STREAM, length - start)), Drain()):
            both.play(step)
        both.compare()
        trades += len(both.twin.trades)
    # A short stream may happen to have few, or none.
    assert trades > length // 20 or not PROVE


class Poisoned(NaiveExchange):
    """The twin of an engine that breaks on some orders: they fail, and nothing else happens."""

    def _match(self, taker: NaiveOrder) -> None:
        if taker.quantity == self.lot * POISON_LOTS and taker.stp == POISON_PREVENTION:
            self.close(taker, "FAILED", "INTERNAL_ERROR")
        else:
            super()._match(taker)


# Together about one order in a hundred.
POISON_LOTS, POISON_PREVENTION = 2, "EXPIRE_BOTH"


@pytest.mark.django_db(transaction=True)
def test_poison_orders_change_nothing_for_their_neighbours(monkeypatch, settings):
    """They break the core, or their rows do not fit: a hundred among some eleven thousand fail, each alone."""
    settings.ENGINE_BATCH_SIZE = 100
    grain = MARKETS[0]
    poison = to_units(Decimal(grain.lot)) * POISON_LOTS
    place, write = core_market.place, prepare.write_settlement

    def is_poison(order: Order, side: str) -> bool:
        is_meant = order.quantity == poison and order.self_trade_prevention == POISON_PREVENTION
        return is_meant and order.side == side

    def break_on_bids(self: Book, taker: Order, max_steps: int | None = None) -> Any:
        if is_poison(taker, "BUY"):
            raise ZeroDivisionError("no bid of this kind")
        return place(self, taker, max_steps)

    def break_on_offers(batch: Any, *arguments: Any) -> Any:
        if any(is_poison(command.order, "SELL") for command in batch.done if command.order):
            raise DataError(1264, "no offer of this kind")
        return write(batch, *arguments)

    monkeypatch.setattr(core_market, "place", break_on_bids)
    monkeypatch.setattr(prepare, "write_settlement", break_on_offers)
    monkeypatch.setattr(DatabaseAndTwin, "twin_class", Poisoned)
    wanted = 100 * TIMES if PROVE else 100 // SAMPLED_ONE_IN
    failed = 0
    for number in itertools.count():
        both = InBulk(grain)
        for step in (*stream(dice("poison", number), 100, STREAM), Drain()):
            both.play(step)
        both.compare()
        failed += sum(order.status == "FAILED" for order in both.twin.orders.values())
        if failed >= wanted:
            break
    stored = DatabaseOrder.objects.filter(status="FAILED", filled_quantity=0, frozen=0).count()
    assert stored == DeadLetter.objects.count() == failed
    assert {row.status for row in OrderBook.objects.all()} == {"TRADING"}
