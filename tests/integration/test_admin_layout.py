"""The admin's pages in a browser of 1,280 pixels: nothing is cut off, ids are in one piece, the policy blocks nothing.

The pages are asked for first and then shown without a server, because the browser's loop and the database do not mix.
"""

import mimetypes
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib import admin
from django.contrib.staticfiles import finders
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, Route, ViewportSize, sync_playwright

from audit.models import AuditRun
from balances.approvals import ask_for_payout
from base.web.keys.scopes import Scope
from markets.models import FeeTier
from matching.models import DeadLetter
from matching.worker.heartbeat import Heartbeat
from orders.accounts import cancel_for
from orders.dead_man import set_switch
from tests.support.orders import FAR_AHEAD
from tests.support.sampling import sample
from tests.support.world import World, fund, person
from users.acts import Actor
from users.api_keys import KeyTerms, make_key

ORIGIN = "http://exchange.invalid"
SIZE = ViewportSize(width=1280, height=800)
LONG_NAME, LONG_TEXT = "a.trader.with.a.name.as.long.as.this", "reconciliation-of-the-second-half-of-2026-" + "7" * 20
# What is wider than its place, and ids over more than one line.
CUT_OFF = """() => {
    const wide = [...document.querySelectorAll("html, #content, #changelist, .results, .module, .body")]
        .filter((part) => part.scrollWidth > part.clientWidth + 1)
        .map((part) => `${part.id || part.className || part.tagName}: ${part.scrollWidth} > ${part.clientWidth}`);
    const broken = ["id", "trade_id", "event_id", "market", "order", "buy_order_id"]
        .flatMap((name) => [...document.querySelectorAll(`#result_list .field-${name}`)])
        .filter((cell) => {
            const range = document.createRange();
            range.selectNodeContents(cell);
            return new Set([...range.getClientRects()].map((box) => Math.round(box.bottom))).size > 1;
        })
        .map((cell) => `broken: ${cell.textContent}`);
    return [...wide, ...broken];
}"""


@pytest.fixture
def busy(world: World) -> World:
    """A row of each kind, with amounts, names and texts as long as they get."""
    actor = Actor(world.staff.user.id, "2001:db8:85a3::8a2e:370:7334", LONG_TEXT)
    trader = person(LONG_NAME)
    fund(trader.user, USD="12345678.87654321", BTC="1234567.87654321")
    world.play(trader, "sell 1234.5678 @ 60123.45", clientOrderId=LONG_TEXT[:60])
    world.play(world.alice, "buy 0.0151 @ 60123.45")
    world.play(trader, "sell 1 @ market trail 5")
    world.play(trader, "buy 1.2345 @ 8000.12 gtd", expiresAt=FAR_AHEAD)
    set_switch(trader.user.id, None, 600)
    for status in ("HALTED", "TRADING"):
        world.switch(status)
        world.match()
    cancel_for(trader.user.id, actor, side="BUY")
    make_key(trader.user.id, trader.user.stamp, KeyTerms(LONG_TEXT, tuple(Scope), ("203.0.113.0/24",), None))
    ask_for_payout(actor, currency="USD", amount=Decimal("12345.12345678"), reason=LONG_TEXT, reference=LONG_TEXT)
    Heartbeat(f"celery@matcher-{LONG_NAME}", serves_all=True, symbols=()).refresh()
    AuditRun.objects.create(mode="FULL", started_at=timezone.now(), seconds=1.5, outcome=0, found=0)
    FeeTier.objects.create(level=1, volume=Decimal(1_000_000), maker_fee_rate=0, taker_fee_rate=Decimal("0.0005"))
    DeadLetter.objects.create(
        market=world.market, kind="HALT", error=LONG_TEXT * 5, traceback="x", attempts=4, created_at=timezone.now()
    )
    world.place(world.bob, "sell 1 @ 70000")
    return world


def shown(client: Client, models: list[type[Model]]) -> dict[str, tuple[bytes, str]]:
    """The first page, each list, and the page of each list's first row: by path, with their policies."""
    paths = ["/admin/"]
    for model in models:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.order_by("pk").last()
        paths += [reverse(f"{name}_changelist"), *([] if row is None else [reverse(f"{name}_change", args=[row.pk])])]
    answers = {path: client.get(path) for path in paths}
    return {path: (answer.content, answer["Content-Security-Policy"]) for path, answer in answers.items()}


@pytest.fixture
def browser(request: pytest.FixtureRequest) -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started.new_page(viewport=SIZE)
        started.close()


def test_nothing_is_cut_off_at_1280_pixels(busy: World, operator: Client, request: pytest.FixtureRequest) -> None:
    pages = shown(operator, sample(list(admin.site._registry), 6, "the admin's layout"))
    catalogue = operator.get(reverse("admin:jsi18n")).content
    # After the pages, because the database is not asked while the browser's loop runs.
    browser: Page = request.getfixturevalue("browser")
    complaints: list[str] = []
    browser.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)

    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path in pages:
            body, policy = pages[path]
            route.fulfill(body=body, headers={"Content-Type": "text/html", "Content-Security-Policy": policy})
        elif path.endswith("/jsi18n/"):
            route.fulfill(body=catalogue, content_type="text/javascript")
        else:
            file = Path(str(finders.find(path.removeprefix("/static/"))))
            route.fulfill(body=file.read_bytes(), content_type=mimetypes.guess_type(file.name)[0])

    browser.route("**/*", answer)
    found = {}
    for path in pages:
        browser.goto(f"{ORIGIN}{path}")
        found[path] = [*browser.evaluate(CUT_OFF), *complaints]
        complaints.clear()
    assert {path: wrong for path, wrong in found.items() if wrong} == {}
