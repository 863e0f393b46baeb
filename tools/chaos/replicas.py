"""A MySQL primary and its replica, and one address for both: a proxy that leads to whichever is the primary."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tools.chaos.exchange import database_server
from tools.chaos.proxy import Proxy
from tools.chaos.root import execute, status
from tools.rig.process import HOST, Server, wait_for

GTID = ("--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--log-bin=binlog")
SOURCE = (
    f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{HOST}', SOURCE_PORT={{port}}, SOURCE_USER='root',"
    " SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1"
)
# Nothing is acknowledged before the replica has it on its disk, however long that takes.
LONG_MS = 600_000
SOURCE_PLUGIN = (
    "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
    f"SET GLOBAL rpl_semi_sync_source_timeout = {LONG_MS}",
    "SET GLOBAL rpl_semi_sync_source_enabled = ON",
)
REPLICA_PLUGIN = (
    "INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'",
    "SET GLOBAL rpl_semi_sync_replica_enabled = ON",
)
APPLIED_SECONDS = 120


@dataclass
class Pair:
    """The two servers. Clients use the address of the proxy."""

    primary: Server
    replica: Server
    proxy: Proxy

    def follow(self, *, waits_for_replica: bool) -> None:
        """Begin to replicate. With `waits_for_replica` a commit is answered once the replica has it."""
        if waits_for_replica:
            execute(self.primary, *SOURCE_PLUGIN)
            execute(self.replica, *REPLICA_PLUGIN)
        execute(self.replica, SOURCE.format(port=self.primary.port), "START REPLICA")
        if waits_for_replica:
            wait_for(lambda: status(self.primary, "Rpl_semi_sync_source_status"), lambda word: word == "ON")

    def catch_up(self) -> None:
        """Wait until the replica has all that the primary has by now."""
        [row] = execute(self.primary, "SELECT @@global.gtid_executed AS gtids")
        [row] = execute(
            self.replica, f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{row['gtids']}', {APPLIED_SECONDS}) AS is_late"
        )
        assert row["is_late"] == 0, "the replica does not follow"

    def fall_behind(self) -> None:
        """From now on the replica receives nothing."""
        execute(self.replica, "STOP REPLICA IO_THREAD")

    def lose_primary(self) -> float:
        """Kill it, and have the replica apply all that it received. Returns how many seconds that took."""
        self.primary.kill()
        began = time.monotonic()
        execute(self.replica, "STOP REPLICA IO_THREAD")
        wait_for(self._has_applied_all, seconds=APPLIED_SECONDS)
        execute(self.replica, "STOP REPLICA", "RESET REPLICA ALL")
        return time.monotonic() - began

    def promote(self) -> None:
        """The replica takes the primary's place at the address."""
        self.proxy.target = self.replica.port
        self.proxy.cut()

    def _has_applied_all(self) -> bool:
        [row] = execute(self.replica, "SHOW REPLICA STATUS")
        [done] = execute(
            self.replica, f"SELECT GTID_SUBSET('{row['Retrieved_Gtid_Set']}', @@global.gtid_executed) AS is_all"
        )
        return bool(done["is_all"])


@contextmanager
def replicated(folder: Path, random: Random, *, waits_for_replica: bool) -> Iterator[Pair]:
    """Two servers, of which one follows the other."""
    with ExitStack() as stack:
        primary, replica = (
            stack.enter_context(database_server("mysql", folder / name, (f"--server-id={number}", *GTID)))
            for number, name in ((1, "primary"), (2, "replica"))
        )
        proxy = stack.enter_context(Proxy("primary", primary.port, random))
        pair = Pair(primary, replica, proxy)
        # Before the tables are made, so that they need not be waited for.
        pair.follow(waits_for_replica=waits_for_replica)
        yield pair
