"""The snippets of clients/README.md as they stand there: pasted into a shell, and opened in a browser."""

import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from clients.python.clearbell import limit, market
from tests.clients.conftest import played
from tests.support.live import Live, wait_for
from tools.rig.exchange import web
from tools.rig.process import ROOT
from tools.rig.servers import free_port
from tools.rig.trader import PASSWORD

README = (ROOT / "clients" / "README.md").read_text()
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def quotes(client, symbol):
    return sorted((each.side, str(each.price)) for each in client.each_order(symbol=symbol, active=True))


def a_market_that_traded(exchange, connect):
    symbol = exchange.market()
    alice, bob = connect("alice", USD="10000", BTC="10"), connect("bob", USD="10000", BTC="10")
    played(bob, limit(symbol, "BUY", "1", "100"))
    played(alice, market(symbol, "SELL", "1"))
    return symbol, alice, bob


def test_what_is_pasted_into_a_shell_trades_and_records(exchange: Live, connect, tmp_path):
    symbol, alice, bob = a_market_that_traded(exchange, connect)
    common, quote, grid, record = blocks("sh")
    variables = {"EXCHANGE": exchange.url, "SYMBOL": symbol, "NAME": alice.conversations.credentials.username}
    variables |= {"PASSWORD": PASSWORD, "TURNS": "1", "PAUSE": "0", "PATH": "/usr/bin:/bin", "LAST": "100"}

    def paste(*parts: str) -> None:
        finished = subprocess.run(
            ["sh", "-eu", "-c", "\n".join((common, *parts))],
            env=variables, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (finished.returncode, finished.stderr) == (0, ""), finished.stderr
        assert '"error"' not in finished.stdout, finished.stdout

    paste(quote)
    wait_for(lambda: quotes(alice, symbol), lambda found: found == [("BUY", "99.5"), ("SELL", "100.5")])
    paste(grid)
    wait_for(lambda: len(quotes(alice, symbol)), lambda count: count == 8)
    paste(record)
    played(bob, market(symbol, "BUY", "0.01"))
    paste(record, record)
    rows = [line.split(",") for line in (tmp_path / "candles.csv").read_text().splitlines()]
    wanted = [[str(each.open), str(each.high), str(each.close), str(each.trades)] for each in alice.klines(symbol)]
    assert [[row[1], row[2], row[4], row[7]] for row in rows] == wanted
    assert {len(row) for row in rows} == {8}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def site(exchange: Live, tmp_path: Path) -> Iterator[tuple[str, str, Path]]:
    """A site of one's own, an exchange that lets it in, and the folder of its pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin, port = f"http://127.0.0.1:{server.server_port}", free_port()
    process = exchange.launch(web(port, name="web-for-a-site"), CORS_ORIGINS=origin)
    process.wait_until_ready()
    yield origin, f"http://127.0.0.1:{port}", tmp_path
    process.end(signal.SIGTERM)
    server.shutdown()
    server.server_close()


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM HERE: the snippet is NOT TESTED (apt install chromium)")
def test_what_is_opened_in_a_browser_trades_and_records(exchange: Live, connect, site):
    symbol, alice, bob = a_market_that_traded(exchange, connect)
    origin, address, folder = site
    page_text = "\n".join(blocks("html")).replace("http://127.0.0.1:8000", address).replace('"BTC-USD"', f'"{symbol}"')
    (folder / "bot.html").write_text(page_text)
    name = alice.conversations.credentials.username
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{origin}/bot.html")
        candles = page.evaluate("recordCandles('1m')")
        assert candles.endswith(",100,100,100,100,1")
        page.evaluate("([name, password]) => signIn(name, password)", [name, PASSWORD])
        page.evaluate("async () => { window.grid = await makeGrid(100, 1, 2, '1'); }")
        placed = [("BUY", "98"), ("BUY", "99"), ("SELL", "101"), ("SELL", "102")]
        _until(page, lambda: quotes(alice, symbol), placed)
        played(bob, market(symbol, "BUY", "1"))
        _until(page, lambda: quotes(alice, symbol), [("BUY", "100"), ("BUY", "98"), ("BUY", "99"), ("SELL", "102")])
        page.evaluate("() => { window.grid.close(); makeMarket('1', 0.02); }")
        # Both sides of what it sees are its own: the middle is theirs.
        _until(page, lambda: quotes(alice, symbol), [("BUY", "99.99"), ("SELL", "102.01")])
        page.reload()
        assert page.evaluate("recordCandles('1m')").count("\n") == len(alice.klines(symbol)) - 1
        browser.close()


def _until(page, read, wanted):
    for _ in range(100):
        if (found := read()) == wanted:
            return
        page.wait_for_timeout(100)
    assert found == wanted
