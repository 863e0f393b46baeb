"""Two machines: two Compose projects in networks of their own, with RabbitMQ and the other servers on the first one.

The second one has the worker of a market, which reaches the servers by an address of the first machine alone.
"""

import json
import time
from functools import partial
from pathlib import Path

from tools.compose.checks import READY_SECONDS, is_ready, trade, untouched, verdict
from tools.compose.course import OTHER, Load, begin, start
from tools.compose.docker import Docker
from tools.compose.stack import Stack, beside, stack
from tools.compose.verdicts import Verdicts
from tools.rig.process import wait_for

FIRST = ("deploy/compose.rabbitmq.yml", "deploy/compose.servers.yml")
SECOND = "deploy/compose.worker.yml"
MOVED = "worker-eth-usd"
KILLED = ("rabbitmq", "mysql", "worker-btc-usd")
# Longer than a worker's heartbeat is believed, so that new orders of its market are refused before it is over.
PARTITION_SECONDS = 40
# The network of the second machine, made beforehand: its gateway is the address of the first one.
OVERRIDE = "networks: {{out: {{external: true, name: {}}}}}\n"


def two_hosts(docker: Docker, folder: Path, seed: int, verdicts: Verdicts) -> None:
    """Raises StepError."""
    network = f"out-{folder.parent.name}".lower()
    docker("network", "create", network)
    try:
        [facts] = json.loads(docker("network", "inspect", network))
        address = facts["IPAM"]["Config"][0]["Gateway"]
        with stack(docker, folder, "two", *FIRST, SERVERS_ADDRESS=address) as first:
            start(first, verdicts, "--scale", f"{MOVED}=0")
            with beside(first, "second", SECOND, override=OVERRIDE.format(network)) as second:
                course(first, second, network, seed, verdicts)
    finally:
        docker.attempt("docker", "network", "rm", network)


def course(first: Stack, second: Stack, network: str, seed: int, verdicts: Verdicts) -> None:
    with verdicts.step("second machine: docker compose up -d --wait") as step:
        second.up("--no-build")
        step.seen.append(f"healthy: {', '.join(second.running())}")
    load = begin(first, seed, verdicts, away=MOVED)
    with load.trading(first.url):
        for machine, service in [*((first, service) for service in KILLED), (second, "worker")]:
            with verdicts.step(f"kill {service} of the {'first' if machine is first else 'second'} machine") as step:
                seconds = machine.kill(service)
                settle(first, load)
                step.seen.append(f"healthy again after {seconds:.1f} s")
        with verdicts.step(f"no network between the machines for {PARTITION_SECONDS} s") as step:
            part(first, second, network)
            trade(first, load.buyer, load.seller, OTHER)
            step.seen.append(f"matched again after {join(first, second, network, load):.1f} s")
    with verdicts.step("nothing else was started again") as step:
        untouched(first, step, dict.fromkeys(KILLED, 1))
        untouched(second, step, {"worker": 1})
    with verdicts.step("verdict of both machines") as step:
        verdict(first, load.clients, load.events, step)


def settle(first: Stack, load: Load) -> None:
    wait_for(partial(is_ready, first), seconds=READY_SECONDS)
    trade(first, load.buyer, load.seller, OTHER)


def part(first: Stack, second: Stack, network: str) -> None:
    """The market of the second machine is not served for so long."""
    container = second.compose("ps", "--quiet", "worker").strip()
    second.docker("network", "disconnect", network, container)
    time.sleep(PARTITION_SECONDS)
    assert not is_ready(first), "a market without a worker was not missed"


def join(first: Stack, second: Stack, network: str, load: Load) -> float:
    """The seconds until its market is served again, by the same process."""
    container = second.compose("ps", "--quiet", "worker").strip()
    second.docker("network", "connect", network, container)
    began = time.monotonic()
    settle(first, load)
    return time.monotonic() - began
