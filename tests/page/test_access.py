"""The page for everybody: by keyboard alone, by touch on a phone, for a screen reader, in light and dark, and fast."""

import json
import time
from typing import Any

from playwright.sync_api import Page, WebSocketRoute, expect

from tests.page.conftest import PHONE, Opened, place, sign_in
from tests.support.live import Live, Trader
from tools.rig.process import ROOT

AXE = (ROOT / "tests" / "page" / "vendor" / "axe.js").read_text()
FIRST_PICTURE_SECONDS = 1.0
TRIES = 4
# Of one core, for 50 updates of everything a second.
BUSY_SHARE = 0.5
UPDATES = 50
SMALL = """(buttons) => [...document.querySelectorAll(buttons)]
  .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 24).map((each) => each.outerHTML)"""


def violations(page: Page, rules: str = "") -> list[str]:
    """What axe-core finds wrong with the page as it is now."""
    # In a world of its own of the page's, which its policy does not concern.
    session = page.context.new_cdp_session(page)
    frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})["executionContextId"]
    options = f"{{resultTypes: ['violations'] {rules}}}"
    run = AXE + f"; axe.run({options}).then((found) => JSON.stringify(found.violations))"
    told = session.send("Runtime.evaluate", {"expression": run, "contextId": world, "awaitPromise": True})
    found: list[dict[str, Any]] = json.loads(told["result"]["value"])
    return [f"{each['id']}: {each['nodes'][0]['html'][:160]} {each['nodes'][0]['failureSummary']}" for each in found]


def check(page: Page, state: str) -> None:
    """In light all of it, in dark the contrasts: nothing else differs."""
    assert violations(page) == [], state
    page.emulate_media(color_scheme="dark")
    assert violations(page, ", runOnly: ['color-contrast']") == [], f"{state}, in the dark"
    page.emulate_media(color_scheme="light")


def test_axe_finds_nothing_in_light_and_dark(opened: Opened, symbol: str, name: str, bob: Trader) -> None:
    bob.played(symbol, "sell 1 @ 100")
    bob.played(symbol, "buy 1 @ 90")
    page = opened(f"/m/{symbol}")
    expect(page.locator("#ladder .level[data-price='100']")).to_be_visible()
    check(page, "nobody is signed in")
    page.click("#who >> text=Sign in")
    check(page, "the dialog")
    page.keyboard.press("Escape")
    sign_in(page, name)
    place(page, "BUY", "1", "95")
    expect(page.locator("#own-body tbody tr")).to_have_count(1)
    page.click("#order summary")
    page.fill("#field-quantity", "1.00001")
    page.click("#market-button")
    expect(page.locator("#markets tbody tr")).not_to_have_count(0)
    check(page, "an order is open, and another wrong")
    page.keyboard.press("Escape")
    page.click("#own-body >> text=Amend")
    check(page, "amending")
    page.keyboard.press("Escape")
    for tab in ("history", "positions", "statement"):
        page.click(f"#tab-{tab}")
        expect(page.locator("#own-body tbody tr")).not_to_have_count(0)
        check(page, tab)
    page.goto("/account")
    page.wait_for_selector("text=Make a key")
    check(page, "the account")


def focused(page: Page) -> str:
    """What has the focus: its id, else its text."""
    words: str = page.evaluate("document.activeElement.id || document.activeElement.innerText")
    return words


def tab_to(page: Page, wanted: str, presses: int = 40) -> None:
    for _ in range(presses):
        page.keyboard.press("Tab")
        if wanted in focused(page):
            return
    raise AssertionError(f"{wanted} is not reached by Tab")


def skip(page: Page, part: str) -> None:
    """By the links that the keyboard meets first."""
    page.focus(f"a.skip[href='#{part}']")
    page.keyboard.press("Enter")
    assert focused(page) == part


def test_a_trade_by_keyboard_alone(opened: Opened, symbol: str, name: str, bob: Trader) -> None:
    bob.played(symbol, "sell 5 @ 100")
    page = opened(f"/m/{symbol}")
    expect(page.locator("#ladder .level[data-price='100']")).to_be_visible()
    tab_to(page, "Sign in")
    page.keyboard.press("Enter")
    tab_to(page, "sign-username")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type("exchange-demo")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#who >> text={name}")
    skip(page, "order")
    tab_to(page, "field-price")
    page.keyboard.press("Control+A")
    page.keyboard.type("100")
    tab_to(page, "field-quantity")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Bought 1 BTC")
    skip(page, "book")
    page.keyboard.press("Tab")
    # One stop for the whole ladder: arrows move in it, and Enter takes the price.
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#field-price")).to_have_value("100")
    page.fill("#field-price", "80")
    page.fill("#field-quantity", "1")
    page.keyboard.press("Enter")
    expect(page.locator("#own-body tbody tr")).to_have_count(1)
    skip(page, "own")
    tab_to(page, "Amend")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#own-body tbody tr")).to_have_count(0)
    page.focus("#tab-open")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-history")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#own-body tbody tr")).to_have_count(2)


def test_a_trade_by_touch_on_a_phone(opened: Opened, symbol: str, name: str, bob: Trader) -> None:
    bob.played(symbol, "sell 5 @ 100")
    page = opened(f"/m/{symbol}", viewport=PHONE, has_touch=True, is_mobile=True)
    page.tap("#who >> text=Sign in")
    page.fill("#sign-username", name)
    page.fill("#sign-password", "exchange-demo")
    page.tap("dialog button[type=submit]")
    page.wait_for_selector(f"#who >> text={name}")
    page.tap("#places [data-place=book]")
    expect(page.locator("#chart")).to_be_hidden()
    page.tap("#ladder .level[data-price='100']")
    expect(page.locator("#order")).to_be_visible()
    expect(page.locator("#field-price")).to_have_value("100")
    page.fill("#field-quantity", "2")
    page.tap("#order button[type=submit]")
    expect(page.locator("#toasts")).to_contain_text("Bought 2 BTC")
    page.tap("#places [data-place=own]")
    page.tap("#tab-fills")
    expect(page.locator("#own-body tbody tr")).to_have_count(1)
    for part in ("chart", "book", "order", "own"):
        page.tap(f"#places [data-place={part}]")
        wide = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{part} is wider than the screen"
        small = page.evaluate(SMALL, f"#{part} button:enabled, #places button")
        assert small == [], "a finger does not meet it"
    assert violations(page) == []


def test_the_first_picture_moves_within_a_second(opened: Opened, symbol: str, bob: Trader) -> None:
    """The best of a few: the machine of a test does other things too."""
    bob.played(symbol, "sell 5 @ 100")
    taken = []
    page = opened("/account")
    for _ in range(TRIES):
        began = time.monotonic()
        page.goto(f"/m/{symbol}", wait_until="commit")
        page.wait_for_selector("#ladder .level[data-price='100']")
        taken.append(time.monotonic() - began)
        page.goto("/account")
    assert min(taken) < FIRST_PICTURE_SECONDS, taken


def test_fifty_updates_a_second_leave_the_browser_idle(
    exchange: Live, opened: Opened, symbol: str, bob: Trader
) -> None:
    """The updates come from a WebSocket of the test's: each second 50 books and 50 trades."""
    bob.played(symbol, "sell 1 @ 100")
    page = opened("/account")
    page.route_web_socket("**/api/v1/ws", lambda socket: socket.on_message(lambda text: answer(socket, text)))
    sockets: list[WebSocketRoute] = []

    def answer(socket: WebSocketRoute, text: str | bytes) -> None:
        sockets[:] = [socket]
        socket.send(json.dumps({"id": json.loads(text)["id"], "code": 200, "data": {}}))

    page.goto(f"/m/{symbol}")
    expect(page.locator("#state")).to_have_text("Live")
    page.wait_for_timeout(500)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.evaluate("() => { window.frames_seen = 0; (function f() { frames_seen++; requestAnimationFrame(f) })() }")
    began, before, frames = time.monotonic(), busy_seconds(session), page.evaluate("frames_seen")
    for number in range(UPDATES):
        for message in messages(symbol, 10_000 + number):
            sockets[0].send(json.dumps(message))
        page.wait_for_timeout(max(0, 1000 * (began + (number + 1) / UPDATES - time.monotonic())))
    seconds = time.monotonic() - began
    share = (busy_seconds(session) - before) / seconds
    rate = (page.evaluate("frames_seen") - frames) / seconds
    print(f"{share:.0%} of a core at {UPDATES / seconds:.0f} updates a second, {rate:.0f} frames a second")
    last = f"{100 + (10_000 + UPDATES - 1) % 7}.00"
    expect(page.locator("#trades tbody tr").first).to_contain_text(last)
    assert share < BUSY_SHARE


def busy_seconds(session: Any) -> float:
    """Processor time of the page's thread, for scripts, styles, layout and painting."""
    figures = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return float(figures["TaskDuration"])


def messages(symbol: str, number: int) -> list[dict[str, Any]]:
    """A book of twenty levels on each side in which each level changes, and a trade."""
    levels = [{"price": "", "quantity": f"{1 + (number + each) % 9}.5", "orderCount": 1} for each in range(20)]
    asks = [{**level, "price": f"{101 + each + number % 3}"} for each, level in enumerate(levels)]
    bids = [{**level, "price": f"{99 - each - number % 3}"} for each, level in enumerate(levels)]
    book = {"symbol": symbol, "sequence": number, "bids": bids, "asks": asks, "bestBid": "99", "bestAsk": "101"}
    trade = {"tradeId": f"{symbol}-{number}", "sequence": number, "price": f"{100 + number % 7}", "quantity": "0.5"}
    trade |= {"takerSide": "BUY", "createdAt": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())}
    return [
        {"channel": f"depth:{symbol}", "event": "depth", "data": {**book, "spread": "2"}},
        {"channel": f"trades:{symbol}", "event": "trades", "data": [trade]},
    ]
