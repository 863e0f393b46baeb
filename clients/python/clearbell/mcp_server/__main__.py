"""Serve over stdio: python -m clearbell.mcp_server --key ... --limit USD=1000"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from decimal import Decimal

from ..aio import AsyncClient
from ..command_line import credentials, parser
from ..errors import ClearbellError
from ..retry import Retry
from ..sync import Client
from .budget import Budget
from .tools import HEADER, server

# Whoever waits for a tool does not wait longer.
RETRY = Retry(attempts=5, seconds=20)
LIMIT = re.compile(r"([A-Z0-9]{1,16})=([0-9]{1,12}(?:\.[0-9]{1,8})?)")


def limits(texts: Sequence[str]) -> dict[str, Decimal]:
    """By currency. Raises SystemExit for what is no limit."""
    found: dict[str, Decimal] = {}
    for text in texts:
        match = LIMIT.fullmatch(text.strip())
        if match is None:
            raise SystemExit(f"{text[:60]!r} is no limit, such as USD=1000")
        found[match[1]] = Decimal(match[2])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    of_environment = list(filter(None, os.environ.get("CLEARBELL_MCP_LIMITS", "").split(",")))
    budget = Budget(limits(asked.limit or of_environment))
    signed_by, headers = credentials(asked), {HEADER: "clearbell"}
    try:
        with Client(asked.url, headers=headers, retry=RETRY) as client:
            client.time()
    except ClearbellError as error:
        raise SystemExit(f"{asked.url}: {error}") from error
    # Of stdio the output belongs to the protocol.
    sys.stderr.write(f"limits: {', '.join(asked.limit or of_environment) or 'none, so nothing is traded'}\n")
    server(AsyncClient(asked.url, signed_by, headers=headers, retry=RETRY), budget).run("stdio")


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    meaning = "what may be traded in this session, such as USD=1000; or CLEARBELL_MCP_LIMITS, with commas"
    made.add_argument("--limit", action="append", help=meaning)
    return made


if __name__ == "__main__":
    main()
