"""The script of the admin's pages, in a browser: filters close by keyboard and click, and parts renew themselves."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, sync_playwright

SCRIPT = Path(__file__).resolve().parents[2] / "base" / "static" / "base" / "admin.js"
ADDRESS = "http://exchange.invalid/"
PAGE = (
    '<nav id="changelist-filter"><details name="filter"><summary>Status</summary><a href="/a">OPEN</a></details></nav>'
    '<p id="elsewhere">elsewhere</p><div id="book" data-renewed="/book"><a href="/b">0</a></div>'
    '<script src="/admin.js"></script>'
)
AWAY = "4"


@pytest.fixture
def page() -> Iterator[Page]:
    """A page with a filter, and a part that counts how often it was asked for, until the server is away."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    asked = count(1)

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ADDRESS)
        if path == "book":
            number = str(next(asked))
            route.fulfill(body=f'<a href="/b">{number}</a>', status=503 if number == AWAY else 200)
        elif path == "admin.js":
            route.fulfill(body=SCRIPT.read_text(), content_type="text/javascript")
        else:
            route.fulfill(body=PAGE, content_type="text/html")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.route("**/*", answer)
        page.clock.install()
        page.goto(ADDRESS)
        yield page
        browser.close()


def test_a_filter_closes_by_escape_and_by_a_click_elsewhere(page: Page) -> None:
    def is_open() -> bool:
        return bool(page.evaluate("document.querySelector('details').open"))

    page.focus("summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert is_open()
    page.keyboard.press("Escape")
    assert not is_open()
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY", "where the keyboard was"
    page.keyboard.press("Enter")
    page.click("#elsewhere")
    assert not is_open()


def test_a_part_renews_itself_and_shows_when_it_is_old(page: Page) -> None:
    def after_a_while() -> tuple[str, str]:
        page.clock.run_for(3_100)
        page.wait_for_timeout(150)
        return page.inner_text("#book"), page.get_attribute("#book", "class") or ""

    assert [after_a_while() for _ in range(2)] == [("1", ""), ("2", "")]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert after_a_while() == ("2", ""), "held for the keyboard"
    page.click("#elsewhere")
    assert [after_a_while() for _ in range(3)] == [("3", ""), ("3", "old"), ("5", "")]
