"""Pages of other origins, and the streams: the public ones for all, a user's own for those of CORS_ORIGINS."""

import pytest

from base.web.hardening import HEADERS
from exchange.asgi import MARKET_PATH, ORDER_STATUS_PATH, SOCKET_PATH
from tests.integration.stream.cast import Cast, connect
from tests.integration.stream.client import StreamClient
from tests.integration.test_exposure import OTHER, OURS

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_may_read_and_keep_a_stream(cast: Cast, port: int, settings) -> None:
    settings.CORS_ORIGINS = frozenset({OURS})
    for origin, allowed in ((OURS, OURS), (OTHER, None)):
        with connect(port, cast.alice, Origin=origin) as client:
            assert (client.status, client.headers.get("access-control-allow-origin")) == (200, allowed)
            assert client.headers["cache-control"] == "no-store"
        with connect(port, path=f"{MARKET_PATH}BTC-USD", Origin=origin) as client:
            assert (client.status, client.headers["access-control-allow-origin"]) == (200, "*")
        with connect(port, Origin=origin) as client:
            assert (client.status, client.headers.get("access-control-allow-origin")) == (401, allowed)
            assert client.headers["cache-control"] == "no-store"


def test_whatever_a_stream_answers_has_all_headers(cast: Cast, port: int) -> None:
    asked = {"Origin": OTHER, "Access-Control-Request-Method": "GET"}
    with (
        connect(port, cast.alice) as opened,
        connect(port, path=f"{MARKET_PATH}BTC-USD") as public,
        connect(port) as refused,
        StreamClient(port, ORDER_STATUS_PATH, method="OPTIONS", **asked) as preflight,
        StreamClient(port, SOCKET_PATH) as no_socket,
    ):
        answers = (opened, public, refused, preflight, no_socket)
        assert [client.status for client in answers] == [200, 200, 401, 204, 426]
        for client in answers:
            assert {name: client.headers.get(name.lower()) for name in HEADERS} == HEADERS


def test_preflights(cast: Cast, port: int, settings) -> None:
    settings.CORS_ORIGINS = frozenset({OURS})
    for path, origin, allowed in (
        (ORDER_STATUS_PATH, OURS, OURS),
        (ORDER_STATUS_PATH, OTHER, None),
        (f"{MARKET_PATH}BTC-USD", OTHER, "*"),
    ):
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        with StreamClient(port, path, method="OPTIONS", **asked) as client:
            assert (client.status, client.headers.get("access-control-allow-origin")) == (204, allowed)
            assert "x-ratelimit-limit" not in client.headers
