"""One order through the logs of all processes, in the order of time: python -m tools.scripts.follow ID [FOLDER].

ID is a correlationId, or an orderId, a clientOrderId, a requestId or an eventId.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

NAMES = ("correlationId", "orderId", "clientOrderId", "requestId", "eventId")
# Of many orders or events that are logged in one line.
BUNDLES = ("orders", "events")
# Shown in columns of their own, or of no use to people.
SHOWN_APART = ("timestamp", "process", "event", "level", "logger", "pid", "exception", *BUNDLES)
Line = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.scripts.follow", description=__doc__)
    parser.add_argument("id")
    parser.add_argument("folder", nargs="?", default=str(Path(os.environ.get("DATA_DIR") or ".data") / "logs"))
    options = parser.parse_args(arguments)
    # The rotated ones too: worker.log.1
    lines = found(options.id, read_lines(sorted(Path(options.folder).glob("*.log*")), options.id))
    for line in lines:
        print(shown(line))
    if not lines:
        print(f"{options.id} is in no log of {options.folder}", file=sys.stderr)
    return 0 if lines else 1


def read_lines(logs: Iterable[Path], word: str) -> Iterator[Line]:
    """The lines of JSON that have the word; other programs, such as Redis, write other lines."""
    for log in logs:
        with log.open(encoding="utf-8", errors="replace", newline="\n") as text:
            for line in text:
                if word in line and line.startswith("{"):
                    try:
                        yield json.loads(line)
                    except ValueError:
                        # The last one of a process that was killed.
                        continue


def found(wanted: str, lines: Iterable[Line]) -> list[Line]:
    """Those about what is wanted, each with that alone of a bundle, by the time at which what they log began.

    A request is logged when it ends, and its order may have been applied by then.
    """
    about = [each for line in lines for each in _about(wanted, line)]
    return sorted(about, key=began_at)


def began_at(line: Line) -> datetime:
    return datetime.fromisoformat(line["timestamp"]) - timedelta(milliseconds=line.get("durationMs") or 0)


def shown(line: Line) -> str:
    """For people: when, where, what, and the rest as name=value; a traceback below."""
    at = began_at(line).time().isoformat(timespec="microseconds")
    rest = "  ".join(f"{name}={_plain(value)}" for name, value in line.items() if name not in SHOWN_APART)
    text = f"{at}  {line['process']:<6}  {line['event']}  {rest}".rstrip()
    return f"{text}\n{line['exception']}" if "exception" in line else text


def _about(wanted: str, line: Line) -> Iterator[Line]:
    bundles = [each for name in BUNDLES for each in line.get(name) or () if isinstance(each, dict)]
    rest = {name: value for name, value in line.items() if name not in BUNDLES}
    if _is_named(wanted, line) and not bundles:
        yield rest
        return
    for each in bundles:
        if _is_named(wanted, each) or _is_named(wanted, line):
            yield {**rest, **each}


def _is_named(wanted: str, line: Line) -> bool:
    return any(name in line and str(line[name]) == wanted for name in NAMES)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and value and not set(value) & set(" =\n") else json.dumps(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
