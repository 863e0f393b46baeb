"""The ASGI entry point: the stream here, everything else by the WSGI application in threads.

Django's own ASGI handler keeps a thread for each open stream and runs a view at a third of the speed.
"""

import os
from functools import partial
from typing import Any

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exchange.settings")
# How many requests of REST are served at the same time. Half of them may wait for a password's check,
# and a quarter may store large batches.
REST_THREADS = 10
os.environ.setdefault("HASH_PLACES", str(REST_THREADS // 2))
os.environ.setdefault("BATCHES_MAX", str(REST_THREADS // 4))
# Sets up Django: what is imported below defines models.
# Typed loosely: its own types describe the same messages in other words.
wsgi: Any = get_wsgi_application()

from base.servers.asgi import Receive, Scope, Send  # noqa: E402
from base.servers.bodies import WholeBodies  # noqa: E402
from base.servers.connections import allow_open_files  # noqa: E402
from base.servers.last_resort import LastResort  # noqa: E402
from base.servers.waiting import BeforeThreads  # noqa: E402
from base.storage.checks import log_servers_away  # noqa: E402
from base.streams import frames as native_frames  # noqa: E402
from base.streams.application import StreamApplication  # noqa: E402
from base.streams.cross_origin import CrossOrigin  # noqa: E402
from base.streams.handshake import SocketApplication, SocketPlaces, refuse_handshake  # noqa: E402
from base.streams.hub import install_hub  # noqa: E402
from base.web.errors import NotFound  # noqa: E402
from binance_api.calls import MAY_WAIT  # noqa: E402
from binance_api.streams.application import BinanceSockets, is_socket_path  # noqa: E402
from exchange.binance_calls import BinanceRest  # noqa: E402
from exchange.socket import PATH as SOCKET_PATH  # noqa: E402
from exchange.socket import OrderSession  # noqa: E402
from exchange.socket_calls import SocketUsers  # noqa: E402
from marketdata.feed import CONFLATOR, market_channel, open_market_feed  # noqa: E402
from orders.feed import PARAMETERS, OrderEventLog, open_order_feed  # noqa: E402
from orders.waiting import WaitingRequests  # noqa: E402

ORDER_STATUS_PATH = "/api/v1/stream/order-status"
MARKET_PATH = "/api/v1/stream/market/"
ORDERS_PATH = "/api/v1/orders"


class ExchangeEventLog(OrderEventLog):
    """An order event that was missed concerns its owner, and all who follow its market."""

    def channels_between(self, log: str, first: int, last: int) -> list[str]:
        return [*super().channels_between(log, first, last), market_channel(log)]


# Its threads are for those whose request is here, and who were not told to wait.
rest = BeforeThreads(WholeBodies(WSGIMiddleware(wsgi, workers=REST_THREADS)))  # type: ignore[arg-type]
waiting = WaitingRequests(rest)
# One hub, and so one subscription to Redis, for all streams of the process.
hub = install_hub(ExchangeEventLog(), CONFLATOR)
places = SocketPlaces()
users = SocketUsers(wsgi)
sockets = SocketApplication(hub, partial(OrderSession, users), places, frames=native_frames)
binance_sockets = BinanceSockets(hub, places, BinanceRest(users, waiting), users)
order_status = CrossOrigin(StreamApplication(hub, open_order_feed, PARAMETERS), is_public=False)


async def _route(scope: Scope, receive: Receive, send: Send) -> None:
    """Route one connection. The same object serves the demo's one port and the stream process of production."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "http" and scope["path"] == ORDER_STATUS_PATH:
        await order_status(scope, receive, send)
    elif scope["type"] == "http" and (symbol := _followed(scope["path"])):
        market = StreamApplication(hub, partial(open_market_feed, symbol))
        await CrossOrigin(market, is_public=True)(scope, receive, send)
    elif scope["type"] in ("http", "websocket") and scope["path"] == SOCKET_PATH:
        await sockets(scope, receive, send)
    elif scope["type"] in ("http", "websocket") and is_socket_path(scope["path"]):
        await binance_sockets(scope, receive, send)
    elif scope["type"] == "http" and _may_wait(scope):
        await waiting(_clean(scope), receive, send)
    elif scope["type"] == "http":
        await rest(_clean(scope), receive, send)
    else:
        await refuse_handshake(scope, receive, send, NotFound("nothing is here"))


def _followed(path: str) -> str | None:
    """The symbol in the path of a market's stream, percent-decoded already; None for any other path."""
    symbol = path.removeprefix(MARKET_PATH)
    return symbol if symbol != path and "/" not in symbol else None


def _may_wait(scope: Scope) -> bool:
    asks = scope["method"] == "POST" and scope["path"] == ORDERS_PATH and b"wait=" in scope["query_string"]
    return asks or (scope["method"], scope["path"]) in MAY_WAIT


def _clean(scope: Scope) -> dict[str, Any]:
    """Without headers that look like others in a WSGI environment: X_Forwarded_For would pass as the proxy's header."""
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name and name.lower() != b"proxy"]
    query = "".join(chr(byte) if byte < 128 else f"%{byte:02X}" for byte in scope["query_string"])
    return {**scope, "headers": headers, "query_string": query.encode()}


async def _live(receive: Receive, send: Send) -> None:
    allow_open_files()
    log_servers_away()
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await places.finished()
    await hub.stop()
    await send({"type": "lifespan.shutdown.complete"})


application = LastResort(_route)
