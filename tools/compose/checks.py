"""What is looked at in a running stack: its containers, its figures, a trade through nginx, all money at the end."""

import re
from functools import partial
from typing import Any

import httpx

from tools.chaos.checks import all_orders, check, wait_until_idle
from tools.chaos.clients import Client, placed, total
from tools.chaos.drill import place
from tools.chaos.kills import in_words_of
from tools.compose.stack import Stack
from tools.compose.verdicts import Step
from tools.rig.events import ORDER_STATUS, RESET, Event, EventThread
from tools.rig.process import HOST, wait_for
from tools.rig.trader import Trader

# The servers of others that write into their own image, beside their volume.
WRITING = {"mysql", "rabbitmq", "grafana"}
READY_SECONDS = 60
SCRAPE_SECONDS = 60
UPDATE = "order-status-update"


def containers(running: Stack, step: Step) -> None:
    """That nobody is root, nothing may be written, and no power is kept, in the process that each container is for."""
    for service in running.running():
        host = running.inspect(service)["HostConfig"]
        lines = running.compose("exec", "-T", service, "cat", "/proc/1/status").splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        if (host["ReadonlyRootfs"], host["CapDrop"]) != (service not in WRITING, ["ALL"]):
            step.wrong.append(f"{service}: {host['ReadonlyRootfs']}, {host['CapDrop']}")
        held = (status["Uid"].split()[1] == "0", int(status["CapEff"], 16), status["NoNewPrivs"])
        if held != (False, 0, "1"):
            step.wrong.append(f"{service} runs as {status['Uid']} with {status['CapEff']}")
    routes = running.compose("exec", "-T", "worker-others", "cat", "/proc/net/route")
    if re.search(r"^\w+\t00000000\t", routes, re.MULTILINE):
        step.wrong.append("a worker has a way out of the network back")
    step.seen.append(f"{len(running.running())} containers, none of them root")


def untouched(running: Stack, step: Step, kills: dict[str, int]) -> None:
    """That no container was started again but for what was done to it: for want of memory, for example."""
    for service in running.running():
        facts = running.inspect(service)
        if facts["State"]["OOMKilled"] or facts["RestartCount"] != kills.get(service, 0):
            step.wrong.append(f"{service} was started again {facts['RestartCount']} times: {facts['State']}")


def is_ready(running: Stack) -> Any:
    """The answer of /health/ready through nginx, if all is well."""
    try:
        answer = httpx.get(f"{running.url}/health/ready", timeout=5, trust_env=False)
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == httpx.codes.OK and answer.json()["status"] == "ok" else None


def figures(running: Stack, step: Step, away: str = "") -> None:
    """What operators look at: /health/ready, and in Prometheus each process's figures; one of them may be elsewhere."""
    ready = wait_for(partial(is_ready, running), seconds=READY_SECONDS)
    assert {ready["database"], ready["redis"]} == {"ok"}, ready
    assert httpx.get(f"{running.url}/metrics", trust_env=False).status_code == httpx.codes.NOT_FOUND
    targets = partial(prometheus, running, "targets")
    up = wait_for(targets, lambda answer: down(answer) <= {f"{away}:9100"}, SCRAPE_SECONDS)
    trades = partial(prometheus, running, "query?query=sum(exchange_trades_total)")
    counted = wait_for(
        trades, lambda answer: answer["result"] and float(answer["result"][0]["value"][1]) > 0, SCRAPE_SECONDS
    )
    rules = [rule for group in prometheus(running, "rules")["groups"] for rule in group["rules"]]
    step.wrong += [f"alert {rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] == "err"]
    step.seen += [
        f"ready: {ready['workers']}",
        f"{len(up['activeTargets']) - len(down(up))} targets up, {len(rules)} alerts",
        f"{counted['result'][0]['value'][1]} trades",
    ]


def down(answer: Any) -> set[str]:
    targets = answer["activeTargets"]
    assert targets
    return {target["labels"]["instance"] for target in targets if target["health"] != "up"}


def prometheus(running: Stack, path: str) -> Any:
    return httpx.get(f"http://{HOST}:{running.prometheus}/api/v1/{path}", trust_env=False).json()["data"]


def trade(running: Stack, buyer: Trader, seller: Trader, symbol: str) -> None:
    """A fill through nginx, until its event has reached the stream of its owner."""
    events: list[Event] = []
    with EventThread(running.url, ORDER_STATUS, events.append, token=buyer.token):
        wait_for(lambda: [event for event in events if event.kind == "connected"])
        place(seller, symbol, "SELL", "1")
        order_id = place(buyer, symbol, "BUY", "1")
        wait_for(lambda: last_statuses(events).get(order_id), lambda status: status == "FILLED", READY_SECONDS)


def last_statuses(events: list[Event]) -> dict[int, str]:
    return {event.data["orderId"]: event.data["status"] for event in events if event.kind == UPDATE}


def verdict(running: Stack, clients: list[Client], events: list[Event], step: Step) -> None:
    """The verdict of chaos: nothing lost, doubled or stuck, both audits clean; and the stream has said all of it."""
    idle = wait_until_idle(running)
    if idle is None:
        step.wrong.append("commands still waited when everything had run again for 30 s")
    findings = check(running, clients)
    step.wrong += findings.wrong
    troubles = sum((client.troubles for client in clients), start=clients[0].troubles.__class__())
    step.wrong += [f"{count} times {trouble}" for trouble, count in troubles.items() if trouble.startswith("500")]
    orders = {order["orderId"]: order["status"] for order in all_orders(clients[0].trader)}
    received, resets = last_statuses(events), [event for event in events if event.kind == RESET]
    missed = [f"{number} {status}" for number, status in orders.items() if received.get(number) != status]
    if missed and not resets:
        step.wrong.append(f"{len(missed)} orders of which the stream did not say the last: {missed[:5]}")
    step.seen += [
        f"{placed(clients)} orders and {total(clients, 'cancels')} cancels accepted, {findings.orders} orders stored",
        f"lost {findings.lost}, doubled {findings.doubled}, stuck {findings.stuck}",
        f"requests repeated {total(clients, 'repeats')} ({in_words_of(troubles) or 'none'})",
        f"events {len(events)}, resets {len(resets)}",
        *findings.audits,
    ]
