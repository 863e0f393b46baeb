"""Cores of half the speed: a thread gets half of the time, and a formula says what a chain and the cores allow."""

import subprocess
import sys
import time

import pytest

from tools.bench.cpu import Cost, Spent, threads
from tools.bench.halves import HalfCores, are_available

LOOP = "while True: pass"
SECONDS = 0.6


@pytest.mark.skipif(not are_available(), reason="it needs control groups of version 1, and the right to make some")
def test_a_thread_has_half_of_the_time():
    with HalfCores(2) as half, subprocess.Popen([sys.executable, "-c", LOOP]) as process:
        try:
            half.hold([process.pid])
            assert (half.group / str(process.pid) / "tasks").read_text().split() == [str(process.pid)]
            before, began = ran(process.pid), time.monotonic()
            time.sleep(SECONDS)
            share = (ran(process.pid) - before) / (time.monotonic() - began)
        finally:
            process.kill()
    # Less where others run beside it.
    assert 0 < share < 0.6
    assert not half.group.exists()


def ran(pid: int) -> float:
    return sum(seconds for _, _, seconds in threads(pid))


def test_the_cost_of_an_order():
    spent = Spent({"worker's first thread": 0.3, "database's connections": 0.5, "worker's others": 0.2}, 10, 0.2)
    cost = spent.cost(10_000)
    assert (cost.total, cost.chain, cost.flush) == pytest.approx((100e-6, 80e-6, 20e-6))


@pytest.mark.parametrize(
    ("markets", "cores", "speed", "rate"),
    [
        (1, 2, 1.0, 10_000),  # one chain and its flushes
        (1, 16, 1.0, 10_000),  # more cores help no chain
        (2, 2, 1.0, 20_000),
        (4, 2, 1.0, 20_000),  # both cores are busy
        (1, 2, 0.5, 1 / 180e-6),  # the disk keeps its speed
        (4, 2, 0.5, 10_000),
    ],
)
def test_what_a_machine_carries(markets, cores, speed, rate):
    cost = Cost(total=100e-6, chain=80e-6, flush=20e-6)
    assert cost.rate(markets, cores, speed) == pytest.approx(rate)
