"""Try the stock clients, as their users install them, against a running exchange, and print what each of them did:

    python -m tools.clients [--only ccxt freqtrade ...]

Exit code 1 where a call failed or a client could not be tried.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.clients.packages import provide
from tools.clients.programs import CLIENTS, Client
from tools.clients.stage import Stage, staged, words_of
from tools.rig.packages import UnavailableError
from tools.rig.process import exit_at_signals
from tools.rig.servers import run_folder


@dataclass
class Result:
    """What a program counted; `reason` where it could not be tried."""

    client: str
    version: str = "-"
    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    reason: str = ""

    @property
    def row(self) -> tuple[str, ...]:
        counts = (str(len(self.passed) + len(self.failed)), str(len(self.passed)), str(len(self.failed)))
        return (self.client, self.version, *counts, f"{self.seconds:.0f} s")


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    exit_at_signals()
    wanted = [each for each in CLIENTS if not options.only or each.name in options.only]
    pythons: dict[str, Path | str] = {}
    for name in dict.fromkeys(each.packages for each in wanted):
        try:
            pythons[name] = provide(name)
        except UnavailableError as reason:
            pythons[name] = str(reason)
    with run_folder() as folder, staged(folder) as stage:
        results = [_tried(stage, client, pythons[client.packages]) for client in wanted]
    print(_table(results))
    for result in results:
        if result.reason:
            print(f"{result.client} could not be tried: {result.reason}")
        for call, words in result.failed.items():
            print(f"{result.client}: {call}\n    {words}")
    return int(any(result.failed or result.reason for result in results))


def _tried(stage: Stage, client: Client, python: Path | str) -> Result:
    if isinstance(python, str):
        return Result(client.name, reason=python)
    print(f"{client.name} ...", flush=True)
    command, environment = words_of(client, stage.place(client), python)
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=client.seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Result(client.name, reason=f"it did not end within {client.seconds:.0f} s")
    seconds = time.monotonic() - began
    try:
        counted = json.loads(done.stdout.strip().splitlines()[-1])
        return Result(counted["client"], counted["version"], counted["passed"], counted["failed"], seconds)
    except (LookupError, ValueError):
        return Result(client.name, seconds=seconds, reason=f"it ended by {(done.stderr or done.stdout)[-1_500:]}")


def _table(results: Sequence[Result]) -> str:
    rows = [("client", "version", "calls", "passed", "failed", "time"), *(result.row for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.clients", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[each.name for each in CLIENTS], help="these alone")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
