"""How fast orders are taken in: signed in, validated, funds frozen, stored, answered; nobody matches meanwhile."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import orjson
from django.db import connection as database

from base.storage.bulk import batched
from commands.models import Command
from core.money import plain_units
from orders.models import Order
from tools.bench.exchange import Exchange, spent
from tools.bench.flow import Place, ladder
from tools.bench.load import BATCH, ORDERS, Answered, Connection, LoadError, Request, access_token, post, press
from tools.bench.report import Row
from tools.bench.stage import LOT, TICK, Stage

CLIENTS = 8
WARM_UP_SECONDS = 1.0
SECONDS = 4.0
BATCH_SIZE = 100
# So many orders to choose from: they are made into bytes beforehand, and repeated under other keys.
DIFFERENT = 1000
KEY = b"00000000-0000-0000-0000-000000000000"
SINGLES_TO_REACH, BATCHED_TO_REACH = 1000, 18_000

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Taken:
    """Orders a second in the measured seconds, and all that were taken with those of the warm-up."""

    rate: float
    orders: int
    detail: str


def measure_intake(exchange: Exchange, stage: Stage, progress: Progress, seconds: float = SECONDS) -> list[Row]:
    """Single orders, then batches. Raises LoadError if the database does not hold what was answered."""
    assert not exchange.is_matching, "the worker takes commands away, and the time of the cores"
    before = _stored(stage)
    progress("intake of single orders")
    alone = _measure(exchange, [singles(stage, user_id) for user_id in stage.users[:CLIENTS]], seconds)
    progress("intake of batches")
    together = _measure(exchange, [batches(stage, user_id) for user_id in stage.users[:CLIENTS]], seconds)
    answered = alone.orders + together.orders
    stored = [now - then for now, then in zip(_stored(stage), before, strict=True)]
    if stored != [answered, answered]:
        raise LoadError(f"{answered} orders were answered 202, but orders and commands stored: {stored}")
    of_batches = f"intake, {BATCH_SIZE} orders a request"
    return [
        Row("intake, one order a request", alone.rate, "orders/s", SINGLES_TO_REACH, detail=alone.detail),
        Row(of_batches, together.rate, "orders/s", BATCHED_TO_REACH, detail=together.detail),
    ]


def order_body(symbol: str, place: Place, **more: str) -> dict[str, str]:
    """An order of the flow as its user would send it."""
    price, quantity = plain_units(TICK * place.price), plain_units(LOT * place.quantity)
    return {"symbol": symbol, "side": place.side, "type": "LIMIT", "price": price, "quantity": quantity, **more}


def batch_body(orders: Sequence[dict[str, str]]) -> bytes:
    return orjson.dumps({"orders": orders})


def _measure(exchange: Exchange, clients: Sequence[Iterator[Request]], seconds: float) -> _Taken:
    before = exchange.cpu()
    until = time.monotonic() + WARM_UP_SECONDS + seconds
    answered = asyncio.run(_press(exchange.port, clients, until))
    orders = sum(answer.orders for answer in answered)
    cpu = spent(before, exchange.cpu())
    rate = sum(answer.orders for answer in answered if until - seconds < answer.at <= until) / seconds
    return _Taken(rate, orders, f"{len(clients)} connections; with the warm-up {orders:,} orders, {cpu}")


async def _press(port: int, clients: Sequence[Iterator[Request]], until: float) -> list[Answered]:
    """Each client presses until the instant is reached, so that all of them do in the seconds before it."""
    connections = [Connection(port) for _ in clients]
    try:
        async with asyncio.timeout(60):
            answered = await asyncio.gather(*map(press, connections, clients, itertools.repeat(until)))
    finally:
        for each in connections:
            each.close()
    return list(itertools.chain.from_iterable(answered))


def singles(stage: Stage, user_id: int) -> Iterator[Request]:
    """A user's requests with one order each, without an end."""
    token = access_token(user_id)
    bodies = [orjson.dumps(order) for order in _different(stage, user_id)]
    requests = [post(ORDERS, token, body) for body in bodies]
    return _under_new_keys(requests)


def batches(stage: Stage, user_id: int) -> Iterator[Request]:
    """A user's requests with a hundred orders each, without an end."""
    token = access_token(user_id)
    orders = _different(stage, user_id)
    requests = [post(BATCH, token, batch_body(chunk), len(chunk)) for chunk in batched(orders, BATCH_SIZE)]
    return _under_new_keys(requests)


def _different(stage: Stage, user_id: int) -> list[dict[str, str]]:
    return [order_body(stage.symbol, place, clientOrderId=KEY.decode()) for place in ladder(DIFFERENT, seed=user_id)]


def _under_new_keys(requests: Sequence[Request]) -> Iterator[Request]:
    """The requests again and again, each order under a key of its own, as long as the one it replaces."""
    parts = [(request.sent.split(KEY), request.orders) for request in requests]
    prefix, numbers = uuid.uuid4().hex[:20], itertools.count()
    for pieces, orders in itertools.cycle(parts):
        keys = [f"{prefix}{next(numbers):016d}".encode() for _ in range(orders)]
        yield Request(b"".join(itertools.chain.from_iterable(zip(pieces, [*keys, b""], strict=True))), orders)


def _stored(stage: Stage) -> list[int]:
    # What this connection saw last may be an old snapshot.
    database.close()
    return [rows.objects.filter(market=stage.market).count() for rows in (Order, Command)]
