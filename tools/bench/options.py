"""MySQL with other options than it is shipped with, one server in turns: what each of them brings."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.db import connection

Values = Mapping[str, str | int]

GIGABYTE = 2**30
MINIMAL: Values = {"binlog_row_image": "MINIMAL"}
POOL: Values = {"innodb_buffer_pool_size": 2 * GIGABYTE}
REDO: Values = {"innodb_redo_log_capacity": 2 * GIGABYTE}
OPTIONS: Mapping[str, Values] = {
    "as shipped": {},
    "`binlog_row_image=MINIMAL`": MINIMAL,
    "`binlog_transaction_compression=ON`": {"binlog_transaction_compression": "ON"},
    "`innodb_buffer_pool_size=2G`": POOL,
    "`innodb_redo_log_capacity=2G`": REDO,
    "these three without the compression": {**MINIMAL, **POOL, **REDO},
    "`binlog_group_commit_sync_delay=200`": {"binlog_group_commit_sync_delay": 200},
    "not durable: `sync_binlog=0`, `innodb_flush_log_at_trx_commit=2`": {
        "sync_binlog": 0,
        "innodb_flush_log_at_trx_commit": 2,
    },
}


@contextmanager
def options_set(values: Values) -> Iterator[None]:
    """For connections that are opened within; what was before is set again."""
    with connection.cursor() as cursor:
        before: dict[str, str | int] = {}
        for name in values:
            cursor.execute(f"SELECT @@GLOBAL.{name}")
            before[name] = cursor.fetchone()[0]
    try:
        _set(values)
        yield
    finally:
        _set(before)


def _set(values: Values) -> None:
    with connection.cursor() as cursor:
        for name, value in values.items():
            cursor.execute(f"SET GLOBAL {name} = %s", [value])
        if POOL.keys() & values.keys():
            while True:
                cursor.execute("SHOW STATUS LIKE 'Innodb_buffer_pool_resize_status_code'")
                if cursor.fetchone()[1] == "0":
                    break
                time.sleep(0.1)
