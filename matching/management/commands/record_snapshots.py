"""manage.py record_snapshots [SYMBOL ...]: store snapshots of large books, from which a worker starts fast."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from base.storage.locks import alone
from markets.services import active_symbols
from matching.snapshots.recording import due_symbols, record

# In which even a book of millions is read and stored.
LOCK_SECONDS = 600
LEAST_URGENT = 19


class Command(BaseCommand):
    help = (
        "Store snapshots of the books that have changed enough (see SNAPSHOT_ORDERS), or of the markets that are named."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbols", nargs="*")
        parser.add_argument("--background", action="store_true", help="give way to all other processes")

    def handle(self, *, symbols: list[str], background: bool, **_: Any) -> None:
        if background:
            os.nice(LEAST_URGENT)
        known = active_symbols()
        unknown = sorted(set(symbols) - set(known))
        if unknown:
            raise CommandError(f"there is no market {', '.join(unknown)}")
        for symbol in symbols or due_symbols(known):
            with alone(f"snapshot:{symbol}", LOCK_SECONDS) as fence:
                if fence is None:
                    self.stdout.write(f"{symbol}: left out, another instance does it or Redis is away")
                    continue
                snapshot = record(symbol)
            result = (
                f"{snapshot.order_count} orders after event {snapshot.sequence}" if snapshot else "nothing to store"
            )
            self.stdout.write(f"{symbol}: {result}")
