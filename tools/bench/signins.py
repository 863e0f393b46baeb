"""What an order waits for while somebody signs in twenty times a second from one address.

The sign-ins bring the right password, because wrong ones are soon not looked at any more. Turns with and without them
alternate, because the machine changes.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import orjson

from tools.bench.exchange import Exchange
from tools.bench.flow import MIDDLE, Place
from tools.bench.intake import order_body
from tools.bench.load import ORDERS, Pool, access_token, post
from tools.bench.report import Row
from tools.bench.stage import Stage
from tools.rig.process import HOST
from users.services import register

SIGN_INS, PLACED = 20, 40
TURNS = 3
MOST_MS = 50
# Passwords are hashed at a low priority, which a busy machine makes long.
PATIENCE_SECONDS = 90.0
USERNAME, PASSWORD = "signer", "correct horse"
# As shipped, and no limit for orders.
LIMITS = {"SIGN_IN_LIMIT": "5/s", "LOCKOUT_FAILURES": "5,20,20"}

Progress = Callable[[str], None]


@dataclass
class _Turn:
    """The milliseconds of each order, and how many sign-ins had which status."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def slowest(self) -> float:
        """The 99th percentile."""
        return quantiles(self.milliseconds, n=100)[98]


def measure_sign_ins(
    environment: Mapping[str, str], folder: Path, stage: Stage, seconds: float, progress: Progress
) -> list[Row]:
    register(username=USERNAME, email=f"{USERNAME}@example.com", password=PASSWORD)
    quiet, busy = _Turn(), _Turn()
    with Exchange({**environment, **LIMITS}, folder) as exchange:
        exchange.start_matching()
        # Connections are opened, and what is cached is read for the first time.
        asyncio.run(_trade(exchange.port, stage, seconds / 4, _Turn(), 0))
        for turn in range(TURNS):
            progress(f"orders beside sign-ins, turn {turn + 1}")
            asyncio.run(_trade(exchange.port, stage, seconds, quiet, 0))
            asyncio.run(_trade(exchange.port, stage, seconds, busy, SIGN_INS))
    answered = ", ".join(f"{number} x {status}" for status, number in sorted(busy.statuses.items()))
    detail = f"{quiet.slowest:.1f} ms without, {busy.slowest:.1f} ms with; sign-ins: {answered}"
    name = f"POST /orders, p99 beside {SIGN_INS} sign-ins a second, above that without"
    return [Row(name, busy.slowest - quiet.slowest, "ms", MOST_MS, at_most=True, detail=detail)]


async def _trade(port: int, stage: Stage, seconds: float, turn: _Turn, sign_ins: int) -> None:
    """One user's orders at a steady rate, whether or not those before were answered."""
    token, pool = access_token(stage.users[0]), Pool(port)

    async def place() -> None:
        order = order_body(stage.symbol, Place(0, 0, "BUY", MIDDLE, 10), timeInForce="IOC")
        request = post(ORDERS, token, orjson.dumps({**order, "clientOrderId": uuid.uuid4().hex}))
        began = time.perf_counter()
        await pool.place(request)
        turn.milliseconds.append((time.perf_counter() - began) * 1000)

    async def sign_in() -> None:
        turn.statuses[await _sign_in(port)] += 1

    async with asyncio.timeout(seconds + PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(_steadily(tasks, place, PLACED, seconds))
        tasks.create_task(_steadily(tasks, sign_in, sign_ins, seconds))
    pool.close()


async def _steadily(
    tasks: asyncio.TaskGroup, act: Callable[[], Coroutine[None, None, None]], rate: int, seconds: float
) -> None:
    began = time.monotonic()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(began + number / rate - time.monotonic(), 0))
        tasks.create_task(act())


async def _sign_in(port: int) -> int:
    """The status of a sign-in over a connection of its own."""
    body = orjson.dumps({"username": USERNAME, "password": PASSWORD})
    request = post("/api/v1/auth/token", "", body).sent.replace(b"Authorization: Bearer \r\n", b"")
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
