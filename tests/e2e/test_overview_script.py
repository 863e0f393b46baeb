"""The script of the admin's first page, in a browser: when it renews the figures, and when it leaves them alone."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "operations" / "static" / "operations" / "overview.js"
ADDRESS = "http://exchange.invalid/"
PAGE = (
    '<button id="overview-pause" hidden>Stop refreshing</button><span id="overview-state"></span>'
    '<div id="overview" data-src="/overview"><a href="/elsewhere">0</a></div><script src="/overview.js"></script>'
)


@pytest.fixture
def page() -> Iterator[Page]:
    """The panel, whose only figure counts how often it was asked for; its clock stands still."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    asked = count(1)

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ADDRESS)
        bodies = {"": lambda: PAGE, "overview.js": SCRIPT.read_text, "overview": lambda: figure(next(asked))}
        route.fulfill(
            body=bodies.get(path, str)(), content_type="text/javascript" if path[-3:] == ".js" else "text/html"
        )

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context()
        context.route("**/*", answer)
        page = context.new_page()
        page.clock.install()
        page.goto(ADDRESS)
        yield page
        browser.close()


def figure(number: int) -> str:
    return f'<a href="/elsewhere">{number}</a>'


def after_a_while(page: Page) -> tuple[str, str]:
    """The figure and the state, once the next renewal was due."""
    page.clock.run_for(6_000)
    page.wait_for_timeout(200)
    return page.inner_text("#overview"), page.inner_text("#overview-state")


def test_the_figures_are_held_for_the_keyboard_alone(page: Page) -> None:
    assert after_a_while(page) == ("1", "")
    with page.context.expect_page():
        page.click("#overview a", modifiers=["ControlOrMeta"])
    page.bring_to_front()
    assert page.evaluate("document.activeElement.tagName") == "A", "the click left the focus there"
    assert after_a_while(page) == ("2", "")
    page.focus("#overview-pause")
    page.keyboard.press("Tab")
    held = "Held while you read: click elsewhere to go on."
    assert after_a_while(page) == ("2", held)
    page.mouse.click(300, 300)
    assert after_a_while(page) == ("3", "")
    page.click("#overview-pause")
    assert after_a_while(page) == ("3", "Not refreshed.")
