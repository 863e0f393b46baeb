"""Flower beside a demo, as `make flower` starts it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.e2e.clients import PASSWORD
from tests.e2e.processes import Demo, wait_until
from tools.rig.process import ROOT
from tools.rig.servers import free_port

NAMED_OTHERWISE = ("BROKER_URL", "REDIS_URL", "FLOWER_BASIC_AUTH")


class Flower:
    """Its address, and a way to ask it with its password."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **params: str) -> httpx.Response:
        return httpx.get(f"{self.address}{path}", params=params, auth=("admin", PASSWORD), trust_env=False)

    def knows(self, queue: str) -> bool:
        try:
            return queue in self.ask("/api/queues/length").text
        except httpx.TransportError:
            return False


@contextmanager
def watched_by_flower(demo: Demo) -> Iterator[Flower]:
    """Yields once it knows the markets' queues: it has received what happens from then on."""
    port = free_port()
    variables = {name: value for name, value in os.environ.items() if name not in NAMED_OTHERWISE}
    command = [sys.executable, "-m", "tools.demo.flower", "--port", str(port)]
    with (demo.data / "logs" / "flower.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**variables, **demo.variables, "DATA_DIR": str(demo.data)}, stdout=log, stderr=log
        )
    try:
        flower = Flower(port)
        wait_until(lambda: flower.knows("orders.BTC-USD"), 30)
        yield flower
    finally:
        # Not SIGINT: who is started in the background by a shell ignores it.
        process.terminate()
        process.wait(20)
