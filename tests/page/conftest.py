"""A headless Chromium in front of a running exchange. No page may break its policy or write an error to its console."""

import os
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from page.pages import DEMO_PASSWORD
from tests.support.live import Live, Trader
from tools.rig.trader import connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
# Noticed in the page itself, because a violation of the policy is not always an error of the console.
WATCH = """
  addEventListener("securitypolicyviolation", (event) =>
    console.error(`POLICY ${event.violatedDirective} ${event.blockedURI}`));
"""
# What the browser itself says of a call that was refused, and of a server that is away, as it is in one of the tests.
OF_CALLS = (
    "the server responded with a status of 4",
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "ERR_EMPTY_RESPONSE",
    "WebSocket connection to",
)

Opened = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for all tests here. Until it is closed a loop runs in this thread, and Django is told that it may block all
    the same. It ends with this package, because others run loops of their own.
    """
    if CHROMIUM is None:
        warnings.warn("NO CHROMIUM HERE: the page is NOT TESTED (apt install chromium)", stacklevel=1)
        pytest.skip("NO CHROMIUM HERE: the page is NOT TESTED (apt install chromium)")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield started
        started.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def opened(exchange: Live, browser: Browser) -> Iterator[Opened]:
    """Opens a page of the exchange, in a context of its own. At the end none of them has complained."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    def open_page(path: str, **options: object) -> Page:
        context = browser.new_context(**{"viewport": DESK, "base_url": exchange.url, **options})  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(10_000)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [each for each in complaints if not any(words in each for words in OF_CALLS)] == []


@pytest.fixture
def symbol(exchange: Live) -> str:
    return exchange.market()


@pytest.fixture
def bob(exchange: Live) -> Trader:
    """Of another program: his orders come over REST."""
    return exchange.trader("bob", BTC="100", USD="100000")


@pytest.fixture
def name(exchange: Live, symbol: str) -> str:
    """Somebody who can sign in by hand, with the demo's password."""
    name = f"page-{secrets.token_hex(4)}"
    register(exchange, name, USD="100000", BTC="10")
    return name


def register(exchange: Live, name: str, **funds: str) -> None:
    body = {"username": name, "email": f"{name}@example.com", "password": DEMO_PASSWORD}
    answer = connect(exchange.url).post("/users", json=body)
    assert answer.status_code == 201, answer.text
    token = connect(exchange.url).post("/auth/token", json={"username": name, "password": DEMO_PASSWORD}).json()["data"]
    trader = Trader.with_token(exchange.url, token["userId"], name, token["accessToken"])
    for currency, amount in funds.items():
        exchange.fund(trader, currency, amount)


def sign_in(page: Page, name: str) -> None:
    page.click("#who >> text=Sign in")
    page.fill("#sign-username", name)
    page.fill("#sign-password", DEMO_PASSWORD)
    page.click("dialog button[type=submit]")
    page.wait_for_selector(f"#who >> text={name}")


def place(page: Page, side: str, quantity: str, price: str) -> None:
    """A limit order by the form."""
    page.click(f"#order [data-side={side}]")
    page.fill("#field-price", price)
    page.fill("#field-quantity", quantity)
    page.click("#order button[type=submit]")
