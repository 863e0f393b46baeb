"""The hostile clients. Each does one thing as hard as it can from one address, or from as many as it has accounts."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tools.rig.events import ORDER_STATUS
from tools.rig.process import HOST
from tools.siege.wire import REFUSED_SECONDS, Line, Target, flood, request

SLOW_LINES, TRICKLE_SECONDS = 400, 1.0
FLOOD_LINES = 32
STREAMS, SOCKETS = 400, 200
BATCH = 100
DUST_BATCHES_EACH = 5
ORDER = {"side": "BUY", "type": "LIMIT", "price": "0.01", "quantity": "0.0001"}
HEAD = b"POST /api/v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Attacker:
    """`accounts` with `funds` are made for it beforehand, and each has an address of its own."""

    name: str
    what: str
    attack: Callable[[Target], Awaitable[None]]
    accounts: int = 0
    funds: str = "0"


async def _slow(target: Target) -> None:
    """Half of them stop in the head, half in the body; all send a byte a second."""
    halves = (HEAD[:40], HEAD + b'Content-Length: 60000\r\n\r\n{"symbol": ')

    async def one(number: int) -> None:
        while not target.is_over:
            try:
                async with Line(target, target.addresses[0]) as line:
                    line.writer.write(halves[number % 2])
                    while not target.is_over and not line.reader.at_eof():
                        await asyncio.sleep(TRICKLE_SECONDS)
                        line.writer.write(b"x")
                        await line.writer.drain()
                target.tally["let go"] += 1
            except (OSError, TimeoutError) as error:
                target.tally[type(error).__name__] += 1
                await asyncio.sleep(REFUSED_SECONDS)

    await asyncio.gather(*map(one, range(SLOW_LINES)))


async def _sign_ins(target: Target) -> None:
    """Wrong passwords of names that exist and that do not, and new accounts, with somebody's token and without."""

    def make(number: int) -> bytes:
        token = target.tokens[0] if number % 2 else ""
        if number % 3 == 0:
            name = f"siege-{target.seed}-{number}-{id(target) % 10_000}"
            body = {"username": name, "email": f"{name}@example.com", "password": "correct horse"}
            return request("POST", "/users", body, token=token)
        name = "staff" if number % 3 == 1 else f"nobody-{number}"
        return request("POST", "/auth/token", {"username": name, "password": f"guess {number}"}, token=token)

    await flood(target, make, FLOOD_LINES)


async def _dust(target: Target) -> None:
    """Every account up to whatever stops it, then all of them take everything back in the same moment."""
    batch = {"orders": [{**ORDER, "symbol": target.symbol}] * BATCH}

    async def fill(address: str, token: str) -> None:
        refused = 0
        while not target.is_over and refused < 3:
            async with Line(target, address) as line:
                while not target.is_over and refused < 3 and not line.writer.is_closing():
                    status = await line.ask(request("POST", "/orders/batch", batch, token=token))
                    target.tally[f"batch {status}"] += 1
                    refused += status != 202
                    await asyncio.sleep(0.1)

    async def cancel(address: str, token: str) -> None:
        async with Line(target, address) as line:
            status = await line.ask(request("DELETE", f"/orders?symbol={target.symbol}", token=token))
            target.tally[f"cancel-all {status}"] += 1

    owners = list(zip(cycle(target.addresses), target.tokens, strict=False))
    target.seconds /= 2
    await asyncio.gather(*(fill(*owner) for owner in owners), return_exceptions=True)
    await asyncio.gather(*(cancel(*owner) for owner in owners), return_exceptions=True)


async def _streams(target: Target) -> None:
    """Streams of the market and of its own accounts, from which nothing is ever read."""
    paths = (f"/stream/market/{target.symbol}", ORDER_STATUS.removeprefix("/api/v1"))

    async def one(number: int, address: str) -> None:
        token = target.tokens[number % len(target.tokens)]
        while not target.is_over:
            try:
                async with Line(target, address) as line:
                    line.writer.write(request("GET", paths[number % 2], token=token))
                    status = (await asyncio.wait_for(line.reader.readline(), 10)).split()[1].decode()
                    target.tally[status] += 1
                    while status == "200" and not target.is_over and not line.writer.is_closing():
                        await asyncio.sleep(TRICKLE_SECONDS)
            except (OSError, TimeoutError, IndexError) as error:
                target.tally[type(error).__name__] += 1
            await asyncio.sleep(REFUSED_SECONDS)

    await asyncio.gather(*(one(number, target.addresses[0]) for number in range(STREAMS)))


async def _json(target: Target) -> None:
    """Bodies that are deep, long, or made to be slow to read."""
    deep = b"[" * 30_000
    objects = b'{"a":' * 10_000
    names = json.dumps({f"n{number}": number for number in range(4000)}).encode()
    texts = b'{"symbol": "' + b"\\u0041" * 10_000 + b'"}'
    bodies = (deep, objects, names, texts, b'{"quantity": ' + b"9" * 60_000 + b"}", b"x" * 900_000)
    await flood(
        target,
        lambda number: request("POST", "/orders", bodies[number % len(bodies)], token=target.tokens[number % 4]),
        FLOOD_LINES,
    )


async def _reads(target: Target) -> None:
    """What anybody may read and what costs most: all tickers, whole books, long lists."""
    paths = (
        *("/ticker", f"/orderbook/{target.symbol}?limit=500", f"/trades/{target.symbol}?limit=500"),
        f"/klines/{target.symbol}?interval=1m&limit=500",
    )
    await flood(target, lambda number: request("GET", paths[number % len(paths)]), FLOOD_LINES)


async def _schema(target: Target) -> None:
    """Pages that no limit of the exchange counts."""
    paths = ("!/api/schema", "!/swagger-ui.html", "!/admin/login/", "!/nothing", "!/api/schema?format=yaml")
    await flood(target, lambda number: request("GET", paths[number % len(paths)]), FLOOD_LINES)


async def _sockets(target: Target) -> None:
    """Connections, subscriptions to everything, frames that are no JSON."""
    channels = [f"{kind}:{target.symbol}" for kind in ("depth", "trades", "ticker")]
    subscribe = json.dumps({"id": 2, "op": "subscribe", "channels": channels})
    await _chatter(target, "/api/v1/ws", ("{", "[]", '{"id": 1}', subscribe, '{"op": "ping"}'))


async def _churn(target: Target) -> None:
    """Streams as Binance's clients name them, followed and left again, of this market and of none."""
    name = target.symbol.replace("-", "").lower()
    streams = [
        f"{name}@{kind}" for kind in ("depth", "depth20", "trade", "ticker", "kline_1m", "kline_1h", "bookTicker")
    ]
    wanted = (
        ("SUBSCRIBE", streams),
        ("UNSUBSCRIBE", streams),
        ("SUBSCRIBE", ["nope@trade"]),
        ("SUBSCRIBE", ["a" * 64]),
    )
    frames = [json.dumps({"id": 1, "method": method, "params": params}) for method, params in wanted]
    await asyncio.gather(_chatter(target, "/ws", frames), _chatter(target, f"/stream?streams={streams[0]}", frames))


async def _chatter(target: Target, path: str, frames: Sequence[str]) -> None:
    """Connections to a WebSocket, on which one frame after the other is sent."""

    async def one(number: int, address: str) -> None:
        dice = Random(f"{target.seed} {number}")
        while not target.is_over:
            try:
                async with connect(
                    f"ws://{HOST}:{target.port}{path}", local_addr=(address, 0), proxy=None, open_timeout=10
                ) as socket:
                    target.tally["open"] += 1
                    await talk(socket, dice)
            except (OSError, TimeoutError, WebSocketException) as error:
                target.tally[type(error).__name__] += 1
            await asyncio.sleep(REFUSED_SECONDS)

    async def talk(socket: ClientConnection, dice: Random) -> None:
        while not target.is_over:
            await socket.send(dice.choice(frames))
            async with asyncio.timeout(10):
                await socket.recv()

    await asyncio.gather(*(one(number, target.addresses[0]) for number in range(SOCKETS)))


async def _batches(target: Target) -> None:
    """Batches of nothing, and of a hundred orders of which each is wrong."""
    wrong = {"orders": [{"symbol": "NO-SUCH", "side": "HOLD", "quantity": "-1"}] * BATCH}
    bodies: tuple[dict[str, Any], ...] = ({"orders": []}, wrong)
    await flood(
        target,
        lambda number: request(
            "POST", "/orders/batch", bodies[number % 2], token=target.tokens[number % len(target.tokens)]
        ),
        FLOOD_LINES,
    )


async def _market_buys(target: Target) -> None:
    """MARKET BUYs by quantity of accounts that own nothing, by themselves and in batches."""
    order = {"symbol": target.symbol, "side": "BUY", "type": "MARKET", "quantity": "1"}
    batch = {"orders": [order] * BATCH}

    def make(number: int) -> bytes:
        token = target.tokens[number % len(target.tokens)]
        return (
            request("POST", "/orders/batch", batch, token=token)
            if number % 2
            else request("POST", "/orders", order, token=token)
        )

    await flood(target, make, FLOOD_LINES)


async def _exports(target: Target) -> None:
    """Lists as CSV, half of them never read."""
    paths = ("/orders?format=csv", "/fills?format=csv")

    async def unread(number: int) -> None:
        async with AsyncExitStack() as stack:
            while not target.is_over:
                try:
                    line = await stack.enter_async_context(
                        Line(target, target.addresses[number % len(target.addresses)])
                    )
                    line.writer.write(request("GET", paths[0], token=target.tokens[number % len(target.tokens)]))
                    target.tally["unread"] += 1
                except (OSError, TimeoutError) as error:
                    target.tally[type(error).__name__] += 1
                await asyncio.sleep(TRICKLE_SECONDS)

    read = flood(
        target,
        lambda number: request("GET", paths[number % 2], token=target.tokens[number % len(target.tokens)]),
        FLOOD_LINES // 2,
    )
    await asyncio.gather(read, *map(unread, range(len(target.tokens))))


ATTACKERS = (
    Attacker("slow-bodies", f"{SLOW_LINES} half-sent heads and bodies, a byte a second", _slow),
    Attacker("sign-ins", "wrong sign-ins and registrations", _sign_ins, accounts=1),
    Attacker(
        "dust", "50 accounts place dust up to every cap, then cancel all at once", _dust, accounts=50, funds="1000"
    ),
    Attacker("streams", f"{STREAMS} streams of one address, never read", _streams, accounts=30),
    Attacker("json", "deep, long and large bodies", _json, accounts=4),
    Attacker("reads", "tickers, whole books, trades, candles", _reads),
    Attacker("schema", "the schema, the documentation, the admin's sign-in page", _schema),
    Attacker("sockets", f"{SOCKETS} WebSockets, subscriptions, malformed frames", _sockets),
    Attacker("churn", f"{2 * SOCKETS} WebSockets of Binance's, streams followed and left", _churn),
    Attacker("batches", "batches of nothing and of errors", _batches, accounts=4),
    Attacker("market-buys", "MARKET BUYs of accounts that own nothing", _market_buys, accounts=10),
    Attacker("exports", "CSV exports, half of them never read", _exports, accounts=5, funds="1000"),
)
