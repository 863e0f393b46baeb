"""From the order that is sent to the event with its outcome: through every process of the exchange."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from statistics import quantiles

import orjson
from django.db import connection as database

from base.storage.bulk import batched
from commands.models import Command
from orders.models import OrderEvent
from tools.bench.exchange import Exchange, spent
from tools.bench.flow import MIDDLE, Place, flow
from tools.bench.intake import BATCH_SIZE, Progress, batch_body, order_body
from tools.bench.load import (
    BATCH,
    ORDERS,
    Connection,
    Event,
    EventStream,
    LoadError,
    Pool,
    Request,
    access_token,
    post,
    press,
)
from tools.bench.report import Row
from tools.bench.stage import Stage

RATE = 100
WARM_UP, MEASURED = 100, 600
TAKERS = 10
# Each resting order serves two takers, and each taker meets one resting order: its fill is its only event.
LOTS_RESTING, LOTS_TAKEN = 20, 10
MEDIAN_MS, SLOWEST_MS = 8, 25
CLIENTS = 8
SATURATED_ORDERS = 20_000
SATURATED_TO_REACH = 6000
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.1


def measure_latency(exchange: Exchange, stage: Stage, progress: Progress) -> list[Row]:
    """Takers at a steady rate meet resting orders: how long until each receives its fill. Raises LoadError."""
    exchange.start_matching()
    progress(f"end to end at {RATE} orders/s")
    taking = _Taking(exchange, stage)
    asyncio.run(taking.run())
    times = taking.milliseconds()
    cuts = quantiles(times, n=100)
    how = f"sent at most {taking.latest * 1000:.0f} ms late; slowest {times[-1]:.0f} ms"
    name = f"order sent to FILLED received, {RATE} orders/s"
    return [
        Row(f"{name}, median", cuts[49], "ms", MEDIAN_MS, at_most=True, detail=how),
        Row(f"{name}, 99th percentile", cuts[98], "ms", SLOWEST_MS, at_most=True, detail=taking.cpu),
    ]


def measure_saturated(exchange: Exchange, stage: Stage, progress: Progress) -> list[Row]:
    """Batches as fast as they are accepted, until every owner has received every event. Raises LoadError."""
    exchange.start_matching()
    progress(f"end to end, {SATURATED_ORDERS:,} orders as fast as they are accepted")
    pressing = _Pressing(exchange, stage)
    asyncio.run(pressing.run())
    rate = SATURATED_ORDERS / (pressing.ended - pressing.began)
    name = f"{SATURATED_ORDERS:,} orders sent to all events received"
    return [Row(name, rate, "orders/s", SATURATED_TO_REACH, detail=pressing.detail())]


class _Taking:
    """Takers that send on schedule, whether or not the orders before were answered."""

    def __init__(self, exchange: Exchange, stage: Stage) -> None:
        self.exchange, self.stage = exchange, stage
        # Of its market, because the takers may have taken in another one before.
        self.prefix = f"taker-{stage.symbol}-"
        self.maker, self.takers = stage.users[0], stage.users[1 : 1 + TAKERS]
        self.sent: list[float] = []
        self.filled: dict[int, float] = {}
        self.latest = 0.0
        self.cpu = ""

    async def run(self) -> None:
        await self._rest()
        await _until_matched()
        requests = self._requests()
        async with _listening(self.exchange, self.takers, self._receive) as streams:
            before = self.exchange.cpu()
            await self._send(requests)
            await _until(lambda: len(self.filled) == len(requests), streams, "an order was not filled")
            self.cpu = spent(before, self.exchange.cpu())

    def milliseconds(self) -> list[float]:
        """From the shortest to the longest, without the warm-up."""
        measured = range(WARM_UP, WARM_UP + MEASURED)
        return sorted((self.filled[number] - self.sent[number]) * 1000 for number in measured)

    async def _rest(self) -> None:
        """Plenty for the takers, on both sides, before anything is measured."""
        sides = itertools.cycle((("BUY", -1), ("SELL", 1)))
        orders = [
            Place(number, 0, side, MIDDLE + away * (1 + number % 50), LOTS_RESTING)
            for number, (side, away) in zip(range(WARM_UP + MEASURED), sides, strict=False)
        ]
        await _press_and_close(self.exchange, _batches(self.stage, self.maker, orders))

    def _requests(self) -> list[Request]:
        tokens = itertools.cycle([access_token(user_id) for user_id in self.takers])
        sides = itertools.cycle((("BUY", 100), ("SELL", -100)))
        requests = []
        for number, token, (side, over) in zip(range(WARM_UP + MEASURED), tokens, sides, strict=False):
            place = Place(number, 0, side, MIDDLE + over, LOTS_TAKEN)
            body = order_body(self.stage.symbol, place, timeInForce="IOC", clientOrderId=f"{self.prefix}{number}")
            requests.append(post(ORDERS, token, orjson.dumps(body)))
        return requests

    async def _send(self, requests: Sequence[Request]) -> None:
        pool = Pool(self.exchange.port)
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
            for number, request in enumerate(requests):
                due = began + number / RATE
                await asyncio.sleep(max(due - time.monotonic(), 0))
                self.sent.append(time.monotonic())
                self.latest = max(self.latest, self.sent[-1] - due)
                tasks.create_task(pool.place(request))
        pool.close()

    def _receive(self, _user_id: int, event: Event) -> None:
        order = orjson.loads(event.data)
        if order["status"] == "FILLED":
            self.filled.setdefault(int(order["clientOrderId"].removeprefix(self.prefix)), event.at)


class _Pressing:
    """Clients of one connection and one stream each."""

    def __init__(self, exchange: Exchange, stage: Stage) -> None:
        self.exchange, self.stage = exchange, stage
        self.clients = stage.users[:CLIENTS]
        self.received: dict[int, dict[bytes, float]] = {user_id: {} for user_id in self.clients}
        self.began = self.accepted = self.matched = self.ended = 0.0
        self.cpu = ""

    async def run(self) -> None:
        await _until_matched()
        requests = [_batches(self.stage, user_id, orders) for user_id, orders in self._shares().items()]
        async with _listening(self.exchange, self.clients, self._receive) as streams:
            before = self.exchange.cpu()
            self.began = time.monotonic()
            await asyncio.gather(*(_press_and_close(self.exchange, each) for each in requests))
            self.accepted = time.monotonic()
            await _until_matched()
            self.matched = time.monotonic()
            expected = await asyncio.to_thread(_expected, self.stage, self.clients)
            await _until(lambda: self._has_received(expected), streams, "an order event was not received")
            self.cpu = spent(before, self.exchange.cpu())
        self.ended = max(at for events in self.received.values() for at in events.values())

    def detail(self) -> str:
        events = sum(map(len, self.received.values()))
        steps = f"accepted after {self.accepted - self.began:.1f} s, received after {self.ended - self.began:.1f} s"
        return f"{CLIENTS} clients, {events:,} events; {steps}; {self.cpu}"

    def _shares(self) -> dict[int, list[Place]]:
        """The orders of the flow, each client's own."""
        places = (command for command in flow(2 * SATURATED_ORDERS) if isinstance(command, Place))
        clients = itertools.cycle(itertools.chain.from_iterable([client] * BATCH_SIZE for client in self.clients))
        shares: dict[int, list[Place]] = defaultdict(list)
        for client, place in zip(clients, itertools.islice(places, SATURATED_ORDERS), strict=False):
            shares[client].append(place)
        return shares

    def _receive(self, user_id: int, event: Event) -> None:
        self.received[user_id].setdefault(event.id, event.at)

    def _has_received(self, expected: dict[int, set[bytes]]) -> bool:
        return all(expected[user_id] <= self.received[user_id].keys() for user_id in self.clients)


@asynccontextmanager
async def _listening(
    exchange: Exchange, user_ids: Sequence[int], receive: Callable[[int, Event], None]
) -> AsyncIterator[list[EventStream]]:
    """The users' open streams."""
    streams = [EventStream(exchange.stream_port, access_token(each), partial(receive, each)) for each in user_ids]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(stream.open() for stream in streams))
        yield streams
    finally:
        for stream in streams:
            stream.close()


async def _press_and_close(exchange: Exchange, requests: Iterable[Request]) -> None:
    connection = Connection(exchange.port)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await press(connection, requests)
    finally:
        connection.close()


async def _until(is_done: Callable[[], bool], streams: Sequence[EventStream], complaint: str) -> None:
    """Raises LoadError if it takes too long, or a stream has failed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_done():
        failures = [stream.failure for stream in streams if stream.failure is not None]
        if failures:
            raise failures[0]
        if time.monotonic() > deadline:
            raise LoadError(f"{complaint} in {PATIENCE_SECONDS:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)


async def _until_matched() -> None:
    """Wait until no market has a command. Raises LoadError if their number stops falling."""
    least, deadline = float("inf"), 0.0
    while waiting := await asyncio.to_thread(_waiting):
        if waiting < least:
            least, deadline = waiting, time.monotonic() + PATIENCE_SECONDS
        if time.monotonic() > deadline:
            raise LoadError(f"{waiting} commands are not matched")
        await asyncio.sleep(LOOK_SECONDS)


def _waiting() -> int:
    try:
        return Command.objects.count()
    finally:
        database.close()


def _expected(stage: Stage, user_ids: Sequence[int]) -> dict[int, set[bytes]]:
    """The ids of the events that each user must receive, as the database has them."""
    try:
        events = OrderEvent.objects.filter(market=stage.market, user_id__in=user_ids)
        expected: dict[int, set[bytes]] = defaultdict(set)
        for user_id, sequence in events.values_list("user_id", "sequence"):
            expected[user_id].add(f"{stage.symbol}-{sequence}".encode())
        return expected
    finally:
        database.close()


def _batches(stage: Stage, user_id: int, orders: Sequence[Place]) -> list[Request]:
    token = access_token(user_id)
    bodies = [order_body(stage.symbol, place, clientOrderId=f"{stage.symbol}-{place.key}") for place in orders]
    return [post(BATCH, token, batch_body(chunk), len(chunk)) for chunk in batched(bodies, BATCH_SIZE)]
