"""What clients poll, with each cache on and off: requests a second, and what each request costs MySQL.

Through gunicorn with nothing else at work. The statements are those that MySQL itself counted meanwhile.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from django.db import connection as database

from orders.models import Order
from tools.bench.exchange import Exchange
from tools.bench.flow import ladder
from tools.bench.load import Connection, Request, access_token, get, press
from tools.bench.report import Row
from tools.bench.stage import Stage

CLIENTS = 8
RESTING = 2000
NEVER_ISSUED = 10**15
OK, ROUNDS = 200, 2
OFF = {"BALANCE_CACHE": "off", "DEPTH_CACHE_LEVELS": "0", "ID_FILTER": "off"}
FILTERED = "shared filter of ids"
WAYS = {
    "caches off": OFF,
    "caches on": {"BALANCE_CACHE": "on", "DEPTH_CACHE_LEVELS": "100", "ID_FILTER": "highest"},
    FILTERED: {**OFF, "ID_FILTER": "shared"},
}
# Run in a process with the exchange's settings, as the worker's warming does it: the first question opens the caches.
FILL = "from orders.ids import order_ids; print(order_ids.may_exist(1) and order_ids.fill())"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Read:
    """One kind of request, the same from each client."""

    name: str
    path: str
    status: int = OK


@dataclass(frozen=True)
class Pressed:
    """Requests a second, and statements a request."""

    rate: float
    statements: float


def measure_reads(
    environment: Mapping[str, str], folder: Path, stage: Stage, seconds: float, progress: Progress
) -> list[Row]:
    """A row for each kind of request and each way to answer it; the ways in turns, because the machine changes."""
    stage.rest(ladder(RESTING))
    user_id = stage.users[0]
    token = access_token(user_id)
    with ExitStack() as running:
        ways = {
            name: running.enter_context(Exchange({**environment, **settings}, _made(folder / name.replace(" ", "-"))))
            for name, settings in WAYS.items()
        }
        assert ways[FILTERED].evaluate(FILL) == "True", "the filter was not filled"
        rows = []
        for read in _reads(stage, user_id):
            progress(f"GET {read.name}")
            best: dict[str, Pressed] = {}
            for name in [name for name in WAYS if name != FILTERED or read.status != OK] * ROUNDS:
                pressed = _press(ways[name].port, read, token, seconds)
                best[name] = max(pressed, best.get(name, pressed), key=lambda each: each.rate)
            for name, pressed in best.items():
                detail = f"{pressed.statements:.2f} MySQL statements a request"
                rows.append(Row(f"GET {read.name}, {name}", pressed.rate, "requests/s", detail=detail))
        return rows


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _reads(stage: Stage, user_id: int) -> list[Read]:
    order_id = Order.objects.filter(user_id=user_id, market_id=stage.symbol).values_list("id", flat=True)[0]
    return [
        Read("balance", f"/api/v1/balances/{user_id}/USD"),
        Read("balances", f"/api/v1/balances/{user_id}"),
        Read("order", f"/api/v1/orders/{order_id}"),
        Read("depth", f"/api/v1/orderbook/{stage.symbol}?limit=20"),
        Read("unknown order", f"/api/v1/orders/{NEVER_ISSUED}", 404),
    ]


def _press(port: int, read: Read, token: str, seconds: float) -> Pressed:
    """After a moment in which connections are opened and what is cached is read for the first time."""
    request = get(read.path, token)
    asyncio.run(_press_for(port, read, request, seconds / 4))
    before = statements()
    began = time.monotonic()
    requests = asyncio.run(_press_for(port, read, request, seconds))
    took = time.monotonic() - began
    # Reading the counter is a statement too.
    return Pressed(requests / took, (statements() - before - 1) / requests)


async def _press_for(port: int, read: Read, request: Request, seconds: float) -> int:
    """How many requests were answered in this time."""
    connections = [Connection(port, read.status) for _ in range(CLIENTS)]
    until = time.monotonic() + seconds
    try:
        answered = await asyncio.gather(*(press(each, itertools.repeat(request), until) for each in connections))
    finally:
        for each in connections:
            each.close()
    return sum(map(len, answered))


def statements() -> int:
    """How many statements the server has executed since it began."""
    with database.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
        return int(cursor.fetchone()[1])
