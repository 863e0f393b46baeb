"""The laps that need more than an exchange and its servers: each has a module of its own and starts what it needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.chaos import clocks, disk, failover, network, rabbit, readonly
from tools.chaos.laps import Plan
from tools.chaos.report import Report


@dataclass(frozen=True)
class Special:
    """How a lap is run, how many rounds it has by the size of the run, and how many accidents where it is sampled.

    It raises UnavailableError.
    """

    run: Callable[[Plan], Report]
    rounds: Mapping[str, int]
    sampled: int = 2


LAPS = {
    "clocks": Special(clocks.run, clocks.ROUNDS),
    "disk": Special(disk.run, disk.ROUNDS),
    "failover": Special(failover.run, failover.ROUNDS, sampled=1),
    "network": Special(network.run, network.ROUNDS),
    "rabbit": Special(rabbit.run, rabbit.ROUNDS, sampled=1),
    "readonly": Special(readonly.run, readonly.ROUNDS),
}
