"""Django's engine for SQLite with its statements counted, and with a function that adds turnovers.

They are texts there.
"""

from typing import Any

from django_prometheus.db.backends.sqlite3 import base

from base.storage.fields import TURNOVER_SUM
from core.money import plain_units, stored_units


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """Found by Django under this name."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.create_function(TURNOVER_SUM, 2, turnover_sum, deterministic=True)
        return connection


def turnover_sum(stored: str, added: str) -> str:
    """The sum of two turnovers, exactly."""
    return plain_units(stored_units(stored) + stored_units(added))
