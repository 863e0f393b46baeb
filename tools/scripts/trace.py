"""The way of one LIMIT order, from POST /api/v1/orders to its event on the stream: python -m tools.scripts.trace

Each line is a change of file, with the first function that is called there. The order is a buy that meets one resting
sell, on the embedded SQLite with a private Redis, in one process as in the tests: Django's test client sends it, the
doorbell is rung in Redis, and the worker's `drain` is called in place. No rate limit is on, and nothing is logged.

How it is counted: a file counts once it has a call in intake, matching or publishing; a change of file is a call in
another file than the call before it in the same thread, of which there are two: one takes the order in and matches
it, the engine's second one publishes. The stream's threads are counted apart. A file is one of this project outside
tests/ and tools/; what is a call is in tools.scripts.recorder. Counted so, the exchange of 2026-11-28, before its
packages were put in order, had 54 files and 280 changes.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from tools.rig.exchange import Exchange, prepare
from tools.rig.servers import run_folder, start_redis

INTAKE, MATCHING, PUBLISHING, STREAM = PHASES = ("intake", "matching", "publishing", "stream")
# Intake and matching are in one thread.
THREADS = {MATCHING: (INTAKE, MATCHING), PUBLISHING: (PUBLISHING,), STREAM: (STREAM,)}
RECORD = "from tools.scripts.recorder import record; record()"
TITLES = {
    INTAKE: "intake: from the request to 202, and the doorbell",
    MATCHING: "matching: the drain, from the inbox to the commit",
    PUBLISHING: "publishing: beside it, in the engine's second thread",
    STREAM: "stream: from Redis to the client",
}
# What README's drawing of the road names, and the files whose calls prove it; and its other words, which name no step.
STEPS = {
    "orders, trades, balances, ledger, events, book": "matching/settlement.py",
    "POST /api/v1/orders": "orders/views.py",
    "orders.BTC-USD": "commands/queue.py",
    "orders": "orders/placing.py",
    "order PENDING": "orders/",
    "read the commands": "matching/inbox.py",
    "command": "commands/queue.py",
    "funds frozen": "balances/services.py",
    "a doorbell": "commands/queue.py",
    "Celery queue": "commands/queue.py",
    "matching worker": "matching/drain.py",
    "lock the book's row": "matching/books.py",
    "core decides": "core/",
    "server-sent events": "base/streams/application.py",
    "stream": "base/streams/hub.py",
    "Redis": "base/streams/publisher.py",
}
REMARKS = (
    *("client", "202, stored", "one transaction", "after commit", "if none is waiting", "one commit"),
    *("one per market", "one at a time", "pure, integers only"),
)


class Call(NamedTuple):
    """A call of one of the project's functions."""

    phase: str
    file: str
    function: str


def record() -> list[Call]:
    with run_folder() as folder, start_redis(folder / "redis") as redis:
        settings = {"DEMO": "1", "LOG_LEVEL": "ERROR"}
        exchange = Exchange(prepare(folder, f"sqlite:///{folder}/exchange.sqlite3", redis, **settings), folder)
        return [Call(*call) for call in json.loads(exchange.evaluate(RECORD))]


def way(calls: Iterable[Call]) -> list[Call]:
    """The calls with which the way comes to another file."""
    entered: list[Call] = []
    for call in calls:
        if not entered or entered[-1].file != call.file:
            entered.append(call)
    return entered


def summary(calls: Sequence[Call]) -> str:
    parts = {phase: [call for call in calls if call.phase in phases] for phase, phases in THREADS.items()}
    files = {call.file for call in calls if call.phase != STREAM}
    changes = sum(len(way(parts[phase])) - 1 for phase in (MATCHING, PUBLISHING))
    return f"{len(files)} files, {changes} changes of file (and in the stream, {_counted(parts[STREAM])})"


def _counted(calls: Sequence[Call]) -> str:
    return f"{len({call.file for call in calls})} files and {max(len(way(calls)) - 1, 0)} changes"


def _print_way(calls: Sequence[Call]) -> None:
    for phase in PHASES:
        chosen = [call for call in calls if call.phase == phase]
        print(f"{TITLES[phase]} ({_counted(chosen)})")
        for call in way(chosen):
            print(f"  {call.file:<36} {call.function}")
        print()


def _print_files(calls: Sequence[Call]) -> None:
    """Where the changes come from: how often each file is entered, and from which files most."""
    entered: dict[str, Counter[str]] = {}
    road = way(call for call in calls if call.phase in (INTAKE, MATCHING))
    for before, after in pairwise(road):
        entered.setdefault(after.file, Counter())[before.file] += 1
    print("entered, file, and from where most")
    for file, sources in sorted(entered.items(), key=lambda item: -item[1].total()):
        most = ", ".join(f"{source} {count}" for source, count in sources.most_common(3))
        print(f"  {sources.total():>3}  {file:<36} {most}")
    print()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tools.scripts.trace", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(arguments)
    calls = record()
    _print_way(calls)
    _print_files(calls)
    print(summary(calls))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
