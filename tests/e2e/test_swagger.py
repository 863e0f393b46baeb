"""The description of the API beside a running exchange: its examples are sent, and its page is used in a browser."""

import copy
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from base.web.openapi.pages import document
from tests.e2e.shell import Shell
from tools.demo.cast import PASSWORD

pytestmark = pytest.mark.long
STAFF = re.compile(r"^/(approvals|balances/update|fees/payout|markets|users/\{userId\})")
OWN = re.compile(r"^/(users/me|auth/logout)")
# There is no approval of another operator's wish to act upon, and a refresh token is nobody's.
REFUSED = {
    ("post", "/approvals/{approvalId}/approve"): 404,
    ("post", "/approvals/{approvalId}/refuse"): 404,
    ("post", "/auth/token/refresh"): 401,
}
ORDER = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "29000", "quantity": "0.5"}
POLICY = "Content Security Policy"
CALL = "#operations-orders-placeOrder"
STREAM = "#operations-streams-streamMarket"


def examples() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """By method and path, as the description has them."""
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            for example in content.get("application/json", {}).get("examples", {}).values():
                yield method, path.removeprefix("/api/v1"), copy.deepcopy(example["value"])


class Users:
    """Those of the demo, and dora, whom an example registers."""

    def __init__(self, port: int) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30, trust_env=False)
        self.tokens: dict[str, str] = {}

    def send(self, name: str, method: str, path: str, body: Any = None, password: str = "") -> httpx.Response:
        """With a token of before, unless an example has ended that."""
        for _ in range(2):
            token = self.tokens.get(name) or self.sign_in(name, password)["accessToken"]
            answer = self.repeated(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
            self.tokens[name] = token
            if answer.status_code != 401:
                break
            del self.tokens[name]
        return answer

    def sign_in(self, name: str, password: str = "") -> dict[str, Any]:
        password = password or ("correct horse" if name == "dora" else PASSWORD)
        answer = self.repeated("POST", "/auth/token", json={"username": name, "password": password})
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def repeated(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Where the exchange says to wait: examples come faster than what it lets in within a second."""
        while (answer := self.http.request(method, path, **more)).status_code == 429:
            time.sleep(0.1)
        return answer

    def send_example(self, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        """What stands in the path is what the example can act upon."""
        name = "admin" if STAFF.search(path) else "dora" if OWN.search(path) else "alice"
        if path == "/auth/logout" and "refreshToken" in body:
            body["refreshToken"] = self.sign_in("dora")["refreshToken"]
        ids = {"symbol": "BTC-EUR", "approvalId": "1", "userId": ""}
        if "{orderId}" in path:
            ids["orderId"] = self.send("alice", "POST", "/orders", ORDER).json()["data"]["orderId"]
        if "{userId}" in path:
            ids["userId"] = self.send("carol", "GET", "/users/me").json()["data"]["userId"]
        return self.send(name, method.upper(), path.format(**ids), body)


def test_every_example_is_accepted(running: Shell) -> None:
    """In the order of the document, but dora is registered first, and what ends her account comes last."""
    users, found = Users(running.port), list(examples())
    assert len(found) > 25
    order = [("post", "/users"), (), ("post", "/users/me/password"), ("delete", "/users/me")]
    found.sort(key=lambda example: order.index(example[:2] if example[:2] in order else ()))
    refused = {}
    for method, path, body in found:
        answer = users.send_example(method, path, body)
        if answer.status_code >= 400 and REFUSED.get((method, path)) != answer.status_code:
            refused[method, path] = answer.text
        if path.endswith("/password"):
            back = {"currentPassword": body["newPassword"], "newPassword": body["currentPassword"]}
            assert users.send("dora", "POST", path, back, body["newPassword"]).status_code == 204
    assert refused == {}


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a browser; what the browser complains of fails the test."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed here")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.on("console", lambda message: complaints.append(message.text) if POLICY in message.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        browser.close()
    assert complaints == []


def test_the_page_signs_in_and_shows_a_stream(running: Shell, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{running.port}/swagger-ui.html")
    page.wait_for_selector(".opblock-tag")
    assert page.evaluate("document.documentElement.scrollHeight") < 1200

    page.get_by_label("User").fill("bob")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Signed in as bob")
    page.click("#operations-tag-orders")
    page.click(f"{CALL} .opblock-summary-control")
    page.wait_for_selector(f"{CALL} .execute")
    assert page.locator(CALL).bounding_box()["height"] < 3000  # type: ignore[index]
    page.click(f"{CALL} .execute")
    expect(page.locator(f"{CALL} .live-responses-table")).to_contain_text('"status": "PENDING"')

    page.click("#operations-tag-streams")
    page.click(f"{STREAM} .opblock-summary-control")
    page.fill(f"{STREAM} .parameters input", "BTC-USD")
    page.click(f"{STREAM} .execute")
    shown = page.locator(f"{STREAM} .live-responses-table")
    expect(shown).to_contain_text("event: ticker", timeout=15_000)
    expect(shown).to_contain_text("The command above, as curl -N, goes on")

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("Signed out.")
    page.click(f"{CALL} .execute")
    expect(page.locator(f"{CALL} .live-responses-table")).to_contain_text("NOT_AUTHENTICATED")
