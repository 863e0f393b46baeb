"""Every answer says by its headers what a browser may do with it, and the settings as shipped are what Django advises.

What servers and nginx answer themselves: tests/integration/test_slow_clients.py, tests/e2e/test_proxy.py. Streams and
WebSockets: tests/integration/stream.
"""

import asyncio
import os
import secrets
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from base.servers.last_resort import LastResort
from base.web.hardening import ADMIN_PAGE, HEADERS, NO_PAGE, hardened
from base.web.openapi.pages import PAGE_POLICY
from page.pages import POLICY as TRADING_PAGE
from tests.support.world import World
from tools.rig.process import ROOT

POLICY = "Content-Security-Policy"


def check(answer: Any, policy: str = NO_PAGE) -> None:
    expected = {**HEADERS, POLICY: policy}
    assert {name: answer.headers.get(name) for name in expected} == expected


def test_each_kind_of_answer_has_all_headers(world: World, operator: Client) -> None:
    client = Client(raise_request_exception=False)
    assert client.get("/api/v1/time").status_code == 200
    for path, status in (
        ("/api/v1/time", 200),
        ("/api/v1/account", 401),
        ("/api/v1/nowhere", 404),
        ("/nowhere", 404),
        ("/health/live", 200),
        ("/health/ready", 200),
        ("/metrics", 200),
        ("/api/schema", 200),
    ):
        answer = client.get(path)
        assert answer.status_code == status, path
        check(answer)
    check(client.delete("/api/v1/time"))
    check(
        client.options(
            "/api/v1/orders", headers={"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
        )
    )
    check(client.post("/api/v1/orders", "x" * 70_000, content_type="application/json"))
    check(client.post("/api/v1/orders", "x", content_type="text/plain"))
    check(client.get("/api/v1/time", headers={"Host": "elsewhere"}))
    check(client.get("/swagger-ui.html"), PAGE_POLICY)
    for path in ("/", "/m/BTC-USD", "/account"):
        check(client.get(path), TRADING_PAGE)
    check(client.get("/admin/login/"), ADMIN_PAGE)
    check(operator.get("/admin/"), ADMIN_PAGE)
    check(operator.get(reverse("admin:orders_order_changelist")), ADMIN_PAGE)


def test_a_defect_has_all_headers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("markets.views.timestamp", None)
    answer = Client(raise_request_exception=False).get("/api/v1/time")
    assert (answer.status_code, answer.json()["error"]) == (500, "INTERNAL_ERROR")
    check(answer)


@pytest.mark.parametrize("path", ["/health/live", "/metrics", "/nowhere", "/admin/login/"])
def test_what_is_not_public_is_not_kept(path: str, db: None) -> None:
    assert "no-store" in Client().get(path).headers["Cache-Control"]


def test_the_pages_have_nothing_inline_that_their_policy_forbids(operator: Client, world: World) -> None:
    for path in (
        "/admin/",
        reverse("admin:orders_order_changelist"),
        reverse("admin:users_user_change", args=[world.alice.user.pk]),
    ):
        page = operator.get(path).content.decode()
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick=" not in page
        assert "<script>" not in page


@pytest.mark.parametrize(("kind", "answered"), [("http", "http.response"), ("websocket", "websocket.http.response")])
def test_a_defect_outside_of_django_is_in_the_envelope(kind: str, answered: str, log: Any) -> None:
    sent: list[Any] = []

    async def broken(*_: Any) -> None:
        raise ValueError("no")

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(LastResort(broken)({"type": kind}, None, send))  # type: ignore[arg-type]
    start, body = sent
    assert (start["type"], start["status"]) == (f"{answered}.start", 500)
    assert dict(start["headers"])[b"x-content-type-options"] == b"nosniff"
    assert b'"INTERNAL_ERROR"' in body["body"]
    assert [line for line in log() if "could not be answered" in line["event"]]


def test_a_header_that_is_there_stays() -> None:
    assert hardened([(b"X-Frame-Options", b"own")])[0] == (b"X-Frame-Options", b"own")
    assert len(hardened([(b"X-Frame-Options", b"own")])) == len(HEADERS)


def test_the_settings_as_shipped_are_what_django_advises(tmp_path: Any) -> None:
    """With the secrets that deploy/secrets.sh makes, and the addresses of this run."""
    own = {name: secrets.token_hex(32) for name in ("SECRET_KEY", "JWT_SIGNING_KEY", "API_KEY_SECRETS")}
    variables = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "REDIS_URL", "BROKER_URL", "DATABASE_URL")
        if name in os.environ
    }
    variables |= {**own, "DATA_DIR": str(tmp_path), "ALLOWED_HOSTS": "exchange.example.com", "TRUSTED_PROXIES": "1"}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [f"security.W{number}" for number in ("003", "005", "008", "021")] == settings.SILENCED_SYSTEM_CHECKS
