"""What must be true when everything runs again and nothing waits: nothing lost, nothing doubled, nothing stuck."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tools.chaos.clients import Client
from tools.chaos.exchange import SYMBOLS
from tools.rig.exchange import Exchange
from tools.rig.trader import Trader

# Long enough for a busy machine that has a minute of orders to make up for.
DRAIN_SECONDS = 120
# In one process, because each takes a second to start.
WAIT = f"""
import time
from commands.models import Command
began = time.monotonic()
while Command.objects.exists() and time.monotonic() < began + {DRAIN_SECONDS}:
    time.sleep(0.2)
print(time.monotonic() - began)
"""
AUDITS = (("audit", "--full"), ("audit", "--replay", "all"))
PAGE = 500


@dataclass
class Findings:
    """What was counted at the end, and everything that should not be, in words."""

    orders: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    audits: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def wait_until_idle(exchange: Exchange) -> float | None:
    """How long it took until no order was PENDING and no cancel waited; None if some still do after so long."""
    waited = float(exchange.evaluate(WAIT))
    return waited if waited < DRAIN_SECONDS else None


def waiting_commands(exchange: Exchange) -> int:
    """REST shows orders that wait, but not their cancels."""
    return _count(exchange, "commands.models", "Command")


def _count(exchange: Exchange, module: str, model: str) -> int:
    """Asked of the database itself."""
    return int(exchange.evaluate(f"from {module} import {model}; print({model}.objects.count())"))


def check(exchange: Exchange, clients: list[Client]) -> Findings:
    """All checks. Whatever is wrong is in the findings, whatever else is wrong beside it."""
    findings = Findings()
    for client in clients:
        findings.wrong += client.mistakes
        _check_orders(client, findings)
    check_rows(exchange, findings)
    return findings


def check_rows(exchange: Exchange, findings: Findings) -> None:
    """What must be true of the stored rows, whatever clients were answered."""
    for symbol in SYMBOLS:
        status = exchange.staff.get(f"/markets/{symbol}")["status"]
        if status != "TRADING":
            findings.wrong.append(f"{symbol} is {status}: an outage must not halt a market")
    if letters := _count(exchange, "matching.models", "DeadLetter"):
        findings.wrong.append(f"{letters} dead letters: an outage must not make a command fail")
    for command in AUDITS:
        _audit(exchange, command, findings)


def _check_orders(client: Client, findings: Findings) -> None:
    """Each order that was accepted is there once, with the id of the answer, and no other order is there."""
    stored: dict[str, list[int]] = defaultdict(list)
    for order in all_orders(client.trader):
        findings.orders += 1
        findings.statuses[order["status"]] += 1
        stored[order["clientOrderId"]].append(order["orderId"])
        if order["status"] in ("PENDING", "FAILED"):
            findings.stuck += order["status"] == "PENDING"
            findings.wrong.append(f"order {order['orderId']} is {order['status']} ({order['reason']})")
    for key, order_id in client.accepted.items():
        found = stored.pop(key, [])
        findings.lost += order_id not in found
        findings.doubled += len(found) > 1
        if found != [order_id]:
            findings.wrong.append(f"{key} was accepted as order {order_id}, stored are {found}")
    for key in client.unknown:
        stored.pop(key, None)
    # Each other request was asked until it was answered, so nothing else may be stored that no answer named.
    findings.doubled += len(stored)
    findings.wrong += [f"no answer named {key}, stored as {found}" for key, found in stored.items()]


def all_orders(trader: Trader) -> Iterator[dict[str, Any]]:
    cursor = ""
    while True:
        answer = trader.call("GET", f"/orders?limit={PAGE}{cursor}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield from page["data"]
        if page["nextCursor"] is None:
            return
        cursor = f"&cursor={page['nextCursor']}"


def _audit(exchange: Exchange, command: tuple[str, ...], findings: Findings) -> None:
    started = time.monotonic()
    done = exchange.try_to_manage(*command)
    title = " ".join(command)
    findings.audits.append(f"{title}: exit code {done.returncode}, {time.monotonic() - started:.1f} s")
    if done.returncode:
        findings.wrong.append(f"{title} found: {(done.stdout + done.stderr)[-4000:]}")
