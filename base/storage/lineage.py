"""The lineage of the rows: a token that changes when another server has taken over, because it may lack commits.

After a failover to a replica that lagged, and after a restored backup, numbers are given a second time. A bookmark from
before names another event then. So each bookmark names the lineage too, and the shared caches belong to one server.

The first process that finds another server than the row names writes a new token. Where a database is restored on the
same server nobody could notice, so that the operator's command does it: `manage.py after_lost_commits`.
"""

import hashlib
import secrets
from typing import NamedTuple

from django.db import DatabaseError, connection
from django.db.models import CharField, Func

from base.models import Lineage

NAME = "rows"
# Of the first server: its bookmarks name none.
FIRST = ""
# MariaDB has no identity of its own. SQLite is a file.
_MYSQL, _MARIADB, _SQLITE = "@@server_uuid", "CONCAT(@@hostname, ':', @@port, ':', @@server_id)", "''"


class _Row(NamedTuple):
    server: str
    token: str
    here: str


def server_sql() -> str:
    """An expression in SQL for the identity of the server that answers."""
    if connection.vendor == "sqlite":
        return _SQLITE
    is_mariadb: bool = connection.mysql_is_mariadb  # type: ignore[attr-defined]
    return _MARIADB if is_mariadb else _MYSQL


def this_server() -> Func:
    """The same for a query of Django's."""
    return Func(template=server_sql(), output_field=CharField())


def read_lineage() -> str:
    """The present token, by one query where nothing has changed."""
    while (row := _read()) is None:
        if not _begin():
            return FIRST
    if row.server == row.here:
        return row.token
    token = new_token()
    try:
        renewed = Lineage.objects.filter(pk=NAME, token=row.token, server=row.server).update(
            server=row.here, token=token
        )
    except DatabaseError:
        # It takes no writes yet. For the meantime all processes agree on a lineage of which no bookmark from before is.
        return hashlib.sha256(f"{row.token} {row.here}".encode()).hexdigest()[: len(token)]
    return token if renewed else read_lineage()


def renew_lineage() -> None:
    """Begin a new one, though the server is the same."""
    read_lineage()
    Lineage.objects.filter(pk=NAME).update(token=new_token())


def new_token() -> str:
    return secrets.token_hex(4)


def _read() -> _Row | None:
    rows = Lineage.objects.filter(pk=NAME).annotate(here=this_server())
    found = rows.values_list("server", "token", "here").first()
    return None if found is None else _Row(*found)


def _begin() -> bool:
    """Write the row of the first server. False where the database takes no writes."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {server_sql()}")
            (here,) = cursor.fetchone()
        Lineage.objects.bulk_create([Lineage(name=NAME, server=here, token=FIRST)], ignore_conflicts=True)
    except DatabaseError:
        return False
    return True
