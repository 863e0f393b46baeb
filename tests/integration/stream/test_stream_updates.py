"""What a stream tells, and to whom."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.utils import timezone

from exchange.asgi import ORDER_STATUS_PATH
from markets.models import Trade
from orders.feed import publish_updates
from orders.representation import from_rows
from tests.integration.stream.cast import Cast, connect, opened
from tests.integration.stream.client import Told

pytestmark = pytest.mark.django_db(transaction=True)


def test_connected_comes_first(cast: Cast, port: int) -> None:
    with connect(port, cast.alice) as client:
        told = client.next()

    assert client.status == 200
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.headers["cache-control"] == "no-store"
    assert client.headers["x-content-type-options"] == "nosniff"
    assert client.headers["x-accel-buffering"] == "no"
    assert told is not None
    assert (told.type, told.data, told.id) == ("connected", {"userId": cast.alice.pk}, "0")
    assert told.lines[0].startswith("retry: ")


def test_an_event_is_the_full_state_of_the_order(cast: Cast, port: int) -> None:
    order = cast.order(cast.alice)
    with opened(port, cast.alice) as client:
        trade = Trade.objects.create(
            market_id="BTC-USD",
            sequence=1,
            buy_order_id=order.pk,
            sell_order_id=0,
            buyer_id=order.user_id,
            seller_id=0,
            taker_side="SELL",
            price=Decimal(100),
            quantity=Decimal("0.5"),
            notional=Decimal(50),
            buyer_fee=Decimal("0.0005"),
            seller_fee=Decimal(1),
            created_at=timezone.now(),
        )
        event = cast.tell(
            cast.alice,
            published=False,
            status="PARTIALLY_FILLED",
            filled_quantity=Decimal("0.5"),
            filled_notional=Decimal(50),
            trade_sequence=1,
        )
        publish_updates(from_rows([event], {("BTC-USD", 1): trade}))
        heard = client.next()
    with connect(port, cast.alice, Last_Event_ID="BTC-USD-0") as client:
        assert [told.type for told in client.take(2)] == ["connected", "stream-reset"]
    second = cast.tell(cast.alice, published=False)
    with opened(port, cast.alice, Last_Event_ID=event.event_id) as client:
        replayed = client.next()

    assert heard is not None
    assert replayed is not None
    assert (heard.type, heard.id) == ("order-status-update", "BTC-USD-1")
    assert heard.data["status"] == "PARTIALLY_FILLED"
    assert heard.data["filledQuantity"] == "0.5"
    assert heard.data["remainingQuantity"] == "1.5"
    assert heard.data["averagePrice"] == "100"
    assert heard.data["eventId"] == "BTC-USD-1"
    assert heard.data["sequence"] == 1
    assert heard.data["lastTrade"] == {
        "tradeId": "BTC-USD-1",
        "price": "100",
        "quantity": "0.5",
        "role": "MAKER",
        "fee": "0.0005",
        "feeCurrency": "BTC",
    }
    assert replayed.id == second.event_id
    assert set(heard.data) - set(replayed.data) == {"lastTrade"}


def test_replayed_is_what_was_heard(cast: Cast, port: int) -> None:
    first = cast.tell(cast.alice)
    order = cast.order(cast.alice)
    trade = Trade.objects.create(
        market_id="BTC-USD", sequence=2, buy_order_id=order.pk, sell_order_id=0, buyer_id=order.user_id, seller_id=0,
        taker_side="BUY", price=Decimal(99), quantity=Decimal(1), notional=Decimal(99), created_at=timezone.now(),
    )  # fmt: skip
    with opened(port, cast.alice) as client:
        event = cast.tell(cast.alice, published=False, filled_quantity=1, filled_notional=99, trade_sequence=2)
        publish_updates(from_rows([event], {("BTC-USD", 2): trade}))
        heard = client.next()
    with opened(port, cast.alice, Last_Event_ID=first.event_id) as client:
        replayed = client.next()

    assert heard is not None
    assert replayed is not None
    assert heard.data["lastTrade"]["role"] == "TAKER"
    assert heard.data == replayed.data


def test_users_see_only_their_own(cast: Cast, port: int) -> None:
    with opened(port, cast.alice) as alice, opened(port, cast.bob) as bob:
        for _ in range(5):
            cast.tell(cast.alice)
            cast.tell(cast.bob)

        assert alice.ids(5) == ["BTC-USD-1", "BTC-USD-3", "BTC-USD-5", "BTC-USD-7", "BTC-USD-9"]
        assert bob.ids(5) == ["BTC-USD-2", "BTC-USD-4", "BTC-USD-6", "BTC-USD-8", "BTC-USD-10"]
        assert alice.next(2.5) is None
        assert bob.next(0) is None


def test_a_channel_cannot_be_named(cast: Cast, port: int) -> None:
    with connect(port, cast.alice, f"{ORDER_STATUS_PATH}?channel=orders-{cast.bob.pk}") as client:
        assert (client.status, client.body()["error"]) == (400, "PARAMETER_UNKNOWN")
    with connect(port, cast.alice, f"{ORDER_STATUS_PATH}?lastEventId=orders-{cast.bob.pk}:1") as client:
        assert [told.type for told in client.take(2)] == ["connected", "stream-reset"]
        cast.tell(cast.bob)
        mine = cast.tell(cast.alice)
        assert client.ids(1) == [mine.event_id]


def test_a_burst_arrives_whole(cast: Cast, port: int) -> None:
    with opened(port, cast.alice) as client:
        events = cast.tell_many(cast.alice, 500)

        assert client.ids(500) == [event.event_id for event in events]


def test_more_than_a_queue_holds_arrives_or_is_a_reset(cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_eventstream.views.MAX_PENDING", 20)
    with opened(port, cast.alice) as client, ThreadPoolExecutor() as pool:
        sent = pool.submit(cast.tell_many, cast.alice, 5000)
        told = []
        while (not told or "BTC-USD-5000" not in _ids(told[-1])) and (event := client.next()):
            told.append(event)
        sent.result()

    assert "BTC-USD-5000" in _ids(told[-1])
    if not any(event.type == "stream-reset" for event in told):
        numbers = [event.data["sequence"] for event in told]
        assert sorted(numbers) == list(range(1, 5001))


def _ids(told: Told) -> tuple[str | None, str | None]:
    """The event's own id, and its bookmark: a reset has a bookmark alone."""
    return told.data.get("eventId"), told.id
