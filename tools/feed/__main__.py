"""Print a market's feed: python -m tools.feed {trades|orders} SYMBOL [--url URL] [--redis URL] [--folder FOLDER]

The token of an operator with the permission operations.view is read from FEED_TOKEN. Each entry is printed as a line of
JSON. Ctrl-C ends it; started again it goes on from its last entry.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx
import orjson
from redis import Redis
from redis.exceptions import RedisError

from tools.feed.consumer import AT_ONCE, Consumer, Entry, RefusedError

WAIT_SECONDS = 5
# A line that a reader of lines can take.
LONGEST = 1_000_000


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.feed", description=__doc__)
    parser.add_argument("feed", choices=("trades", "orders"))
    parser.add_argument("symbol")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the exchange")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/1", help="its CACHE_URL")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the place and the dead letters are kept")
    options = parser.parse_args(arguments)
    token = os.environ.get("FEED_TOKEN", "")
    with httpx.Client(base_url=options.url, headers={"Authorization": f"Bearer {token}"}) as rest:
        path = f"/api/v1/feed/{options.feed}/{options.symbol}"

        def read_rows(after: int) -> Iterable[Entry]:
            answer = rest.get(path, params={"after": after, "limit": AT_ONCE}).raise_for_status()
            return [Entry(entry["id"], entry["event"], entry["data"]) for entry in answer.json()["data"]]

        client = Redis.from_url(options.redis)
        _run(Consumer(f"{options.feed}:{options.symbol}", client, read_rows, _print, options.folder))
    return 0


def _run(consumer: Consumer) -> None:
    """Until Ctrl-C. A server that is away is tried again."""
    try:
        consumer.catch_up()
        while True:
            try:
                consumer.follow(WAIT_SECONDS)
            except (RedisError, httpx.TransportError) as error:
                print(f"tried again in {WAIT_SECONDS} s: {error}", file=sys.stderr)
                time.sleep(WAIT_SECONDS)
    except KeyboardInterrupt:
        pass


def _print(entry: Entry) -> None:
    line = orjson.dumps({"id": entry.number, "event": entry.event, "data": entry.data})
    if len(line) > LONGEST:
        raise RefusedError(f"a line of {len(line)} bytes")
    print(line.decode(), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
