"""Django's command line for the exchange: `manage.py` in its repository, `exchange-manage` where it is installed."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exchange.settings")
    execute_from_command_line(sys.argv)
