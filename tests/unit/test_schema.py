"""The API's description: complete, valid, and served without anything behind it."""

import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from base.web.errors import Conflict, ExchangeError, InvalidField, KeyReused
from base.web.keys.scopes import PUBLIC
from base.web.openapi.pages import SchemaView, _rendered, document, rendered, write_ahead
from binance_api.calls import KeyView, SignedView
from binance_api.errors import TABLE
from exchange.asgi import MARKET_PATH, ORDER_STATUS_PATH, SOCKET_PATH
from tests.support.contract import check_answer, check_event, operations
from tests.support.routes import served
from tests.unit.test_docs import all_subclasses, raised_codes

STREAMS = {("GET", ORDER_STATUS_PATH), ("GET", MARKET_PATH + "{symbol}"), ("GET", SOCKET_PATH)}
# The page for operators, and the ways to it.
ADMIN = ("/admin", "/admin/")
# Other names of paths that are described, and off by default.
# For people: what they show they read from the API.
PAGES = ("/m/", "/account", "/static/", "/leaderboard")
ALIASES = ("/actuator/", "/v3/api-docs")
# In the formats of other systems, which describe them.
FORMATS = ("/api/v3/", "/udf/", "/coingecko/")
NOT_DESCRIBED = ADMIN + PAGES + ALIASES + FORMATS


def words(node: Any) -> Iterator[str]:
    """Every value of an enum in the document."""
    if isinstance(node, dict):
        yield from (word for word in node.get("enum", ()) if isinstance(word, str))
        for value in node.values():
            yield from words(value)
    elif isinstance(node, list):
        for value in node:
            yield from words(value)


def test_every_route_is_described_and_nothing_else():
    routes = {each[:2] for each in served() if each.path != "/" and not each.path.startswith(NOT_DESCRIBED)} | STREAMS
    assert ("DELETE", "/api/v1/orders/{orderId}") in routes
    assert sorted(routes ^ operations().keys()) == []


def test_every_route_says_what_a_key_needs_there():
    """A route without a scope would take no key, and nobody would have decided so."""
    silent = [
        each[:2]
        for each in served()
        if each.path.startswith("/api/v1/") and getattr(getattr(each.handler, "call", None), "scope", None) is None
    ]
    assert silent == []


def test_every_route_of_another_dialect_says_what_a_key_needs_there():
    """`/api/v3` is described by Binance, and what differs by docs/binance.md."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "binance.md").read_text()
    routes = [each for each in served() if each.path.startswith("/api/v3/")]
    assert len(routes) > 30
    for each in routes:
        endpoint = each.handler.endpoint
        assert f"`{each.method} {each.path.removeprefix('/api/v3/')}`" in text, each
        assert (endpoint.scope is PUBLIC) is not issubclass(_view(each.handler), SignedView | KeyView), each


def test_the_table_of_refusals_is_the_documents():
    text = (Path(__file__).resolve().parents[2] / "docs" / "binance.md").read_text()
    rows = [f"| `{name}` | {row.number} | {row.status} | {row.words or 'its own'} |" for name, row in TABLE.items()]
    assert [row for row in rows if row not in text] == []
    assert TABLE.keys() <= set(words(document()))


def _view(handler: Any) -> type:
    return getattr(sys.modules[handler.__module__], handler.__qualname__.partition(".")[0])


def test_what_concerns_the_account_takes_no_key():
    """Whatever is not public and not named here is closed to keys: a new route must be added to be open to them."""
    open_to = {
        (method, path, *roles)
        for (method, path), operation in operations().items()
        for way in operation["security"]
        if (roles := way.get("apiKey"))
    }
    own = {"account", "fees", "fills", "positions", "balances", "orders", "users/me", "users/{userId}"}
    own |= {"balances/{userId}", "balances/{userId}/{currency}", "balances/{userId}/{currency}/ledger"}
    own |= {"orders/{orderId}", "orders/{orderId}/trades", "orders/{orderId}/events", "stream/order-status"}
    own |= {"orders/client/{clientOrderId}", "orders/{orderId}/queue", "sandbox/faults"}
    previews = {("POST", "/api/v1/orders/preview", "read")}
    reads = previews | {("GET", f"/api/v1/{path}", "read") for path in own}
    trades = {("POST", "orders"), ("POST", "orders/batch"), ("POST", "orders/batch-cancel")}
    trades |= {("POST", "orders/cancel-all-after"), ("PUT", "sandbox/faults"), ("DELETE", "sandbox/faults")}
    trades |= {("PATCH", "orders/{orderId}"), ("POST", "orders/{orderId}/replace"), ("POST", "orders/oco")}
    trades |= {("DELETE", f"orders{which}") for which in ("", "/{orderId}", "/client/{clientOrderId}")}
    assert open_to == reads | {(method, f"/api/v1/{path}", "trade") for method, path in trades}


def test_it_is_made_without_a_warning_and_valid():
    with GENERATOR_STATS.silence():
        made = SchemaGenerator().get_schema(public=True)
    assert (dict(GENERATOR_STATS._warn_cache), dict(GENERATOR_STATS._error_cache)) == ({}, {})
    validate_schema(made)


def test_every_reference_leads_somewhere():
    text = str(document())
    for kind, name in set(re.findall(r"#/components/(\w+)/([\w.-]+)", text)):
        assert name in document()["components"][kind]
    schemas = document()["components"]["schemas"]
    assert [name for name in schemas if f"#/components/schemas/{name}'" not in text] == []


def test_every_refusal_is_described():
    families = {InvalidField, Conflict, KeyReused}
    classes = {error.code for error in [*all_subclasses(ExchangeError), ExchangeError] if error not in families}
    assert len(classes) > 20
    assert sorted((classes | raised_codes()) - set(words(document()))) == []


def test_every_refusal_has_its_own_status():
    """A code is told under the status of its class; a field's own rules are 400."""
    statuses = {error.code: {str(error.status)} for error in [*all_subclasses(ExchangeError), ExchangeError]}
    for code in ("MARKET_NOT_FOUND", "ASSET_NOT_FOUND", "AMOUNT_TOO_LARGE", "INVALID_FIELD"):
        # In a body it is a field that names no market or no asset.
        statuses.setdefault(code, set()).add("400")
    for (method, path), operation in operations().items():
        for status, response in operation["responses"].items():
            for code in words(response["content"].get("application/json", {}).get("schema", {})):
                if status >= "400" and path.startswith("/api/v1/"):
                    assert status in statuses.get(code, {"400"}), (method, path, code)


def test_headers_that_all_answers_share():
    by_status = {"401": {"WWW-Authenticate"}, "429": {"Retry-After"}, "503": {"Retry-After"}}
    for (method, path), operation in operations().items():
        for status, response in operation["responses"].items() if path.startswith("/api/v1/") else ():
            names = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} | by_status.get(status, set())
            assert names <= response["headers"].keys(), (method, path, status)
    replayed = [
        (method, path, status)
        for (method, path), operation in operations().items()
        for status, response in operation["responses"].items()
        if "Idempotent-Replayed" in response.get("headers", {})
    ]
    transfer = "/api/v1/balances/update"
    transfers = [(method, transfer, status) for method in ("POST", "PUT") for status in ("200", "202")]
    others = [("POST", "/api/v1/fees/payout", "202"), *(("POST", "/api/v1/orders", code) for code in ("202", "200"))]
    others += [("POST", f"/api/v1/orders/{call}", "202") for call in ("oco", "{orderId}/replace")]
    assert replayed == [*transfers, *others]


def test_a_wrong_answer_is_found_out():
    """The judge of the other tests is one."""
    good = {"code": 200, "message": "OK", "data": {"serverTime": "2026-01-01T12:00:00.000000Z"}}
    good |= {"timestamp": "2026-01-01T12:00:00.000000Z"}
    check_answer("GET", "/api/v1/time", 200, "application/json", good)
    wrong: list[tuple[str, int, str, Any]] = [
        ("GET", 201, "application/json", good),
        ("GET", 200, "text/html", good),
        ("POST", 200, "application/json", good),
        ("GET", 200, "application/json", {**good, "code": 201}),
        ("GET", 200, "application/json", {**good, "more": 1}),
        ("GET", 200, "application/json", {**good, "data": {"serverTime": "noon"}}),
    ]
    for method, status, media_type, body in wrong:
        with pytest.raises(AssertionError):
            check_answer(method, "/api/v1/time", status, media_type, body)
    with pytest.raises(AssertionError):
        check_event(ORDER_STATUS_PATH, {"event": "connected", "data": {"userId": "1"}})


@pytest.fixture
def client() -> Iterator[Client]:
    """With nothing behind it: pytest-django refuses the database to a test without its marker, this all else."""
    with mock.patch("socket.socket.connect", side_effect=ConnectionError("there is no server")):
        yield Client()


@pytest.mark.parametrize(
    ("accept", "query", "media_type"),
    [
        ("*/*", "", "application/json"),
        ("application/json", "", "application/json"),
        ("application/yaml", "", "application/yaml"),
        ("application/vnd.oai.openapi", "", "application/vnd.oai.openapi"),
        ("application/vnd.oai.openapi+json", "", "application/vnd.oai.openapi+json"),
        ("*/*", "?format=yaml", "application/yaml"),
        ("*/*", "?format=json", "application/json"),
    ],
)
def test_the_document_is_served(client, accept, query, media_type):
    """Whoever asks, with whatever token: nobody is looked up."""
    answer = client.get(f"/api/schema{query}", headers={"Accept": accept, "Authorization": "Bearer of.bad.news"})
    assert (answer.status_code, answer["Content-Type"]) == (200, media_type)
    read = answer.json() if media_type.endswith("json") else yaml.safe_load(answer.content)
    assert read == document()
    assert read["openapi"].startswith("3.")
    assert "Set-Cookie" not in answer.headers and not answer.cookies


def test_a_format_that_is_not_there(client):
    for accept, query, status in (("*/*", "?format=xml", 404), ("text/html", "", 406)):
        answer = client.get(f"/api/schema{query}", headers={"Accept": accept})
        assert answer.status_code == status
        check_answer("GET", "/api/schema", status, answer["Content-Type"], answer.json())


def test_it_is_made_once_and_only_when_asked_for(client):
    client.get("/api/schema")
    with mock.patch.object(SchemaGenerator, "get_schema", side_effect=AssertionError("made again")):
        assert client.get("/api/schema").content == client.get("/api/schema?format=json").content


def test_it_is_written_before_a_flood_of_first_readers_comes():
    _rendered.cache_clear()
    write_ahead()
    written = _rendered.cache_info()
    for renderer in SchemaView.renderer_classes:
        rendered(renderer)
    assert _rendered.cache_info().misses == written.misses == 2


def test_the_page_asks_nobody_else(client):
    """Every file is of this server and is there; nothing in the page or its script names another."""
    page = client.get("/swagger-ui.html")
    assert (page.status_code, page["Content-Type"]) == (200, "text/html; charset=utf-8")
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    files = [path.removeprefix(settings.STATIC_URL) for path in wanted if path.startswith(settings.STATIC_URL)]
    assert len(files) == len(wanted) == 5
    assert [name for name in files if finders.find(name) is None] == []
    own = [Path(str(finders.find(name))).read_text() for name in files if name.startswith("base/")]
    assert len(own) == 2
    assert 'data-schema="/api/schema"' in page.content.decode()
    assert any("validatorUrl: null" in text for text in own)
    assert "//" not in re.sub(r"^\s*//.*$", "", "".join([page.content.decode(), *own]), flags=re.MULTILINE)


def test_the_page_is_held_to_it_by_the_browser(client):
    answer = client.get("/swagger-ui.html")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "http" not in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert not answer.cookies


def test_sixteen_first_readers_at_once(monkeypatch):
    """drf-spectacular's generator cannot run twice at the same time, so the document is generated by one thread."""
    document.cache_clear()
    _rendered.cache_clear()
    generate, running = SchemaGenerator.get_schema, []

    def generate_alone(*args: Any, **kwargs: Any) -> Any:
        running.append(1)
        time.sleep(0.05)
        return generate(*args, **kwargs)

    monkeypatch.setattr(SchemaGenerator, "get_schema", generate_alone)
    with ThreadPoolExecutor(16) as readers:
        answers = list(readers.map(lambda _: Client().get("/api/schema"), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(running) == 1


def test_what_the_page_answers_to_other_methods(client):
    answer = client.options("/swagger-ui.html")
    assert (answer.status_code, answer["Allow"], answer["Content-Type"]) == (
        200,
        "GET, HEAD, OPTIONS",
        "application/json",
    )
    assert answer.json()["data"] == {"methods": ["GET", "HEAD", "OPTIONS"]}
    for method in ("post", "put", "delete"):
        answer = getattr(client, method)("/swagger-ui.html")
        assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD, OPTIONS")
