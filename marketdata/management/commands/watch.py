"""Watch a market in the terminal: manage.py watch BTC-USD. `make watch` does the same without the settings."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from marketdata.watch.__main__ import add_options, watch


class Command(BaseCommand):
    help = "The ladder, the trades and own orders of a market, live, read over the API of a running exchange."
    # It is a client, and needs neither database nor Redis.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = {name: options[name] for name in ("symbol", "url", "user", "token")}
        code = watch(**chosen, is_once=options["once"])
        if code:
            sys.exit(code)
