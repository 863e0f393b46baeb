"""The restore, practised: python -m tools.chaos.drill [--seconds N]

A copy is taken while the exchange trades and read into another server, where both audits must find nothing. Then the
exchange goes on from the copy, which is older than what its clients have heard, and must tell them so.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.live import WORKER, Live, Trader, prepare_exchange, wait_for
from tools.chaos.report import Report
from tools.rig.packages import UnavailableError
from tools.rig.process import Server
from tools.rig.servers import start_mysql, start_redis
from tools.scripts.backup import dump, restore

# As docker-compose.yml starts it.
OPTIONS = ("--server-id=1", "--gtid-mode=ON", "--enforce-gtid-consistency=ON")
FUNDS = {"BTC": "1000000", "USD": "1000000000"}
SETTINGS = {"DEMO": "1", "ACCESS_TOKEN_MINUTES": "1000"}
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
            live = prepare_exchange(self.folder, first.url, redis, **SETTINGS)
            stack.callback(live.stop)
            self._start(live)
            symbol = live.market()
            alice, bob = live.trader("alice", **FUNDS), live.trader("bob", **FUNDS)
            with live.stream(alice) as stream:
                assert stream.next()
                with trading(symbol, alice, bob):
                    file = self._copy_while_it_trades(live, first)
                last = stream.take(1_000_000, timeout=2)[-1].id
            self.report.add("last event that a client heard", str(last))
            live.stop()
            second = stack.enter_context(start_mysql(self.folder / "second", durable=True, options=OPTIONS))
            self._read_copy(live, file, second)
            self._go_on(live, symbol, alice, bob, str(last))
        return self.report

    def _start(self, live: Live) -> None:
        live.run("worker", *WORKER)
        live.run_beat()
        live.run_web()

    def _copy_while_it_trades(self, live: Live, server: Server) -> Path:
        """The dump, begun and ended in the middle of the trading."""
        file = self.folder / "exchange.sql.gz"
        time.sleep(self.seconds / 2)
        before = int(live.manage("shell", "-v", "0", "-c", ORDERS))
        began = time.monotonic()
        position = dump(server.url, file)
        self.report.add("dump", f"{time.monotonic() - began:.1f} s, {file.stat().st_size / 1e6:.1f} MB, at {position}")
        after = int(live.manage("shell", "-v", "0", "-c", ORDERS))
        self.report.add("orders before the dump, and after it", f"{before} and {after}")
        if not position or not before < after:
            self.report.wrong.append("the dump was not taken from an exchange that traded")
        time.sleep(self.seconds / 2)
        return file

    def _read_copy(self, live: Live, file: Path, server: Server) -> None:
        began = time.monotonic()
        restore(file, server.url)
        self.report.add("restore", f"{time.monotonic() - began:.1f} s")
        live.environment["DATABASE_URL"] = server.url
        self.report.add("orders in the copy", live.manage("shell", "-v", "0", "-c", ORDERS).strip())
        for arguments in (("--full",), ("--replay", "all")):
            # An audit with findings, or that could not run, does not end with 0: `manage` says what it printed.
            told = json.loads(live.manage("audit", *arguments, "--json"))
            rows = sum(told["looked"].values())
            self.report.add(f"audit {arguments[0]}", f"{len(told['findings'])} findings, {rows} rows looked at")

    def _go_on(self, live: Live, symbol: str, alice: Trader, bob: Trader, last: str) -> None:
        """On the copy: the client that comes back is told to read again, and orders are matched."""
        self._start(live)
        with live.stream(alice, last_event_id=last) as stream:
            told = [event.type for event in stream.take(2)]
            self.report.add("a client that resumes after an event that is no more is told", ", ".join(told))
            if "stream-reset" not in told:
                self.report.wrong.append(f"the client was told {told}")
            for trader, line in ((bob, "sell 1 @ 100"), (alice, "buy 1 @ 100")):
                order = trader.played(symbol, line)
                if order["status"] == "REJECTED":
                    self.report.wrong.append(f"after the restore: {order}")
        live.manage("audit", "--full")
        self.report.add("after the restore", "orders are matched, and the audit is clean")


@contextmanager
def trading(symbol: str, alice: Trader, bob: Trader) -> Iterator[None]:
    """Both place one order after the other, at one price, until the end of the block."""
    done = threading.Event()

    def place(trader: Trader, line: str) -> None:
        while not done.is_set():
            trader.place(symbol, line)

    threads = [
        threading.Thread(target=place, args=pair) for pair in ((alice, "buy 0.1 @ 100"), (bob, "sell 0.1 @ 100"))
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
    wait_for(lambda: alice.get("/orders?status=PENDING"), lambda orders: not orders)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.chaos.drill", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="how long it trades (default 10)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="exchange-drill-") as folder:
        try:
            report = Drill(Path(folder), options.seconds).run()
        except (UnavailableError, httpx.TransportError) as error:
            print(error, file=sys.stderr)
            return 2
    print(report.text())
    return bool(report.wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
