"""A worker in a process of its own: it says that it is ready, waits for its input to end, drains one market."""

import sys

import django

django.setup()

from django.db import connection  # noqa: E402

from matching.drain import drain  # noqa: E402


def main(symbol: str) -> None:
    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.read()
    while drain(symbol).batches:
        pass
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
