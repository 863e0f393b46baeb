"""Emptying the tables after a test that committed: only those that have rows.

Django empties all of them, and makes its content types and permissions anew: a third of a second a test on MySQL.
"""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import connection
from django.test import TransactionTestCase

# What a migrated database begins with; no test changes it.
KEPT = (
    *("django_migrations", ContentType._meta.db_table, Permission._meta.db_table),
    *(Group._meta.db_table, Group.permissions.through._meta.db_table),
)


def empty_tables(_case: Any = None) -> None:
    """Delete all rows, and let the keys count on, as `manage.py flush` does in tests."""
    filled = _filled_tables()
    if filled:
        connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), filled))


def _filled_tables() -> list[str]:
    names = set(connection.introspection.django_table_names(only_existing=True)) - set(KEPT)
    quote = connection.ops.quote_name
    has_rows = [f"SELECT '{name}' FROM (SELECT 1 FROM {quote(name)} LIMIT 1) AS of_{name}" for name in sorted(names)]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(has_rows))
        return [name for (name,) in cursor.fetchall()]


def empty_only_what_has_rows() -> None:
    """From now on, in every test that commits."""
    TransactionTestCase._fixture_teardown = empty_tables
