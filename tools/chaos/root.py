"""Statements that an operator gives to a database server, as root and on a connection of their own."""

from typing import Any

import MySQLdb
from MySQLdb.cursors import DictCursor

from tools.rig.process import HOST, Server

CONNECT_SECONDS = 5


def execute(server: Server, *statements: str) -> list[dict[str, Any]]:
    """Returns the rows of the last one, each by the names of its columns. Raises MySQLdb.Error."""
    connection = MySQLdb.connect(
        host=HOST, port=server.port, user="root", connect_timeout=CONNECT_SECONDS, cursorclass=DictCursor
    )
    try:
        connection.autocommit(True)
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())
    finally:
        connection.close()


def variable(server: Server, name: str) -> str:
    """A global variable of the server's."""
    [row] = execute(server, f"SHOW GLOBAL VARIABLES LIKE '{name}'")
    return str(row["Value"])


def status(server: Server, name: str) -> str:
    """A figure of what the server is doing; empty where it keeps none of that name."""
    rows = execute(server, f"SHOW GLOBAL STATUS LIKE '{name}'")
    return str(rows[0]["Value"]) if rows else ""
