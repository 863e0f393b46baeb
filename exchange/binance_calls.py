"""REST of the Binance-compatible API as its WebSockets call it."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from base.servers.asgi import Message
from base.streams.socket import Socket
from base.web.authentication import SIGNED_IN, Caller
from binance_api.streams.calls import Answer
from exchange.socket_calls import SocketUsers
from orders.waiting import Place, WaitingRequests


class BinanceRest:
    """An order is placed in a thread; what becomes of it is waited for without one, as over HTTP."""

    def __init__(self, users: SocketUsers, waiting: WaitingRequests) -> None:
        self._users = users
        self._waiting = waiting

    async def ask(
        self, caller: Caller | None, socket: Socket, verb: str, path: str, query: Mapping[str, str]
    ) -> Answer:
        place, began_at = Place(), asyncio.get_running_loop().time()
        text = urlencode(query)
        scope = {"path": path, "query_string": text.encode(), **place.scope()}
        more: dict[str, Any] = {"QUERY_STRING": text, "asgi.scope": scope}
        if caller is not None:
            more[SIGNED_IN] = caller, None
        answer = await self._users.in_thread(partial(self._users.request, socket, verb, path, b"", more))
        shown = await self._waiting.outcome(place, began_at, _never)
        return Answer(answer.status, answer.body) if shown is None else Answer(shown.status, shown.body)


async def _never() -> Message:
    """Whether the client is gone is not asked meanwhile: the next message of the socket may be its next request."""
    gone: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await gone
