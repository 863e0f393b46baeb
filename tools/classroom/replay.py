"""Play the file of a round again: python -m tools.classroom.replay round-1.zip [--at 120]

Exit code 0: the same history. 1: another one. 2: no file of a round, or one that was changed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from base.words import harmless
from classroom.history.archive import Archive, BrokenArchive, read_archive
from classroom.history.replay import Verdict, book_at, replay

SAME, DIFFERENT, BROKEN = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        archive = read_archive(options.file)
        if options.at is not None:
            return _print_book(archive, options.market, options.at)
        return _replay(archive, with_twin=not options.without_twin)
    except BrokenArchive as error:
        print(harmless(str(error)), file=sys.stderr)
        return BROKEN
    except KeyboardInterrupt:
        return BROKEN


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.classroom.replay", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, help="what the teacher's page or `manage.py classroom export` wrote")
    parser.add_argument("--at", type=int, metavar="N", help="print the book after the event with this number")
    parser.add_argument("--market", metavar="SYMBOL", help="of a round with several markets; the first")
    parser.add_argument("--without-twin", action="store_true", help="by the core alone, which is faster")
    return parser.parse_args(arguments)


def _replay(archive: Archive, *, with_twin: bool) -> int:
    manifest = archive.manifest
    dates = f"{manifest.started_at} to {manifest.ended_at}"
    print(harmless(f"round {manifest.round}: {manifest.title}, {dates}, seed {manifest.seed}"))
    verdicts = replay(archive, with_twin=with_twin, tell=lambda line: print(line, flush=True))
    for verdict in verdicts:
        print("\n".join(_in_words(verdict)))
    return SAME if all(verdict.is_same for verdict in verdicts) else DIFFERENT


def _in_words(verdict: Verdict) -> list[str]:
    market = verdict.market
    lines = [
        f"{market.symbol}: {market.commands:,} commands, {market.events:,} events, {market.trades:,} trades",
        f"  file  {market.digest}",
        f"  core  {verdict.core}",
        *([] if verdict.twin is None else [f"  twin  {verdict.twin}"]),
    ]
    return [*lines, "  the same history" if verdict.is_same else "  ANOTHER HISTORY: the file or a matcher is wrong"]


def _print_book(archive: Archive, symbol: str | None, number: int) -> int:
    market = archive.market(symbol)
    moment = book_at(archive, market, number)
    if moment.last < moment.first:
        print(f"{market.symbol} before its first event, {moment.first}")
    elif moment.last > moment.first:
        print(f"{market.symbol} after the events {moment.first} to {moment.last}, which one command made")
    else:
        print(f"{market.symbol} after event {moment.last}")
    print("\n".join(moment.lines))
    return SAME


if __name__ == "__main__":
    sys.exit(main())
