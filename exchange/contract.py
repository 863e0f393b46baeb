"""The description of all that the exchange serves: what Django's views say, and the paths that are no such views."""

from typing import Any

from base.web.openapi.document import finish
from marketdata.api_docs import MARKET_STREAM
from operations.api_docs import LIVE, METRICS, READY
from orders.stream_api_docs import ORDER_STATUS_STREAM

# What exchange.asgi serves in front of Django, and what is no view of the REST framework.
BESIDE_THE_VIEWS = {
    "/api/v1/stream/order-status": {"get": ORDER_STATUS_STREAM},
    "/api/v1/stream/market/{symbol}": {"get": MARKET_STREAM},
    "/health/live": LIVE,
    "/health/ready": READY,
    "/metrics": METRICS,
}


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The last step of drf-spectacular's generator; settings name it."""
    return finish(result, BESIDE_THE_VIEWS)
