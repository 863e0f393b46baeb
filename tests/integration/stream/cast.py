"""Who acts in the tests of the streams, the server that they talk to, and how they connect."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import uvicorn
from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from base.streams.application import StreamApplication
from base.streams.hub import Hub
from exchange.asgi import ORDER_STATUS_PATH
from markets.models import Asset, Market
from orders.feed import OrderEventLog, open_order_feed, publish_updates
from orders.models import Order, OrderEvent
from orders.representation import from_rows
from tests.integration.stream.client import StreamClient
from tools.rig.exchange import PUNCTUAL
from tools.rig.servers import free_port


class Cast:
    """Alice and Bob have orders in two markets. `tell` commits an event; whether it is published is up to the test."""

    def __init__(self) -> None:
        for code in ("BTC", "ETH", "USD"):
            Asset.objects.create(code=code)
        for symbol in ("BTC-USD", "ETH-USD"):
            Market.objects.create(
                symbol=symbol,
                base_id=symbol[:3],
                quote_id="USD",
                tick_size=Decimal("0.01"),
                lot_size=Decimal("0.0001"),
                min_quantity=Decimal("0.0001"),
            )
        self.alice = self._user("alice")
        self.bob = self._user("bob")
        self._sequences = {"BTC-USD": itertools.count(1), "ETH-USD": itertools.count(1)}
        self._orders: dict[tuple[int, str], Order] = {}

    def tell(self, user: Any, symbol: str = "BTC-USD", *, published: bool = True, **fields: Any) -> OrderEvent:
        return self.tell_many(user, 1, symbol, published=published, **fields)[0]

    def tell_many(
        self, user: Any, count: int, symbol: str = "BTC-USD", *, published: bool = True, **fields: Any
    ) -> list[OrderEvent]:
        order = self.order(user, symbol)
        defaults = {
            "status": "OPEN",
            "active": True,
            "filled_quantity": Decimal(0),
            "filled_notional": Decimal(0),
            "created_at": timezone.now(),
        }
        sequences = [next(self._sequences[symbol]) for _ in range(count)]
        OrderEvent.objects.bulk_create(
            OrderEvent(market_id=symbol, sequence=sequence, order=order, user_id=user.pk, **{**defaults, **fields})
            for sequence in sequences
        )
        # As the database has them: MySQL tells no ids of rows inserted in bulk.
        stored = OrderEvent.objects.filter(market_id=symbol, sequence__range=(sequences[0], sequences[-1]))
        events = list(stored.order_by("sequence"))
        if published:
            publish_updates(from_rows(events, {}))
        return events

    def order(self, user: Any, symbol: str = "BTC-USD") -> Order:
        if (user.pk, symbol) not in self._orders:
            now = timezone.now()
            self._orders[user.pk, symbol] = Order.objects.create(
                user=user,
                market_id=symbol,
                side="BUY",
                type="LIMIT",
                time_in_force="GTC",
                self_trade_prevention="NONE",
                price=Decimal(100),
                quantity=Decimal(2),
                correlation_id="test",
                created_at=now,
                updated_at=now,
            )
        return self._orders[user.pk, symbol]

    def _user(self, name: str) -> Any:
        user = get_user_model()(username=name, email=f"{name}@example.com")
        user.set_unusable_password()
        user.save()
        return user


@contextmanager
def serving(app: Any) -> Iterator[int]:
    port = free_port()
    _, protocol = PUNCTUAL
    config = uvicorn.Config(
        *(app, "127.0.0.1", port),
        http=protocol,
        log_level="warning",
        timeout_graceful_shutdown=1,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield port
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def another_application() -> StreamApplication:
    """With a hub of its own: one that serves in two event loops hears everything twice."""
    return StreamApplication(Hub(OrderEventLog()), open_order_feed)


def connect(port: int, user: Any = None, path: str = ORDER_STATUS_PATH, **headers: str) -> StreamClient:
    if user is not None:
        headers["Authorization"] = f"Bearer {AccessToken.for_user(user)}"
    return StreamClient(port, path, **headers)


def opened(port: int, user: Any, **headers: str) -> StreamClient:
    """A stream that has said `connected`."""
    client = connect(port, user, **headers)
    told = client.next()
    assert told is not None
    assert told.type == "connected"
    return client


def until_true(condition: Any, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not (is_true := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(is_true)
