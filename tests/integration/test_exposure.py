"""Who may keep an answer and which sites may read it: what is public, all; what is private, those of CORS_ORIGINS."""

import pytest
from django.test import Client

from base.web.openapi.operations import NOBODY
from exchange.contract import BESIDE_THE_CALLS
from tests.support.contract import operations
from tests.support.world import World

OURS, OTHER = "https://app.example.com", "https://evil.example"
SCHEMA = "/api/schema"
PUBLIC = {
    *("/api/v1/markets", "/api/v1/markets/{symbol}", "/api/v1/orderbook/{symbol}", "/api/v1/trades/{symbol}"),
    *("/api/v1/klines/{symbol}", "/api/v1/ticker", "/api/v1/ticker/{symbol}", "/api/v1/time", SCHEMA),
}


@pytest.fixture(autouse=True)
def one_site(settings):
    settings.CORS_ORIGINS = frozenset({OURS})


def calls() -> list[tuple[str, str, bool]]:
    """The method and path of every call, and whether it is public: read by anybody."""
    return [
        (method, path, method == "GET" and NOBODY[0] in operation["security"])
        for (method, path), operation in operations().items()
        if path == SCHEMA or (path.startswith("/api/v1/") and path not in BESIDE_THE_CALLS)
    ]


def test_what_is_public():
    assert {path for _, path, is_public in calls() if is_public} >= PUBLIC


@pytest.mark.parametrize(("method", "path", "is_public"), calls(), ids=lambda value: str(value)[:40])
@pytest.mark.django_db
def test_every_call(world: World, method: str, path: str, is_public: bool):
    path = path.replace("{symbol}", "BTC-USD").replace("{userId}", "1").replace("{orderId}", "1")
    for origin in (OURS, OTHER, None):
        answer = world.alice.client.generic(method, path, headers={"Origin": origin} if origin else {})
        allowed = "*" if is_public else OURS if origin == OURS else None
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        assert answer.headers.get("Cache-Control") == (None if is_public else "no-store")
        assert "Access-Control-Allow-Credentials" not in answer.headers
        if allowed:
            assert "X-RateLimit-Remaining" in answer.headers["Access-Control-Expose-Headers"]
        if not is_public:
            assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("path", "error"),
    [("/api/v1/orders", "NOT_AUTHENTICATED"), ("/api/v1/nothing", "NOT_FOUND"), ("/api/v1/orders?x=1", None)],
)
@pytest.mark.django_db
def test_refusals_are_private_and_readable(path, error):
    answer = Client().get(path, headers={"Origin": OURS})
    assert answer.json()["error"] == (error or "NOT_AUTHENTICATED")
    assert (answer["Cache-Control"], answer["Access-Control-Allow-Origin"]) == ("no-store", OURS)


def preflight(path: str, origin: str, method: str) -> dict[str, str]:
    """Asked of a client without a database: a preflight is nobody's request."""
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    answer = Client().options(path, headers={**headers, "Access-Control-Request-Headers": "authorization"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "X-RateLimit-Limit" not in answer.headers
    return {name: value for name, value in answer.headers.items() if name.startswith("Access-Control-")}


def test_preflights(settings):
    settings.RATE_LIMIT = 1
    for _ in range(3):
        told = preflight("/api/v1/orders", OURS, "DELETE")
        assert told["Access-Control-Allow-Origin"] == OURS
        assert "DELETE" in told["Access-Control-Allow-Methods"]
        assert "Authorization" in told["Access-Control-Allow-Headers"]
    for path, method in (("/api/v1/orders", "GET"), ("/api/v1/markets", "POST"), ("/api/v1/nothing", "GET")):
        assert preflight(path, OTHER, method) == {}
    told = preflight("/api/v1/markets", OTHER, "GET")
    assert (told["Access-Control-Allow-Origin"], told["Access-Control-Allow-Methods"]) == ("*", "GET, HEAD")
    assert "Authorization" not in told["Access-Control-Allow-Headers"]


def test_what_is_no_api_is_left_alone():
    answer = Client().get("/health/live", headers={"Origin": OURS})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
