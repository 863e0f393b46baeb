"""Random commands of all order kinds through the services and the worker, beside the naive twin, and then all audits.

Intake decides what it takes, and the twin is given that; what becomes of it must be the same. A replay then plays each
market again from its rows.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from audit.naive import NaiveOrder
from base.web.errors import ExchangeError
from commands.models import Command
from commands.queue import submit_change
from core.types import CommandKind
from markets.models import Market
from markets.services import change_market
from matching.drain import _Drain
from orders.amending import amend_order
from orders.models import Order
from orders.oco import OcoForm, place_oco
from orders.placing import OrderRequest, place_order
from orders.replacing import replace_order
from orders.terms import OrderTerms
from tests.integration.test_properties import DatabaseAndTwin, Drain, Engine
from tests.support import commands, kinds
from tests.support.all_kinds import TYPES
from tests.support.commands import MARKETS, Place
from tests.support.kinds import Amend, CancelFor, Extended, Oco, Replace, SetStatus
from tests.support.orders import all_findings, checks, full, quick, replay
from tests.support.sampling import PROVE, TIMES, dice, sample

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900 * TIMES)]

KINDS = ("stops", "oco", "gtd", "iceberg", "decrement", "halts", "auction", "amend", "replace")
ENGINES = (Engine(500, 500), Engine(7, 2), Engine(1, 1), Engine(50, 5, False), Engine(3, 500, False))
COMMANDS, STREAM = 1_000, 500


def terms_of(order: NaiveOrder) -> OrderTerms:
    """What the user asks for: a field that the order does not have is not sent."""
    given = {
        "price": order.price,
        "quantity": order.quantity,
        "quote_quantity": order.quote_quantity,
        "stop_price": order.stop_price,
        "trailing_offset": order.trailing_offset,
        "display_quantity": order.display,
        "expires_at": None if order.time_in_force != "GTD" else timezone.now() + timedelta(days=1),
        "time_in_force": None if order.price is None else order.time_in_force,
    }
    return OrderTerms(
        side=order.side,
        type=TYPES[order.stop, order.price is not None],
        post_only=order.post_only,
        self_trade_prevention=order.stp,
        **{name: value for name, value in given.items() if value is not None},
    )


class Stored(DatabaseAndTwin):
    """The database and the twin with commands of all kinds."""

    def __init__(self, grain: commands.Market) -> None:
        super().__init__(grain, count_money=False)
        self.twin.tick = Decimal(grain.tick)

    def play(self, command: Any) -> None:
        match command:
            case Place() | Extended():
                self._place_any(command)
            case SetStatus(status):
                self._set_status(status)
            case Amend(place) | Replace(place) | CancelFor(place) if self.twin.orders:
                orders = list(self.twin.orders.values())
                self._change(command, orders[place % len(orders)])
            case Oco():
                self._place_oco(command)
            case Amend() | Replace() | CancelFor():
                pass
            case _:
                super().play(command)

    def _place_any(self, command: Place | Extended) -> None:
        order = self._wanted(command)
        try:
            order.id = place_order(self.database.users[str(order.user)], self.database.market, terms_of(order)).order.id
        except ExchangeError:
            return
        assert self.twin.place(order)

    def _place_oco(self, command: Oco) -> None:
        stop, limit = kinds.legs(command, self.grain, 1)
        form = OcoForm.model_construct(
            symbol=self.database.market.symbol,
            side=limit.side,
            quantity=limit.quantity,
            price=limit.price,
            stop_price=stop.stop_price,
            stop_limit_price=stop.price,
        )
        try:
            group = place_oco(self.database.users[str(limit.user)], form)
        except ExchangeError:
            return
        for leg, row in ((limit, group.limit), (stop, group.stop)):
            leg.id, leg.group = row.id, row.group_id
            leg.maker_rate, leg.taker_rate, leg.fee_in_quote = row.maker_fee_rate, row.taker_fee_rate, row.fee_in_quote
            leg.price_band, leg.stp, leg.time_in_force = row.price_band, row.self_trade_prevention, "GTC"
        assert self.twin.place_oco(stop, limit)

    def _wanted(self, command: Place | Extended) -> NaiveOrder:
        """The twin's order, with rates and a band that the market has from now on."""
        order, market = kinds.extended_order(command, self.grain, 0), self.database.market
        market.maker_fee_rate, market.taker_fee_rate = order.maker_rate, order.taker_rate
        market.price_band, market.fee_currency = order.price_band, "QUOTE" if order.fee_in_quote else "RECEIVED"
        return order

    def _set_status(self, status: str) -> None:
        market = Market.objects.get(symbol=self.database.market.symbol)
        if status == market.status:
            return
        change_market(market, status=status)
        self.database.market.status = status
        self.twin.set_status(status)

    def _change(self, command: Amend | Replace | CancelFor, order: NaiveOrder) -> None:
        match command:
            case Amend():
                self._amend(order, command)
            case Replace(_, by):
                self._replace(order, by)
            case CancelFor(_, reason) if order.active:
                self._cancel_for(order, reason)

    def _amend(self, order: NaiveOrder, command: Amend) -> None:
        changes = kinds.changes(command, self.grain)
        wanted = {"display_quantity" if name == "display" else name: value for name, value in changes.items()}
        try:
            amend_order(self.database.users[str(order.user)], order.id, wanted)
        except ExchangeError:
            return
        assert self.twin.amend(order.id, changes, self._reserved(order.id))

    def _replace(self, old: NaiveOrder, by: Place | Extended) -> None:
        order = self._wanted(by)
        user = self.database.users[str(order.user)]
        try:
            request = OrderRequest(user, self.database.market, terms_of(order))
            order.id = replace_order(old.id, request).order.id
        except ExchangeError:
            return
        assert self.twin.replace(old.id, order, self._reserved(order.id))

    def _reserved(self, order_id: int) -> Decimal:
        """What intake has frozen for the newest command."""
        reserved: Decimal = Command.objects.filter(order_id=order_id).latest("id").reserved
        return reserved

    def _cancel_for(self, order: NaiveOrder, reason: str) -> None:
        symbol = self.database.market.symbol
        if reason == "GTD_EXPIRED":
            if order.time_in_force == "GTD":
                due = Order.objects.get(id=order.id).expires_at
                submit_change(CommandKind.EXPIRE, symbol, order.id, {"expires_at": due.isoformat()}, Decimal(0))
                self.twin.expire(order.id)
            return
        submit_change(CommandKind.CANCEL, symbol, order.id, {"reason": reason}, Decimal(0))
        self.twin.cancel(order.id, reason)


@pytest.fixture(autouse=True)
def unhindered(settings, monkeypatch):
    """The test drains the market itself, and no order is refused because others wait."""
    settings.ENGINE_TIME_BOX_SECONDS = 60
    settings.INTAKE_MAX_AGE_SECONDS = 3600
    monkeypatch.setattr("commands.queue.ring_now", lambda _symbol: None)


@pytest.mark.parametrize("engine", sample(ENGINES, 5, "all kinds stored"), ids=str)
def test_a_stream_of_all_kinds(engine, settings):
    settings.ENGINE_BATCH_SIZE, settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_BOOK_CACHE = engine
    length = COMMANDS * TIMES if PROVE else COMMANDS // 10
    lot = dice("all kinds stored", engine)
    for start in range(0, length, STREAM):
        both = Stored(lot.choice(MARKETS))
        for _ in range(min(STREAM, length - start)):
            both.play(kinds.random_command(lot, KINDS))
            if lot.random() < 0.15:
                both.play(Drain())
        both.play(Drain())
        reports = [replay(both.database.market.symbol), quick()]
        assert checks(*reports) == set(), all_findings(reports)
    assert checks(full()) == set()


@pytest.mark.parametrize("seed", range(10 * TIMES if PROVE else 1))
def test_between_any_two_transactions(seed, settings):
    """What is unfinished has done what it has done so far, and no audit is alarmed."""
    settings.ENGINE_BATCH_SIZE, settings.ENGINE_FILLS_PER_TRANSACTION = 3, 1
    lot = dice("all kinds between", seed)
    both = Stored(lot.choice(MARKETS))
    symbol, transactions = both.database.market.symbol, 0
    for _ in range(3):
        for _ in range(30 if PROVE else 12):
            both.play(kinds.random_command(lot, KINDS))
        run = _Drain(symbol)
        while run._settle_next():
            transactions += 1
            reports = full(), quick(), replay(symbol)
            assert checks(*reports) == set(), all_findings(reports)
        both.play(Drain())
    assert transactions > 3
