"""Photograph the running demo for the README: python -m tools.scripts.pictures (needs Chromium, the browser, installed)

A demo of its own trades for a while, Flower watches it, and a browser looks at both as a trader and an operator would.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tools.demo.cast import PASSWORD
from tools.rig.exchange import answers
from tools.rig.process import ROOT, Process
from tools.rig.servers import free_port

PICTURES = ROOT / "docs" / "pictures"
TRADING_SECONDS = 150
WATCHER = ("admin", PASSWORD)
SIZE = ViewportSize(width=1280, height=860)
TRADER, SYMBOL = "alice", "BTC-USD"
WIDE, PHONE = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("no Chromium here: install the browser first", file=sys.stderr)
        return 1
    PICTURES.mkdir(exist_ok=True)
    port, flower_port = free_port(), free_port()
    os.environ["FLOWER_URL"] = f"http://127.0.0.1:{flower_port}"
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        _running(folder, "tools.demo", port, "/health/ready"),
        _running(folder, "tools.demo.flower", flower_port),
    ):
        print(f"trading for {TRADING_SECONDS} s", flush=True)
        time.sleep(TRADING_SECONDS)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        _photograph_page(browser, f"http://127.0.0.1:{port}")
        _photograph_admin(browser, f"http://127.0.0.1:{port}")
        _photograph_flower(browser, f"http://127.0.0.1:{flower_port}")
        browser.close()
    return 0


def _photograph_page(browser: Browser, address: str) -> None:
    """In light and dark with a trader's own orders, and on a phone as it is first seen."""
    _trade_a_little(address)
    for name, scheme in (("page-light", "light"), ("page-dark", "dark")):
        context = browser.new_context(viewport=WIDE, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(address)
        page.get_by_role("button", name=TRADER, exact=True).first.click()
        page.get_by_role("button", name="Sign in", exact=True).wait_for(state="hidden")
        _keep(page, name)
        context.close()
    phone = browser.new_context(viewport=PHONE, has_touch=True, device_scale_factor=2)
    page = phone.new_page()
    page.goto(address)
    _keep(page, "page-phone")
    phone.close()


def _trade_a_little(address: str) -> None:
    """A position, and an order on each side that rests among those of the others."""
    with httpx.Client(base_url=f"{address}/api/v1", trust_env=False) as http:
        signed_in = http.post("/auth/token", json={"username": TRADER, "password": PASSWORD}).json()["data"]
        http.headers["Authorization"] = f"Bearer {signed_in['accessToken']}"
        book = http.get(f"/orderbook/{SYMBOL}").json()["data"]
        for order in (
            {"side": "BUY", "type": "MARKET", "quantity": "0.05"},
            {"side": "BUY", "type": "LIMIT", "price": book["bids"][3]["price"], "quantity": "0.02"},
            {"side": "SELL", "type": "LIMIT", "price": book["asks"][4]["price"], "quantity": "0.03"},
        ):
            http.post("/orders", json={"symbol": SYMBOL, **order}).raise_for_status()


def _photograph_admin(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport=SIZE)
    page.goto(f"{address}/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", PASSWORD)
    page.click("input[type=submit]")
    _keep(page, "dashboard")
    page.goto(f"{address}/admin/orders/order/?status__exact=FILLED")
    page.click("#result_list tbody tr:first-child th a")
    _keep(page, "admin-order")
    page.goto(f"{address}/swagger-ui.html")
    page.fill("[name=username]", TRADER)
    page.fill("[name=password]", PASSWORD)
    page.click("#sign-in button")
    page.wait_for_selector("#sign-out:visible")
    page.click("#operations-tag-orders")
    page.wait_for_selector(".opblock")
    _keep(page, "swagger")


def _photograph_flower(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport=SIZE, http_credentials={"username": WATCHER[0], "password": WATCHER[1]})
    runs = httpx.get(f"{address}/api/tasks", params={"search": "result:tradeId"}, auth=WATCHER, trust_env=False).json()
    # The one with most to show.
    run = max(runs, key=lambda run: len(runs[run]["result"]))
    page.goto(f"{address}/task/{run}")
    page.wait_for_selector("#task-page")
    _keep(page, "flower")


def _keep(page: Page, name: str) -> None:
    page.wait_for_timeout(1500)
    page.screenshot(path=PICTURES / f"{name}.png")
    print(f"docs/pictures/{name}.png", flush=True)


def _running(folder: str, module: str, port: int, path: str = "/healthcheck") -> Process:
    """A program of the demo, once it answers."""
    command = (sys.executable, "-m", module, "--port", str(port))
    variables = {**os.environ, "DATA_DIR": folder}
    return Process(module, command, Path(folder) / f"{module}.log", variables, lambda _: answers(port, path)).start()


if __name__ == "__main__":
    sys.exit(main())
