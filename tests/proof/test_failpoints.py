"""Struck at any statement of the drain or of the intake, in any way, nothing is lost and nothing is doubled.

`make test` strikes at a few of the statements in each way, drawn by lot: see tests.support.sampling.
"""

import itertools
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from base.storage import statements
from base.storage.clock import database_time
from commands.models import Command
from markets.models import Trade
from markets.services import change_market, create_market
from matching import books
from matching.drain import drain
from matching.models import DeadLetter
from orders.dead_man import fire_due
from orders.expiry import expire_due
from orders.models import DeadManSwitch, Order, OrderEvent, OrderExpiry
from tests.support.failpoints import BLOWS, KILL, Blow, count, struck
from tests.support.sampling import TIMES, sample
from tests.support.tape import parse
from tests.support.world import Person, World, fund, person

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(300 * TIMES),
    # The child of a fork only works on the database and is killed, whatever threads its parent had.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

_numbers = itertools.count(1)
ALL = [*BLOWS, KILL]
# Of the drain's 25 or fifty points and of a call's four to twenty.
DRAIN_ONE_IN, CALL_ONE_IN = 6, 3


class Desk:
    """A buyer and a seller of their own in the one market, so that cases need not wait for one another to be undone."""

    def __init__(self, world: World) -> None:
        number = next(_numbers)
        self.world = world
        self.buyer, self.seller = person(f"buyer-{number}"), person(f"seller-{number}")
        fund(self.buyer.user, USD="1000")
        fund(self.seller.user, BTC="10")

    def place(self, who: Person, line: str, **more: Any) -> Any:
        return who.call("POST", "/orders", parse(line).body(self.world.symbol, **more))

    def queue(self) -> None:
        """Six commands for three batches: offers, takers, a cancel, and one who spends what is there."""
        for line in ("sell 1 @ 100", "sell 1 @ 101"):
            self.place(self.seller, line)
        self.place(self.buyer, "buy 1.5 @ 101")
        resting = self.place(self.buyer, "buy 0.2 @ 50").body["data"]["orderId"]
        self.buyer.call("DELETE", f"/orders/{resting}")
        self.place(self.buyer, "buy 0.5 @ market")

    def told(self) -> list[str]:
        orders = Order.objects.filter(user__in=[self.buyer.user, self.seller.user]).order_by("id")
        return [f"{order.filled_quantity.normalize():f} {order.status.lower()}" for order in orders]

    def check(self) -> None:
        assert self.told() == ["1 filled", "1 filled", "1.5 filled", "0 cancelled", "0.5 filled"]
        assert (self.buyer.holds("USD"), self.buyer.holds("BTC")) == ("799 0", "2 0")
        assert (self.seller.holds("USD"), self.seller.holds("BTC")) == ("201 0", "8 0")
        assert Trade.objects.filter(buyer_id=self.buyer.user.id).count() == 3


@pytest.fixture
def world(settings) -> World:
    settings.ENGINE_BATCH_SIZE = 2
    settings.ENGINE_RETRY_MS = [0, 0, 0]
    return World.make()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("matching.drain.BACKOFF_SECONDS", 0)
    monkeypatch.setattr("base.storage.outages.BACKOFF_SECONDS", 0)


@pytest.mark.parametrize("is_together", [True, False], ids=["together", "one by one"])
@pytest.mark.parametrize("blow", ALL, ids=str)
def test_the_drain(world, monkeypatch, blow, is_together):
    if not is_together:
        # Each a round trip of its own, so that a blow falls between any two of them.
        send = statements.send
        monkeypatch.setattr(statements, "send", lambda batch: [send([each])[0] for each in batch])

    def work() -> None:
        drain(world.symbol)

    # Twice: the first trades of an hour also make its candles.
    points = 0
    for _ in range(2):
        desk = Desk(world)
        desk.queue()
        points = count(work)
        desk.check()
    assert points > (25 if is_together else 45)
    for turn in sample(range(1, points + 1), DRAIN_ONE_IN, "drain", blow) * TIMES:
        desk = Desk(world)
        desk.queue()
        struck(work, turn, blow)
        drain(world.symbol)
        desk.check()
    assert not Command.objects.exists()
    assert not DeadLetter.objects.exists()


def delisted(world: World) -> tuple[Desk, str]:
    """A market of its own that is to be delisted, with five resting orders: three transactions."""
    desk, symbol = Desk(world), f"BTC-USD-{next(_numbers)}"
    market = create_market(symbol=symbol, base="BTC", quote="USD", tick_size=Decimal(1), lot_size=Decimal(1))
    for who, line in ((desk.buyer, "buy 1 @ 9"), (desk.seller, "sell 1 @ 10"), (desk.buyer, "buy 1 @ 8")):
        who.call("POST", "/orders", parse(line).body(symbol))
    for price in (11, 12):
        desk.seller.call("POST", "/orders", parse(f"sell 1 @ {price}").body(symbol))
    drain(symbol)
    change_market(market, status="DELISTED")
    return desk, symbol


@pytest.mark.parametrize("blow", ALL, ids=str)
def test_a_delisting(world, settings, blow):
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    _, first = delisted(world)
    points = count(lambda: drain(first))
    assert points > 20
    for turn in sample(range(1, points + 1), DRAIN_ONE_IN * 2, "delisting", blow) * TIMES:
        desk, symbol = delisted(world)
        struck(lambda: drain(symbol), turn, blow)  # noqa: B023
        drain(symbol)
        assert desk.told() == ["0 cancelled"] * 5
        assert OrderEvent.objects.filter(market=symbol, reason="MARKET_DELISTED").count() == 5
        assert (desk.buyer.holds("USD"), desk.seller.holds("BTC")) == ("1000 0", "10 0")
    assert not Command.objects.exists()


def cascading(world: World) -> tuple[Desk, str]:
    """A market of its own in which one sale triggers a chain: a trailing stop, two stops, a limit, and an OCO."""
    desk, symbol = Desk(world), f"BTC-USD-{next(_numbers)}"
    create_market(symbol=symbol, base="BTC", quote="USD", tick_size=Decimal(1), lot_size=Decimal(1))
    lines = (
        "buy 2 @ 100",
        "buy 1 @ 98",
        "buy 2 @ 96",
        "sell 1 @ 100",
        "sell 1 @ market trail 2",
        "sell 1 @ market stop 98",
    )
    for line in (*lines, "sell 1 @ 90 stop 96 ioc", "sell 1 @ 99 stop 96"):
        who = desk.buyer if line.startswith("buy") else desk.seller
        who.call("POST", "/orders", parse(line).body(symbol))
    drain(symbol)
    pair = {"symbol": symbol, "side": "SELL", "quantity": "1", "price": "120", "stopPrice": "97"}
    assert desk.seller.call("POST", "/orders/oco", pair).status_code == 202
    for line in ("sell 1 @ 100", "sell 1 @ 98"):
        desk.seller.call("POST", "/orders", parse(line).body(symbol))
    return desk, symbol


@pytest.mark.parametrize("blow", ALL, ids=str)
def test_a_cascade(world, settings, blow):
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_TIME_BOX_SECONDS = 1, 60

    def events(symbol: str) -> list[tuple[Any, ...]]:
        first = Order.objects.filter(market=symbol).order_by("id").values_list("id", flat=True)[0]
        found = OrderEvent.objects.filter(market=symbol).order_by("sequence")
        return [(event.order_id - first, event.status, event.reason) for event in found]

    first, symbol = cascading(world)
    points = count(lambda: drain(symbol))
    expected, told = events(symbol), first.told()
    assert points > 40 and sum(reason == "TRIGGERED" for _, _, reason in expected) == 5
    for turn in sample(range(1, points + 1), DRAIN_ONE_IN * 4, "cascade", blow) * TIMES:
        desk, symbol = cascading(world)
        struck(lambda: drain(symbol), turn, blow)  # noqa: B023
        drain(symbol)
        assert events(symbol) == expected
        assert desk.told() == told
        assert [desk.seller.holds("BTC"), desk.buyer.holds("USD")] == [
            first.seller.holds("BTC"),
            first.buyer.holds("USD"),
        ]
    assert not Command.objects.exists()
    assert not DeadLetter.objects.exists()


def amended(world: World) -> Desk:
    """An amend that goes on in a second transaction, and a replacement of another order."""
    desk = Desk(world)
    bid = desk.place(desk.buyer, "buy 2 @ 90").body["data"]["orderId"]
    first, *_ = (desk.place(desk.seller, line).body["data"]["orderId"] for line in ("sell 1 @ 110", "sell 1 @ 95"))
    desk.place(desk.seller, "sell 1 @ 96")
    drain(world.symbol)
    desk.buyer.call("PATCH", f"/orders/{bid}", {"price": "96"})
    desk.seller.call("POST", f"/orders/{first}/replace", parse("sell 2 @ 120").body(world.symbol))
    return desk


@pytest.mark.parametrize("blow", ALL, ids=str)
def test_amends_and_replacements(world, settings, blow):
    settings.ENGINE_FILLS_PER_TRANSACTION = 1
    first = amended(world)
    points = count(lambda: drain(first.world.symbol))
    first.seller.call("DELETE", "/orders")
    drain(world.symbol)
    for turn in sample(range(1, points + 1), DRAIN_ONE_IN * 2, "amended", blow) * TIMES:
        desk = amended(world)
        struck(lambda: drain(world.symbol), turn, blow)
        drain(world.symbol)
        assert desk.told() == ["2 filled", "0 cancelled", "1 filled", "1 filled", "0 open"]
        assert (desk.buyer.holds("USD"), desk.seller.holds("BTC")) == ("809 0", "6 2")
        desk.seller.call("DELETE", "/orders")
        drain(world.symbol)
    assert not Command.objects.exists()
    assert not DeadLetter.objects.exists()


def due(world: World) -> Desk:
    """An order whose time is over, and one whose owner has said nothing more."""
    desk = Desk(world)
    later = (database_time() + timedelta(seconds=60)).isoformat()
    bid = desk.place(desk.buyer, "buy 1 @ 50 gtd", expiresAt=later).body["data"]["orderId"]
    desk.place(desk.seller, "sell 1 @ 150")
    drain(world.symbol)
    desk.seller.call("POST", "/orders/cancel-all-after", {"timeoutSeconds": 60})
    now = database_time()
    Order.objects.filter(id=bid).update(expires_at=now)
    OrderExpiry.objects.filter(id=bid).update(due_at=now)
    DeadManSwitch.objects.update(triggers_at=now)
    books.forget(world.symbol)
    return desk


@pytest.mark.parametrize("blow", ALL, ids=str)
def test_the_timers(world, blow):
    def look() -> None:
        expire_due()
        fire_due()

    due(world)
    points = count(look)
    assert points > 10
    drain(world.symbol)
    for turn in sample(range(1, points + 1), CALL_ONE_IN, "timers", blow) * TIMES:
        desk = due(world)
        struck(look, turn, blow)
        look()
        assert Command.objects.count() == 2
        drain(world.symbol)
        assert desk.told() == ["0 expired", "0 cancelled"]
        assert OrderEvent.objects.filter(user__in=[desk.buyer.user, desk.seller.user]).count() == 4
    assert not (OrderExpiry.objects.exists() or DeadManSwitch.objects.exists() or DeadLetter.objects.exists())


def place(desk: Desk, key: str) -> Any:
    return desk.place(desk.buyer, "buy 1 @ 100", clientOrderId=key)


def place_batch(desk: Desk, key: str) -> Any:
    lines = ("buy 1 @ 60", "buy 1 @ 40")
    bodies = [parse(line).body(desk.world.symbol, clientOrderId=f"{key}-{n}") for n, line in enumerate(lines)]
    return desk.buyer.call("POST", "/orders/batch", {"orders": bodies})


def replace(desk: Desk, key: str) -> Any:
    old = desk.place(desk.buyer, "buy 1 @ 90", clientOrderId=f"{key}-old")
    if old.status_code != 202:
        return old
    body = parse("buy 1 @ 100").body(desk.world.symbol, clientOrderId=key)
    return desk.buyer.call("POST", f"/orders/{old.body['data']['orderId']}/replace", body)


def deposit(desk: Desk, key: str) -> Any:
    body = {"userId": desk.buyer.user.id, "currency": "USD", "amount": "-100", "reason": "test", "reference": key}
    return desk.world.staff.call("POST", "/balances/update", body)


def cancel_everything(desk: Desk, key: str) -> Any:
    return desk.buyer.call("DELETE", "/orders")


# Their own statements and their commit; who is asking is read beforehand, in some.
LEAST = {place: 4, place_batch: 5, replace: 10, deposit: 8, cancel_everything: 1}


@pytest.mark.parametrize("blow", ALL, ids=str)
@pytest.mark.parametrize(
    ("call", "after"),
    [
        (place, "900 100"),
        (place_batch, "900 100"),
        (replace, "900 100"),
        (deposit, "900 0"),
        (cancel_everything, "1000 0"),
    ],
    ids=["an order", "a batch", "a replacement", "a transfer", "cancels"],
)
def test_the_intake(world, blow, call, after):
    """Whatever the client was told, it repeats the request with the same key and has what it asked for, once."""
    call(Desk(world), "warm")
    counted = Desk(world)
    points = count(lambda: call(counted, "counted"))
    assert points >= LEAST[call]
    for turn in sample(range(1, points + 1), CALL_ONE_IN, call.__name__, blow) * TIMES:
        desk = Desk(world)
        key = f"key-{next(_numbers)}"
        answer = _struck_call(call, desk, key, turn, blow)
        assert answer is None or answer in (200, 202, 500, 503), answer
        again = call(desk, key)
        assert again.status_code in (200, 202), again.body
        drain(world.symbol)
        assert desk.buyer.holds("USD") == after
        if call is cancel_everything:
            continue
        desk.buyer.call("DELETE", "/orders")
        drain(world.symbol)


def _struck_call(call: Callable[[Desk, str], Any], desk: Desk, key: str, turn: int, blow: Blow) -> int | None:
    """The status of the answer; None where whoever was asked died."""
    answer = struck(lambda: call(desk, key), turn, blow)
    return None if blow is KILL else answer.status_code
