"""The restore, practised: python -m tools.chaos.drill [--seconds N]

A copy is taken while the exchange trades and read into another server, where both audits must find nothing. Then the
exchange goes on from the copy, which is older than what its clients have received, and must reset their streams.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from tools.chaos.exchange import SETTINGS
from tools.chaos.report import Report
from tools.rig import exchange
from tools.rig.events import ORDER_STATUS, RESET, Event, EventThread
from tools.rig.exchange import Exchange
from tools.rig.packages import UnavailableError
from tools.rig.process import NotReadyError, Server, wait_for
from tools.rig.servers import start_mysql, start_redis
from tools.rig.trader import Trader
from tools.scripts.backup import dump, restore

# As docker-compose.yml starts it.
OPTIONS = ("--server-id=1", "--gtid-mode=ON", "--enforce-gtid-consistency=ON")
FUNDS = {"BTC": "1000000", "USD": "1000000000"}
ORDERS = "from orders.models import Order; print(Order.objects.count())"


@dataclass
class Drill:
    """Two servers one after the other, and one exchange on them."""

    folder: Path
    seconds: float
    report: Report = field(default_factory=lambda: Report("Restore", []))

    def run(self) -> Report:
        with ExitStack() as stack:
            first = stack.enter_context(start_mysql(self.folder / "first", durable=True, options=OPTIONS))
            redis = stack.enter_context(start_redis(self.folder / "redis"))
            running = Exchange(exchange.prepare(self.folder, first.url, redis, **SETTINGS), self.folder)
            stack.callback(running.end)
            self._start(running)
            symbol = running.market()
            alice, bob = running.trader("alice", **FUNDS), running.trader("bob", **FUNDS)
            events: list[Event] = []
            with EventThread(running.url, ORDER_STATUS, events.append, token=alice.token):
                wait_for(lambda: [event for event in events if event.kind == "connected"])
                with trading(symbol, alice, bob):
                    file = self._copy_while_it_trades(running, first)
                # The last of what is under way.
                time.sleep(2)
            last = events[-1].id
            self.report.add("last event that a client received", last)
            running.end()
            second = stack.enter_context(start_mysql(self.folder / "second", durable=True, options=OPTIONS))
            self._read_copy(running, file, second)
            self._go_on(running, symbol, alice, bob, last)
        return self.report

    def _start(self, running: Exchange) -> None:
        running.run(exchange.worker(), exchange.beat(), exchange.web(running.port))

    def _copy_while_it_trades(self, running: Exchange, server: Server) -> Path:
        """The dump, begun and ended in the middle of the trading."""
        file = self.folder / "exchange.sql.gz"
        time.sleep(self.seconds / 2)
        before = int(running.evaluate(ORDERS))
        began = time.monotonic()
        position = dump(server.url, file)
        self.report.add("dump", f"{time.monotonic() - began:.1f} s, {file.stat().st_size / 1e6:.1f} MB, at {position}")
        after = int(running.evaluate(ORDERS))
        self.report.add("orders before the dump, and after it", f"{before} and {after}")
        if not position or not before < after:
            self.report.wrong.append("the dump was not taken from an exchange that traded")
        time.sleep(self.seconds / 2)
        return file

    def _read_copy(self, running: Exchange, file: Path, server: Server) -> None:
        began = time.monotonic()
        restore(file, server.url)
        self.report.add("restore", f"{time.monotonic() - began:.1f} s")
        running.environment["DATABASE_URL"] = server.url
        self.report.add("orders in the copy", running.evaluate(ORDERS))
        for arguments in (("--full",), ("--replay", "all")):
            # An audit with findings, or that could not run, does not end with 0, and `manage` raises what it printed.
            result = json.loads(running.manage("audit", *arguments, "--json"))
            rows = sum(result["looked"].values())
            self.report.add(f"audit {arguments[0]}", f"{len(result['findings'])} findings, {rows} rows looked at")

    def _go_on(self, running: Exchange, symbol: str, alice: Trader, bob: Trader, last: str) -> None:
        """On the copy: the stream of a client that comes back is reset, and orders are matched."""
        self._start(running)
        kinds: list[str] = []
        with EventThread(
            running.url, ORDER_STATUS, lambda event: kinds.append(event.kind), token=alice.token, last_event_id=last
        ):
            wait_for(lambda: len(kinds), lambda count: count >= 3)
            self.report.add("a client that resumes after an event that is no more receives", ", ".join(kinds[1:3]))
            if RESET not in kinds[1:3]:
                self.report.wrong.append(f"the client received {kinds}")
            for trader, side in ((bob, "SELL"), (alice, "BUY")):
                order_id = place(trader, symbol, side, "1")
                order = wait_for(partial(trader.get, f"/orders/{order_id}"), lambda order: order["status"] != "PENDING")
                if order["status"] == "REJECTED":
                    self.report.wrong.append(f"after the restore: {order}")
        running.manage("audit", "--full")
        self.report.add("after the restore", "orders are matched, and the audit is clean")


@contextmanager
def trading(symbol: str, alice: Trader, bob: Trader) -> Iterator[None]:
    """Both place one order after the other, at one price, until the end of the block."""
    done = threading.Event()

    def trade(trader: Trader, side: str) -> None:
        while not done.is_set():
            place(trader, symbol, side, "0.1")

    with ThreadPoolExecutor(2) as pool:
        traders = [pool.submit(trade, alice, "BUY"), pool.submit(trade, bob, "SELL")]
        try:
            yield
        finally:
            done.set()
    for each in traders:
        each.result()
    wait_for(lambda: alice.get("/orders?status=PENDING"), lambda orders: not orders)


def place(trader: Trader, symbol: str, side: str, quantity: str) -> int:
    """A LIMIT order at the price that all use; its id."""
    order = {"symbol": symbol, "side": side, "type": "LIMIT", "price": "100", "quantity": quantity}
    answer = trader.call("POST", "/orders", order)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    order_id: int = answer.json()["data"]["orderId"]
    return order_id


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.chaos.drill", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="how long it trades (default 10)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="exchange-drill-") as folder:
        try:
            report = Drill(Path(folder), options.seconds).run()
        except (UnavailableError, NotReadyError, httpx.TransportError) as error:
            print(error, file=sys.stderr)
            return 2
    print(report.text())
    return bool(report.wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
