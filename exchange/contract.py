"""The description of all that the exchange serves: what the views declare, and the paths that are no such views."""

from typing import Any

from balances.errors import ApprovalNotFound
from base.web.errors import (
    AlreadySignedIn,
    AssetNotFound,
    MarketNotFound,
    NotAcceptable,
    NotAuthenticated,
    NotFound,
    OrderNotFound,
    PermissionRequired,
    TooManyConnections,
    TooManyRequests,
    TooManyStreams,
    UpgradeRequired,
    UserNotFound,
)
from base.web.keys.errors import OF_SIGNED_REQUESTS, KeyNotFound
from base.web.keys.scopes import READ
from base.web.openapi.document import InPaths, finish
from base.web.openapi.operations import BEARER, JSON, SESSION, TICKET, answered, operation, signed_by_key, stream
from base.web.queries import TEXT
from base.web.values import Id
from marketdata import answers as marketdata
from markets.answers import AssetCode, Symbol
from operations.health import Liveness, Readiness
from orders import answers as orders
from orders.feed import PARAMETERS as ORDER_STATUS_PARAMETERS
from users.answers import KeyId

IN_PATHS: InPaths = {
    "userId": (Id, UserNotFound),
    "approvalId": (Id, ApprovalNotFound),
    "currency": (AssetCode, AssetNotFound),
    "symbol": (Symbol, MarketNotFound),
    "orderId": (Id, OrderNotFound),
    "clientOrderId": (orders.ClientOrderId, OrderNotFound),
    "keyId": (KeyId, KeyNotFound),
}
OPERATIONS = "operations"
_LAST_EVENT_ID = "The id of the event that was seen last; what came after it is sent first."
ORDER_STATUS_STREAM = stream(
    "streamOrderStatus",
    "The caller's own orders, as they change",
    [orders.ConnectedEvent, orders.OrderStatusUpdateEvent, orders.OrdersResetEvent],
    (NotAuthenticated, PermissionRequired, TooManyStreams, *OF_SIGNED_REQUESTS),
    text=(
        "Signed in by `Authorization`, by a key, by the session cookie, or in a browser by a ticket. A keep-alive"
        " comment comes every 15 seconds; the stream ends after a while, and the client comes again with Last-Event-ID."
        ' In a terminal: `curl -N $API/stream/order-status -H "Authorization: Bearer $TOKEN"`, where `API` is the'
        " address with `/api/v1`. The page `/swagger-ui.html` shows what comes within five seconds."
    ),
    security=[{BEARER: []}, signed_by_key(READ), {TICKET: []}, {SESSION: []}],
    query=ORDER_STATUS_PARAMETERS,
    headers=[{"in": "header", "name": "Last-Event-ID", "schema": TEXT, "description": _LAST_EVENT_ID}],
)
MARKET_STREAM = stream(
    "streamMarket",
    "A market's depth, trades and ticker, as they change",
    [marketdata.DepthEvent, marketdata.TradesEvent, marketdata.TickerEvent, marketdata.MarketResetEvent],
    (TooManyStreams,),
    text=(
        "Open to anybody. The events have no `id:` lines; a keep-alive comment comes every 15 seconds. In a terminal:"
        " `curl -N $API/stream/market/BTC-USD`, where `API` is the address with `/api/v1`. The page `/swagger-ui.html`"
        " shows what comes within five seconds."
    ),
)
LIVE = operation(
    *(OPERATIONS, "isLive", "The process answers"),
    {"200": answered("It does; nothing else was checked.", JSON, Liveness)},
)
READY = operation(
    *(OPERATIONS, "isReady", "Whether the process can do its work"),
    {
        "200": answered("It can. Matching goes on without Redis, so `redis` may be away.", JSON, Readiness),
        "503": answered("The database does not answer, or takes no writes.", JSON, Readiness),
    },
)
METRICS = operation(
    *(OPERATIONS, "readMetrics", "What is counted, for Prometheus alone: no proxy lets it out"),
    {"200": answered("Metrics in Prometheus' text format.", "text/plain", TEXT)},
)
SOCKET = operation(
    *("streams", "openSocket", "A WebSocket: orders and streams over one connection"),
    {"101": {"description": "The connection is a WebSocket from now on.", "content": {}}},
    (
        UpgradeRequired,
        TooManyConnections,
        TooManyRequests,
        TooManyStreams,
        AlreadySignedIn,
        "PARAMETER_UNKNOWN",
        "CHANNEL_UNKNOWN",
        "OPERATION_UNKNOWN",
    ),
    text=(
        "Its operations and messages are described in docs/api.md. Requests that it refuses are answered with the same"
        " envelope as here, in a frame, and the connection stays open. A page of documents asks for no upgrade, so that"
        " it is answered 426."
    ),
)
_DOCUMENT = {"schema": {"type": "object"}}
_DOCUMENT_TYPES = (JSON, "application/vnd.oai.openapi+json", "application/yaml", "application/vnd.oai.openapi")
SCHEMA = operation(
    *(OPERATIONS, "readSchema", "This description: OpenAPI 3.1"),
    {"200": {"description": "The document.", "content": dict.fromkeys(_DOCUMENT_TYPES, _DOCUMENT)}},
    (NotFound, NotAcceptable),
    text="As JSON or YAML, by `Accept` or by `format`.",
    parameters=[{"in": "query", "name": "format", "schema": {"type": "string", "enum": ["json", "yaml"]}}],
)
PAGES = operation(
    *(OPERATIONS, "readSwaggerUi", "This description as pages, to read and to try out"),
    {"200": answered("The page.", "text/html", TEXT)},
    text="Swagger UI, its files served here. Sign in at its top: each Execute is sent with your token from then on.",
)
# What exchange.asgi serves in front of Django, and what is no call of the API.
BESIDE_THE_CALLS = {
    "/api/v1/stream/order-status": {"get": ORDER_STATUS_STREAM},
    "/api/v1/stream/market/{symbol}": {"get": MARKET_STREAM},
    "/api/v1/ws": {"get": SOCKET},
    "/health/live": {"get": LIVE},
    "/health/ready": {"get": READY},
    "/metrics": {"get": METRICS},
    "/api/schema": {"get": SCHEMA},
    "/swagger-ui.html": {"get": PAGES},
}


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The last step of drf-spectacular's generator; settings name it."""
    return finish(result, BESIDE_THE_CALLS, IN_PATHS)
