"""The course of one machine: start, trade, kill each container, redeploy and back up under load, restore."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from tools.chaos.clients import Client, total, trading
from tools.chaos.drill import ORDERS
from tools.chaos.exchange import FUNDS, MARKET, SYMBOLS
from tools.chaos.kills import NOT_SERVED
from tools.compose.checks import READY_SECONDS, containers, figures, is_ready, trade, untouched, verdict
from tools.compose.docker import Docker, DockerError
from tools.compose.stack import Stack, stack
from tools.compose.verdicts import Step, Verdicts
from tools.rig.events import ORDER_STATUS, RESET, Event, EventThread
from tools.rig.process import wait_for
from tools.rig.trader import Trader

CLIENTS, CLIENT_PAUSE_SECONDS = 3, 0.1
# Matched by worker-others; the clients trade in the two markets that have workers of their own.
OTHER = "LTC-USD"
CLIENTS_SERVICES = ("nginx", "web", "stream", "beat", "worker-btc-usd", "worker-eth-usd", "worker-others")
# As docs/operations.md has it: workers first, because a new web may store rows that an old worker does not know.
ROLLING = (("worker-btc-usd",), ("worker-eth-usd",), ("worker-others",), ("stream", "web"), ("beat", "flower"))
ANEW = "DROP DATABASE exchange; CREATE DATABASE exchange CHARACTER SET utf8mb4"
EMPTY = f'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysql -uroot -e "{ANEW}"'
READ = "gzip -dc {} | docker compose exec -T mysql sh -c 'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysql -uroot exchange'"
FLUSH = "REDISCLI_AUTH=$REDIS_OPERATOR_PASSWORD redis-cli --user operator flushall"


@dataclass
class Load:
    """Those who trade through nginx, and what the first of them receives on the stream."""

    clients: list[Client]
    buyer: Trader
    seller: Trader
    events: list[Event] = field(default_factory=list)

    @contextmanager
    def trading(self, url: str) -> Iterator[None]:
        with EventThread(url, ORDER_STATUS, self.events.append, token=self.clients[0].trader.token):
            wait_for(lambda: [event for event in self.events if event.kind == "connected"])
            with trading(self.clients):
                yield
            # The last of what is under way.
            wait_for(lambda: self.clients[0].trader.get("/orders?status=PENDING"), lambda orders: not orders, 30)


def one_host(docker: Docker, folder: Path, seed: int, verdicts: Verdicts) -> None:
    """Raises StepError."""
    with stack(docker, folder, "one") as running:
        start(running, verdicts)
        load = begin(running, seed, verdicts)
        with load.trading(running.url):
            kill_each(running, load, verdicts)
            with verdicts.step("redeploy under load") as step:
                redeploy(running, load, step)
            with verdicts.step("renew nginx under load") as step:
                renew_nginx(running, load, step)
            with verdicts.step("back up under load") as step:
                file = back_up(running, step)
        with verdicts.step("verdict after kills, redeployment and backup") as step:
            verdict(running, load.clients, load.events, step)
        with verdicts.step("restore the backup") as step:
            restore(running, load, file, step)


def start(running: Stack, verdicts: Verdicts, *arguments: str) -> None:
    with verdicts.step(" ".join(["docker compose up -d --build --wait", *arguments])) as step:
        running.up("--build", *arguments)
        assert not running.ailing(), running.ailing()
        step.seen.append(f"healthy: {', '.join(running.running())}")
    with verdicts.step("read-only and not root, as shipped") as step:
        containers(running, step)


def begin(running: Stack, seed: int, verdicts: Verdicts, away: str = "") -> Load:
    """The first money is moved."""
    with verdicts.step("register, deposit, order, fill, event") as step:
        running.make_staff()
        for symbol in (*SYMBOLS, OTHER):
            running.market(symbol, **MARKET)
        traders = [running.trader("client", **FUNDS) for _ in range(CLIENTS)]
        clients = [Client(trader, number, seed, CLIENT_PAUSE_SECONDS) for number, trader in enumerate(traders)]
        load = Load(clients, running.trader("buyer", USD="1000000"), running.trader("seller", LTC="1000"))
        wait_for(partial(is_ready, running), seconds=READY_SECONDS)
        trade(running, load.buyer, load.seller, OTHER)
    with verdicts.step("/health/ready, metrics, alerts") as step:
        figures(running, step, away)
    return load


def kill_each(running: Stack, load: Load, verdicts: Verdicts) -> None:
    """One container at a time, while the others serve."""
    services = running.running()
    for service in services:
        with verdicts.step(f"kill {service}") as step:
            seconds = running.kill(service)
            wait_for(partial(is_ready, running), seconds=READY_SECONDS)
            trade(running, load.buyer, load.seller, OTHER)
            step.seen.append(f"healthy again after {seconds:.1f} s")
    with verdicts.step("nothing else was started again") as step:
        untouched(running, step, dict.fromkeys(services, 1))


def redeploy(running: Stack, load: Load, step: Step) -> None:
    """Another image of the same source, by the steps of docs/operations.md."""
    before, commit = total(load.clients, "repeats"), secrets.token_hex(20)
    old = running.docker.environment["EXCHANGE_VERSION"]
    running.docker = running.docker.with_variables(EXCHANGE_VERSION=f"{old}-next", COMMIT=commit)
    running.compose("build", seconds=1800)
    running.compose("run", "--rm", "migrate")
    for services in ROLLING:
        running.up("--no-deps", *services)
    wait_for(partial(is_ready, running), seconds=READY_SECONDS)
    answer = httpx.get(f"{running.url}/api/v1/info", trust_env=False).json()["data"]
    assert answer["commit"] == commit, answer
    trade(running, load.buyer, load.seller, OTHER)
    running.manage("audit", "--quick")
    step.seen.append(f"{total(load.clients, 'repeats') - before} requests had to be repeated; quick audit clean")


def renew_nginx(running: Stack, load: Load, step: Step) -> None:
    """As for another configuration of it; its streams are open meanwhile."""
    before = total(load.clients, "repeats")
    running.up("--no-deps", "--force-recreate", "nginx")
    trade(running, load.buyer, load.seller, OTHER)
    step.seen.append(f"{total(load.clients, 'repeats') - before} requests had to be repeated")


def back_up(running: Stack, step: Step) -> Path:
    folder = running.folder / "backup"
    folder.mkdir()
    before = int(running.evaluate(ORDERS))
    done = running.docker.attempt("sh", "deploy/backup.sh", str(folder))
    if done.returncode:
        raise DockerError(done.stderr)
    file = Path(done.stdout.strip())
    after = int(running.evaluate(ORDERS))
    assert before < after, "the backup was not taken from an exchange that traded"
    step.seen.append(f"{file.stat().st_size / 1e6:.1f} MB, between {before} and {after} orders")
    return file


def restore(running: Stack, load: Load, file: Path, step: Step) -> None:
    """By the steps of docs/operations.md; a client that comes back with a later event gets `stream-reset`."""
    last = load.events[-1].id
    running.compose("stop", *CLIENTS_SERVICES)
    running.compose("exec", "-T", "mysql", "sh", "-c", EMPTY)
    done = running.docker.attempt("sh", "-c", READ.format(file))
    if done.returncode:
        raise DockerError(done.stderr)
    for arguments in (("--full",), ("--replay", "all")):
        answer = json.loads(running.try_to_manage("audit", *arguments, "--json").stdout)
        # What waited in the copy is not served yet, because no worker runs.
        findings = [finding for finding in answer["findings"] if finding["check"] != NOT_SERVED]
        assert answer["looked"], answer
        assert not findings, findings
        step.seen.append(f"audit {arguments[0]} clean")
    running.compose("exec", "-T", "cache", "sh", "-c", FLUSH)
    running.up()
    wait_for(partial(is_ready, running), seconds=READY_SECONDS)
    kinds: list[str] = []
    trader = load.clients[0].trader
    with EventThread(
        running.url, ORDER_STATUS, lambda event: kinds.append(event.kind), token=trader.token, last_event_id=last
    ):
        wait_for(lambda: RESET in kinds)
    trade(running, load.buyer, load.seller, OTHER)
    running.manage("audit", "--full")
    orders = running.evaluate(ORDERS)
    step.seen.append(
        f"{orders} orders; the stream of a client that was ahead: {RESET}; it trades, and is audited clean"
    )
