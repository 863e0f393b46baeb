"""A failover to a replica that lacks the last seconds, and what must hold although accepted orders are lost."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.chaos.checks import Findings, all_orders, check_rows, wait_until_idle
from tools.chaos.clients import Client, trading
from tools.chaos.exchange import SYMBOLS, Exchange
from tools.chaos.kills import report_clients, report_findings
from tools.chaos.laps import listening
from tools.chaos.replicas import Pair
from tools.chaos.report import Report
from tools.chaos.views import MarketView, OrdersView, View, wait_until_equal
from tools.rig.trader import connect

CLIENTS, LISTENERS = 4, 2
PAUSE_SECONDS = 0.08
BEFORE_SECONDS, LAG_SECONDS, DOWN_SECONDS, AFTER_SECONDS = 2.0, 2.5, 1.0, 4.0
CATCH_UP_SECONDS = 10.0
LOOKED_UP = 50
BALANCES = """
import json
from balances.models import Balance
balances = Balance.objects.filter(user_id__in={users})
print(json.dumps([[each.user_id, each.currency_id, str(each.total)] for each in balances]))
"""
DEPTH = """
import json
from marketdata.depth import read_depth
print(json.dumps({{symbol: read_depth(symbol, 20) for symbol in {symbols}}}))
"""


@dataclass
class LostCommits:
    """With `acts` the operator does what the runbook says before clients may connect."""

    exchange: Exchange
    pair: Pair
    seed: int
    acts: bool
    report: Report = field(default_factory=lambda: Report("Failover to a replica that lags", []))

    def run(self) -> Report:
        traders = self.exchange.traders(CLIENTS)
        clients = [Client(trader, number, self.seed, PAUSE_SECONDS) for number, trader in enumerate(traders)]
        views: list[View] = [OrdersView(self.exchange.url, client.trader) for client in clients[:LISTENERS]]
        views.append(MarketView(self.exchange.url, SYMBOLS[0]))
        with listening(*views), trading(clients):
            time.sleep(BEFORE_SECONDS)
            has_all_until = self._fail_over(clients)
            time.sleep(AFTER_SECONDS)
            for client in clients:
                client.paused.set()
            self._compare(views)
        idle_after = wait_until_idle(self.exchange)
        if idle_after is None:
            self.report.wrong.append("commands still waited at the end")
        self._check(clients, has_all_until)
        return self.report

    def _fail_over(self, clients: list[Client]) -> float:
        """Returns the instant up to which the replica has everything."""
        has_all_until = time.monotonic()
        self.pair.catch_up()
        self.pair.fall_behind()
        time.sleep(LAG_SECONDS)
        for client in clients:
            client.forgives = True
        self.pair.lose_primary()
        time.sleep(DOWN_SECONDS)
        self.exchange.database = self.pair.replica
        if self.acts:
            self.exchange.manage("after_lost_commits", DATABASE_URL=self.pair.replica.url)
        self.pair.promote()
        return has_all_until

    def _compare(self, views: list[View]) -> None:
        deadline = time.monotonic() + CATCH_UP_SECONDS
        for view in views:
            _, differences = wait_until_equal(view, deadline)
            self.report.wrong += [f"a view differs from REST: {what}" for what in differences]
            self.report.wrong += view.mistakes
            # A market's stream sends no ids: it is cut, and begins with the whole book.
            if isinstance(view, OrdersView) and not view.resets:
                self.report.wrong.append("a stream that was ahead of the database was not reset")
        self.report.add("streams reset", str(sum(view.resets for view in views)))

    def _check(self, clients: list[Client], has_all_until: float) -> None:
        findings = Findings()
        for client in clients:
            findings.wrong += client.mistakes
            self._check_orders(client, has_all_until, findings)
        self._check_ids(clients, findings)
        check_rows(self.exchange, findings)
        self.report.wrong += [*findings.wrong, *self._caches_that_lie(clients)]
        report_clients(self.report, self.exchange, clients)
        self.report.add("accepted orders that the replica lacked", str(findings.lost))
        findings.lost = 0
        report_findings(self.report, findings)

    def _check_orders(self, client: Client, has_all_until: float, findings: Findings) -> None:
        stored = {order["clientOrderId"]: order for order in all_orders(client.trader)}
        for order in stored.values():
            findings.orders += 1
            findings.statuses[order["status"]] += 1
            if order["status"] in ("PENDING", "FAILED"):
                findings.stuck += order["status"] == "PENDING"
                findings.wrong.append(f"order {order['orderId']} is {order['status']} ({order['reason']})")
        for key, order_id in client.accepted.items():
            found = stored.pop(key, None)
            if found is None:
                findings.lost += 1
                if client.accepted_at[key] < has_all_until:
                    findings.wrong.append(f"{key} was accepted while the replica followed, and is lost")
            elif found["orderId"] != order_id:
                findings.wrong.append(f"{key} was accepted as order {order_id}, stored is {found['orderId']}")
        findings.doubled += len(stored)
        findings.wrong += [f"no answer named {key}, which is stored" for key in stored]

    def _check_ids(self, clients: list[Client], findings: Findings) -> None:
        """The id of a lost order names nothing: for its owner it is unknown, and no other order has it."""
        if not self.acts:
            return
        for client in clients:
            known = {order["orderId"]: order["clientOrderId"] for order in all_orders(client.trader)}
            lost = [number for key, number in client.accepted.items() if known.get(number) != key]
            for number in [*lost, *client.placed_again]:
                if (answer := client.trader.call("GET", f"/orders/{number}")).status_code != 404:
                    findings.wrong.append(f"the lost order {number} is answered {answer.status_code} {answer.text}")
            for number in list(known)[:LOOKED_UP]:
                if (answer := client.trader.call("GET", f"/orders/{number}")).status_code != 200:
                    findings.wrong.append(f"order {number} is there, and is answered {answer.status_code}")
        lost_ids = {number for client in clients for number in client.placed_again}
        reissued = lost_ids & {number for client in clients for number in client.accepted.values()}
        findings.wrong += [f"the id {number} of a lost order was given to another" for number in sorted(reissued)]

    def _caches_that_lie(self, clients: list[Client]) -> Iterator[str]:
        """What REST answers beside the rows themselves, now that nobody trades."""
        users = [client.trader.user_id for client in clients]
        rows = json.loads(self.exchange.evaluate(BALANCES.format(users=users)))
        stored = {(user, currency): total for user, currency, total in rows}
        for client in clients:
            for balance in client.trader.get(f"/balances/{client.trader.user_id}"):
                expected = stored.get((client.trader.user_id, balance["currency"]), "0")
                if float(balance["totalBalance"]) != float(expected):
                    yield f"user {client.trader.user_id} has {expected} {balance['currency']}, REST says {balance}"
        http = connect(self.exchange.url)
        for symbol, depth in json.loads(self.exchange.evaluate(DEPTH.format(symbols=list(SYMBOLS)))).items():
            answered = http.get(f"/orderbook/{symbol}?limit=20").json()["data"]
            if (answered["sequence"], answered["bids"]) != (depth["sequence"], depth["bids"]):
                yield f"the book of {symbol} is {depth}, REST says {answered}"
