"""Trading in a real browser against another user, who comes over REST. Nothing is reloaded."""

import json
import re
import signal

from playwright.sync_api import Locator, Page, expect

from page.pages import DEMO_ACCOUNTS
from tests.page.conftest import Opened, place, register, sign_in
from tests.support.live import Live, Trader, wait_for


def level(page: Page, side: str, price: str) -> Locator:
    return page.locator(f"#ladder .level.{side}[data-price='{price}']")


def row(page: Page, *words: str) -> Locator:
    """The row of one's own open orders that has the words."""
    found = page.locator("#own-body tbody tr")
    for each in words:
        found = found.filter(has_text=each)
    return found


def told(page: Page, words: str) -> None:
    expect(page.locator("#toasts")).to_contain_text(words)


def test_own_fill_book_and_chart_are_seen_as_they_happen(
    exchange: Live, opened: Opened, symbol: str, bob: Trader
) -> None:
    """By the one click of a demo."""
    register(exchange, DEMO_ACCOUNTS[0], USD="100000")
    bob.played(symbol, "sell 3 @ 100")
    page = opened(f"/m/{symbol}")
    expect(page.locator("#state")).to_have_text("Live")
    page.click(f"#own >> text={DEMO_ACCOUNTS[0]}")
    page.wait_for_selector(f"#who >> text={DEMO_ACCOUNTS[0]}")
    expect(level(page, "ask", "100")).to_contain_text("3.0000")
    place(page, "BUY", "2", "100")
    told(page, "Bought 2 BTC")
    expect(page.locator("#trades tbody tr").first).to_contain_text("2.0000")
    expect(level(page, "ask", "100")).to_contain_text("1.0000")
    expect(page.locator("#legend")).to_contain_text("C 100.00")
    page.click("#tab-fills")
    expect(row(page, symbol, "taker")).to_contain_text("2.0000")
    bob.played(symbol, "sell 1 @ 105")
    bob.played(symbol, "buy 1 @ 105")
    expect(page.locator("#legend")).to_contain_text("C 100.00")
    taker = exchange.trader("taker", USD="1000")
    taker.played(symbol, "buy 2 @ 105")
    expect(page.locator("#legend")).to_contain_text("C 105.00")
    expect(page.locator("[data-figure=last]")).to_have_text("105.00")
    page.click("#tab-positions")
    expect(row(page, "BTC")).to_contain_text("2")


def test_an_order_is_checked_previewed_amended_and_cancelled(
    opened: Opened, symbol: str, name: str, bob: Trader
) -> None:
    bob.played(symbol, "sell 1 @ 100")
    page = opened(f"/m/{symbol}")
    sign_in(page, name)
    page.fill("#field-price", "99.001")
    expect(page.locator("#wrong-price")).to_have_text("price 99.001 is not a multiple of 0.01")
    page.fill("#field-price", "100")
    page.fill("#field-quantity", "2000")
    expect(page.locator("#wrong-quantity")).to_contain_text("200,000 USD needed, 100,000 available")
    page.fill("#field-quantity", "3")
    expect(page.locator(".preview")).to_contain_text("partially filled")
    expect(page.locator(".preview")).to_contain_text("1 BTC at 100")
    place(page, "BUY", "3", "90")
    expect(row(page, symbol, "90.00")).to_contain_text("Open")
    expect(level(page, "bid", "90")).to_have_class(re.compile("is-own"))
    page.click("#own-body >> text=Amend")
    page.fill("#amend-price", "91")
    page.click("dialog[open] button[type=submit]")
    expect(row(page, symbol, "91.00")).to_have_count(1)
    told(page, "Order amended")
    expect(level(page, "bid", "91")).to_contain_text("3.0000")
    page.click("#own-body button:has-text('Cancel')")
    expect(row(page, symbol)).to_have_count(0)
    told(page, "cancelled by you")
    page.click("#tab-history")
    expect(row(page, symbol, "91.00")).to_contain_text("Cancelled by you")


KINDS = {
    "LIMIT": {"price": "90", "quantity": "1", "displayQuantity": "0.1"},
    "STOP": {"stopPrice": "120", "quantity": "1"},
    "STOP_LIMIT": {"stopPrice": "120", "price": "121", "quantity": "1"},
    "TAKE_PROFIT": {"stopPrice": "80", "quantity": "1"},
    "TAKE_PROFIT_LIMIT": {"stopPrice": "80", "price": "81", "quantity": "1"},
    "TRAILING_STOP": {"trailingOffset": "5", "quantity": "1"},
    "OCO": {"price": "80", "stopPrice": "120", "stopLimitPrice": "121", "quantity": "1"},
}


def test_every_kind_is_taken_and_all_are_cancelled_at_once(
    opened: Opened, symbol: str, name: str, bob: Trader, exchange: Live
) -> None:
    bob.played(symbol, "sell 1 @ 100")
    exchange.trader("taker", USD="1000").played(symbol, "buy 1 @ 100")
    page = opened(f"/m/{symbol}")
    sign_in(page, name)
    for number, (kind, values) in enumerate(KINDS.items(), 1):
        page.click(f"#order [data-type={'LIMIT' if kind == 'LIMIT' else 'MORE'}]")
        if kind == "LIMIT":
            page.click("#order summary")
        else:
            page.select_option("#order select[aria-label='Conditional kind']", kind)
        for field, value in values.items():
            page.fill(f"#field-{field}", value)
        page.click("#order button[type=submit]")
        expect(page.locator("#own-body tbody tr")).to_have_count(number + (kind == "OCO"))
    page.click("#order [data-type=MARKET]")
    page.click("#field-quantity + button")
    page.fill("#field-quoteQuantity", "50")
    page.click("#order button[type=submit]")
    told(page, "nobody to trade with")
    page.click("#own-bar >> text=Cancel all")
    page.click("dialog[open] >> text=Cancel all orders")
    expect(page.locator("#own-body tbody tr")).to_have_count(0)


def test_another_market_is_chosen_without_leaving_the_page(
    exchange: Live, opened: Opened, symbol: str, bob: Trader
) -> None:
    other = exchange.market()
    bob.played(symbol, "sell 1 @ 100")
    bob.played(other, "sell 2 @ 250")
    page = opened(f"/m/{symbol}")
    expect(level(page, "ask", "100")).to_be_visible()
    page.evaluate("window.is_the_same = true")
    page.click("#market-button")
    page.click(f"#markets >> text={other}")
    expect(level(page, "ask", "250")).to_be_visible()
    expect(level(page, "ask", "100")).to_have_count(0)
    bob.played(symbol, "sell 1 @ 101")
    bob.played(other, "sell 1 @ 240")
    expect(level(page, "ask", "240")).to_be_visible()
    expect(level(page, "ask", "101")).to_have_count(0)
    page.go_back()
    expect(level(page, "ask", "101")).to_be_visible()
    assert page.evaluate("window.is_the_same")


def test_a_refusal_is_said_in_the_exchanges_own_words(opened: Opened, symbol: str, name: str, exchange: Live) -> None:
    page = opened(f"/m/{symbol}")
    sign_in(page, name)
    halted = exchange.staff.call("PATCH", f"/markets/{symbol}", {"status": "HALTED", "reason": "a test"})
    assert halted.status_code == 200
    # A process knows the status within a second.
    page.wait_for_timeout(1100)
    place(page, "BUY", "1", "100")
    expect(page.locator("#order .note[role=alert]")).to_contain_text(f"{symbol} is HALTED")
    expect(page.locator("#market-status")).to_contain_text("Trading is halted", timeout=8000)
    expect(page.locator("#ladder .middle")).to_contain_text("halted")


def test_what_happened_while_the_connection_was_away_is_seen_after_it(
    exchange: Live, opened: Opened, symbol: str, name: str, bob: Trader
) -> None:
    """The process with the stream is killed while a trade waits for the worker, which matches while nobody listens."""
    page = opened(f"/m/{symbol}")
    sign_in(page, name)
    place(page, "BUY", "2", "100")
    expect(row(page, symbol, "100.00")).to_contain_text("Open")
    web, worker = exchange.processes["web"], exchange.processes["worker"].running
    assert worker
    worker.send_signal(signal.SIGSTOP)
    bob.place(symbol, "sell 1 @ 100")
    web.kill()
    expect(page.locator("#state")).to_have_text(re.compile("Reconnecting|Connecting"))
    worker.send_signal(signal.SIGCONT)
    waiting = "from commands.models import Command; print(Command.objects.count())"
    wait_for(lambda: exchange.evaluate(waiting), lambda printed: printed == "0")
    web.start()
    expect(page.locator("#state")).to_have_text("Live", timeout=20_000)
    expect(page.locator("#trades tbody tr").first).to_contain_text("1.0000")
    expect(row(page, symbol, "100.00")).to_contain_text("Partially filled")
    expect(level(page, "bid", "100")).to_contain_text("1.0000")
    told(page, "Bought 1 BTC")
    bob.played(symbol, "sell 1 @ 100")
    expect(row(page, symbol)).to_have_count(0)


def test_a_key_is_made_shown_once_and_revoked_and_a_password_changed(opened: Opened, name: str) -> None:
    page = opened("/account")
    sign_in(page, name)
    page.fill("#account-label", "my program")
    page.click("text=Make a key")
    assert re.fullmatch("[0-9a-f]{64}", page.text_content("[data-secret]") or "")
    page.click("text=I have kept it")
    expect(page.locator("[data-secret]")).to_have_count(0)
    page.click("text=Revoke")
    expect(page.locator("#account")).to_contain_text("No keys.")
    page.fill("#account-currentPassword", "wrong")
    page.fill("#account-newPassword", "another long password")
    page.click("text=Change the password")
    expect(page.locator("#account .note:not([hidden])")).to_be_visible()
    page.fill("#account-currentPassword", "exchange-demo")
    page.fill("#account-newPassword", "another long password")
    page.click("text=Change the password")
    told(page, "Password changed")
    page.reload()
    expect(page.locator("#who")).to_contain_text(name)
    page.click("#who >> text=Sign out")
    expect(page.locator("#account")).to_contain_text("Nobody is signed in")


def test_a_tab_that_was_duplicated_does_not_sign_the_other_out(opened: Opened, name: str) -> None:
    """Its copy of the refresh token is used up by whichever comes first, and the other takes the next one."""
    page = opened("/account")
    sign_in(page, name)
    kept = json.dumps(page.evaluate("sessionStorage.session"))
    copy = page.context.new_page()
    copy.add_init_script(f"sessionStorage.session ??= {kept}")
    copy.goto("/account")
    for tab in (copy, page, copy, page):
        expect(tab.locator("#account")).to_contain_text("API keys")
        tab.reload()
    expect(page.locator("#account")).to_contain_text("API keys")
    assert page.evaluate("sessionStorage.session") != json.loads(kept)
