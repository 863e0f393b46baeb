"""Where a drain's time goes: how long the worker waited for each kind of statement, and how long it did not wait."""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from base.storage import statements

_TABLE = re.compile(
    r"(?:INTO|UPDATE|FROM|JOIN)\s+[`\"]?(orders|order_events|order_books|trades|ledger_entries|balances|commands|candles|markets)\b"
)
_VERB = re.compile(r"\s*(\w+)")


class Profile:
    """Seconds by statement, as "UPDATE orders"."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.seconds[_kind(sql)] += time.perf_counter() - began

    def as_markdown(self, orders: int, seconds: float) -> str:
        """Microseconds an order and shares of the whole, the longest first; the rest is Python, and the commit."""
        found = sorted(self.seconds.items(), key=lambda item: -item[1])
        rest = seconds - sum(self.seconds.values())
        lines = ["| what the worker waited for | microseconds an order | share |", "|---|---|---|"]
        for kind, spent in [*found, ("not for a statement: the commit, and Python", rest)]:
            if spent > seconds / 200:
                lines.append(f"| {kind} | {spent / orders * 1e6:.1f} | {spent / seconds:.0%} |")
        return "\n".join(lines)


@contextmanager
def profiled() -> Iterator[Profile]:
    """A batch's writes are sent one by one meanwhile, so that each is timed by itself."""
    profile, send = Profile(), statements.send
    statements.send = lambda statements: [send([each])[0] for each in statements]
    try:
        with connection.execute_wrapper(profile.watch):
            yield profile
    finally:
        statements.send = send


def _kind(sql: str) -> str:
    verb = _VERB.match(sql)
    # The first table of the head, or the last that is joined: the values of a bulk update stand before its table.
    tables = _TABLE.findall(sql[:300]) or _TABLE.findall(sql[-900:])
    return f"{verb[1] if verb else '?'} {tables[0] if tables else ''}".strip()
