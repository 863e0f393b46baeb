"""Random orders and cancels through the services and the worker, on the real database, beside the naive twin.

Each example opens a market with assets and users of its own, so that the database need not be emptied between them.
"""

import itertools
import random
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import pytest
from django.db.models import Sum
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.inspect import check_exchange
from audit.naive import BASE, QUOTE, ZERO, NaiveExchange, NaiveOrder, NaiveTrade
from balances.models import Balance, HouseAccount, LedgerEntry
from balances.services import transfer
from base.web.errors import InsufficientFunds, InvalidField, OrderClosed
from commands.models import Command
from core.types import TRANSITIONS, Reason, Status
from markets.models import Asset, Market, Trade
from markets.services import create_market
from matching import books, drain
from matching.models import OrderBook
from orders.models import Order, OrderEvent
from orders.placing import place_order
from orders.services import cancel_order, cancel_orders
from orders.terms import OrderTerms
from tests.support import commands
from tests.support.commands import CAST, MARKETS, RATES, Cancel, CancelAll, Deposit, Place, Restart
from tests.support.sampling import PROVE, sample
from users.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.dialect]

_numbers = itertools.count(1)


class Engine(NamedTuple):
    """How the worker cuts its work into transactions, which must not show in what it does."""

    batch_size: int
    fills_per_transaction: int
    book_cache: bool = True


class CancelMine(NamedTuple):
    """DELETE /orders: all that is active of one user."""

    user: str


class Drain(NamedTuple):
    """Let the worker run; until then commands wait in the inbox."""


def wanted(order: NaiveOrder) -> OrderTerms:
    """The twin's order as its user asks the exchange for it."""
    return OrderTerms(
        side=order.side,
        type="MARKET" if order.price is None else "LIMIT",
        price=order.price,
        quantity=order.quantity,
        quote_quantity=order.quote_quantity,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        self_trade_prevention=order.stp,
    )


class Database:
    """The exchange as it is: services in front, the worker behind, rows in between."""

    def __init__(self, grain: commands.Market) -> None:
        self.grain, name = grain, f"{next(_numbers):X}"
        self.assets = {BASE: f"B{name}", QUOTE: f"Q{name}"}
        for asset, step in ((BASE, grain.base_step), (QUOTE, grain.quote_step)):
            Asset.objects.create(code=self.assets[asset], scale=max(0, -Decimal(step).as_tuple().exponent))
        self.market: Market = create_market(
            symbol=f"B{name}-Q{name}",
            base=self.assets[BASE],
            quote=self.assets[QUOTE],
            tick_size=Decimal(grain.tick),
            lot_size=Decimal(grain.lot),
        )
        people = [User(username=f"{who}-{name}", email=f"{who}-{name}@example.com") for who in CAST]
        self.users = {who: user.id for who, user in zip(CAST, User.objects.bulk_create(people), strict=True)}
        if None in self.users.values():  # the database does not tell the keys of rows made in bulk
            self.users = {who: User.objects.get(username=f"{who}-{name}").id for who in CAST}

    def deposit(self, who: str, asset: str, amount: Decimal) -> None:
        transfer(
            user_id=self.users[who],
            currency=self.assets[asset],
            amount=amount,
            reason="deposit",
            reference=f"deposit-{next(_numbers)}",
            operator_id=None,
        )

    def place(self, order: NaiveOrder) -> int | None:
        """The order's id, or None when its funds do not suffice, or its price is out of band."""
        # Rates and band are fixed when the order is accepted: change them as an operator would, between two orders.
        self.market.maker_fee_rate, self.market.taker_fee_rate = order.maker_rate, order.taker_rate
        self.market.price_band = order.price_band
        self.market.fee_currency = "QUOTE" if order.fee_in_quote else "RECEIVED"
        try:
            return place_order(self.users[order.user], self.market, wanted(order)).order.id
        except (InsufficientFunds, InvalidField):
            return None

    def cancel(self, who: str, order_id: int) -> bool:
        try:
            cancel_order(self.users[who], order_id)
        except OrderClosed:
            return False
        return True

    def drain(self) -> None:
        while Command.objects.filter(market=self.market).exists():
            drain.drain(self.market.symbol)

    # What there is to see afterwards, in the twin's words.

    def balances(self) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
        who = {user_id: name for name, user_id in self.users.items()}
        what = {code: asset for asset, code in self.assets.items()}
        rows = Balance.objects.filter(currency__in=what)
        return {(who[row.user_id], what[row.currency_id]): (row.available, row.frozen) for row in rows}

    def orders(self) -> dict[int, tuple[object, ...]]:
        names = ("status", "reason", "phase", "filled_quantity", "filled_notional", "frozen")
        return {row[0]: row[1:] for row in Order.objects.filter(market=self.market).values_list("id", *names)}

    def trades(self) -> list[NaiveTrade]:
        names = (
            "buy_order_id",
            "sell_order_id",
            "price",
            "quantity",
            "buyer_fee",
            "seller_fee",
            "taker_side",
            "rebate",
        )
        rows = Trade.objects.filter(market=self.market).order_by("sequence").values_list(*names)
        return [NaiveTrade(*row) for row in rows]

    def ledger(self, account: int, asset: str) -> Decimal:
        entries = LedgerEntry.objects.filter(account=account, currency=self.assets[asset])
        return entries.aggregate(total=Sum("amount"))["total"] or ZERO


class DatabaseAndTwin:
    """The database and the twin, which receive the same commands and are compared."""

    twin_class = NaiveExchange

    def __init__(self, grain: commands.Market, count_money: bool) -> None:
        self.grain, self.database, self.count_money = grain, Database(grain), count_money
        self.twin = self.twin_class(Decimal(grain.lot), Decimal(grain.base_step), Decimal(grain.quote_step))
        for who in CAST:
            self._deposit(who)

    def play(self, command: "commands.Command | CancelMine | Drain") -> None:
        match command:
            case Place():
                self._place(command)
            case Deposit(user):
                self._deposit(user)
            case Restart():
                books.forget(self.database.market.symbol)
            case Cancel() | CancelAll() | CancelMine():
                self._cancel(command)
            case Drain():
                self.twin.drain()
                self.database.drain()
                self.compare()

    def _deposit(self, who: str) -> None:
        tick, lot = Decimal(self.grain.tick), Decimal(self.grain.lot)
        for asset, amount in ((BASE, lot * 40), (QUOTE, tick * lot * 4000)):
            self.database.deposit(who, asset, amount)
            self.twin.deposit(who, asset, amount)

    def _place(self, command: Place) -> None:
        order = commands.naive_order(command, self.grain)
        order_id = self.database.place(order)
        order.id = order.id if order_id is None else order_id
        is_accepted = not self.twin.is_refused(order) and self.twin.place(order)
        assert is_accepted == (order_id is not None)

    def _cancel(self, command: Cancel | CancelAll | CancelMine) -> None:
        active = self.twin.open_orders()
        match command:
            case Cancel(order) if self.twin.orders:
                self._cancel_one(list(self.twin.orders.values())[order % len(self.twin.orders)])
            case CancelAll(side):
                for order in active:
                    if order.side == side:
                        self._cancel_one(order)
            case CancelMine(user):
                mine = [order.id for order in active if order.user == user]
                assert cancel_orders(self.database.users[user], self.database.market.symbol) == len(mine)
                for order_id in mine:
                    self.twin.cancel(order_id)

    def _cancel_one(self, order: NaiveOrder) -> None:
        accepted = self.database.cancel(order.user, order.id)
        assert accepted == order.active
        if accepted:
            self.twin.cancel(order.id)

    def compare(self) -> None:
        database, twin = self.database, self.twin
        assert database.trades() == twin.trades
        assert database.orders() == {
            order.id: (order.status, order.reason, self._phase(order), order.filled, order.spent, order.frozen)
            for order in twin.orders.values()
        }
        assert database.balances() == {
            key: (twin.available[key], twin.frozen[key]) for key in itertools.product(CAST, (BASE, QUOTE))
        }
        for asset in (BASE, QUOTE):
            assert database.ledger(HouseAccount.FEES, asset) == twin.fees[asset]
        self._compare_timeline()
        if self.count_money:
            check_exchange()

    def _phase(self, order: NaiveOrder) -> str:
        if not order.active:
            return "CLOSED"
        if order in self.twin.waiting:
            return "WAITING"
        return "RESTING" if order in self.twin.resting else "TAKING"

    def _compare_timeline(self) -> None:
        """Events are numbered 1..n, follow the table of transitions, and end where the orders are."""
        events = list(OrderEvent.objects.filter(market=self.database.market).order_by("sequence"))
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        book = OrderBook.objects.filter(market=self.database.market).first()
        assert (book.next_sequence if book else 1) == len(events) + 1
        state: dict[int, tuple[object, ...]] = dict.fromkeys(self.twin.orders, ("PENDING", True, ZERO))
        for event in events:
            before, active, filled = state[event.order_id]
            if event.reason == Reason.AMEND_REFUSED:
                assert (event.status, event.active, event.filled_quantity) == state[event.order_id]
                continue
            assert active, f"{event.event_id} comes after the order's end"
            assert Status(event.status) in TRANSITIONS[Status(before)]
            assert event.filled_quantity > filled if event.trade_sequence else event.filled_quantity == filled
            state[event.order_id] = (event.status, event.active, event.filled_quantity)
        assert state == {order.id: (order.status, order.active, order.filled) for order in self.twin.orders.values()}


rates = st.sampled_from(RATES[:4])  # a market's rates are below 1
places = commands.orders(rates)
steps = st.one_of(
    *[places] * 6,
    st.builds(Cancel, st.integers(0, 40)),
    st.builds(CancelMine, st.sampled_from(CAST)),
    st.builds(Deposit, st.sampled_from(CAST)),
    st.builds(Restart, st.just(0)),
    *[st.builds(Drain)] * 3,
)
engines = st.builds(
    Engine,
    batch_size=st.sampled_from([1, 2, 7, 500]),
    fills_per_transaction=st.sampled_from([1, 2, 500]),
    book_cache=st.booleans(),
)


def play(grain: commands.Market, engine: Engine, stream: Iterable, count_money: bool = True) -> DatabaseAndTwin:
    both = DatabaseAndTwin(grain, count_money)
    with override_settings(
        ENGINE_BATCH_SIZE=engine.batch_size,
        ENGINE_FILLS_PER_TRANSACTION=engine.fills_per_transaction,
        ENGINE_BOOK_CACHE=engine.book_cache,
        ENGINE_TIME_BOX_SECONDS=60,
    ):
        for step in (*stream, Drain()):
            both.play(step)
    return both


@settings(max_examples=60 if PROVE else 20, deadline=None, suppress_health_check=list(HealthCheck))
@given(grain=st.sampled_from(MARKETS), engine=engines, stream=st.lists(steps, min_size=5, max_size=40))
def test_any_short_stream(grain, engine, stream):
    # The count reads all the examples before this one too: it is made once, after the test.
    play(grain, engine, stream, count_money=False)


ENGINES = (Engine(500, 500), Engine(7, 500), Engine(7, 2), Engine(2, 500), Engine(1, 1), Engine(7, 500, False))


@pytest.mark.parametrize("engine", sample(ENGINES, 3, "longer"), ids=str)
def test_a_longer_stream(engine):
    """The same stream however it is cut into transactions, and with the book read anew for each of them."""
    dice = random.Random(1)
    both = play(MARKETS[1], engine, [random_step(dice) for _ in range(200)], count_money=False)
    assert len(both.twin.trades) > 20


@pytest.mark.parametrize("engine", sample(ENGINES, 3, "backlog"), ids=str)
def test_a_backlog(engine):
    """Nothing is matched until all of it waits: batch after batch is full, and decided ahead."""
    dice = random.Random(2)
    stream = [step for step in (random_step(dice) for _ in range(250)) if not isinstance(step, Drain | Deposit)]
    both = play(MARKETS[1], engine, stream, count_money=False)
    assert len(both.twin.trades) > 10


def random_step(dice: random.Random) -> "commands.Command | CancelMine | Drain":
    throw = dice.random()
    if throw < 0.15:
        return Drain()
    if throw < 0.20:
        return Deposit(dice.choice(CAST))
    return CancelMine(dice.choice(CAST)) if throw < 0.21 else commands.random_command(dice)


@pytest.mark.parametrize("engine", [Engine(200, 500), Engine(200, 1)])
def test_a_market_buy_does_not_spend_what_it_earns_from_itself(engine):
    """However the worker cuts it into transactions: what it may spend is what was there when its matching began."""
    steps = [
        Place("alice", "SELL", 1000, 4),
        Place("bob", "SELL", 1000, 4),
        Drain(),
        Place("alice", "BUY", None, 8, stp="NONE"),  # she has enough for four, and sells the first four herself
    ]
    both = play(MARKETS[0], engine, steps)
    *_, order = both.twin.orders.values()
    assert (order.filled, order.status, order.reason) == (4, "PARTIALLY_FILLED", "INSUFFICIENT_FUNDS")
