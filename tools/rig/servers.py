"""Private MySQL, MariaDB and Redis servers, each with a folder and a free port of its own; they end with their starter.

Also what a server answers without a driver: its version, which proves that it works.
"""

import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from base.telemetry.liveness import is_alive
from tools.rig.binaries import (
    Database,
    mariadb_on_path,
    mysql_on_path,
    redis_binary,
    unpacked_mariadb,
    unpacked_mysql,
)
from tools.rig.packages import UnavailableError
from tools.rig.process import HOST, Server, die_with_parent, last_log_line

# Below what the kernel gives to outgoing connections: while a killed server is down, none of them can take its port.
PORTS = range(12000, 32000)
HANDSHAKE_SECONDS = 5
# Older clients took a major version of 10 for 1, so MariaDB put this before its own.
MARIADB_DISGUISE = "5.5.5-"
RUN_FOLDER = "exchange-test-"

# One statement a line. The server reads the file at each start, before it listens.
FIRST_STATEMENTS = f"""
CREATE DATABASE IF NOT EXISTS exchange CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'root'@'{HOST}';
GRANT ALL ON *.* TO 'root'@'{HOST}' WITH GRANT OPTION;
"""
COMMON = (
    "--transaction-isolation=READ-COMMITTED",
    "--default-time-zone=+00:00",
    "--character-set-server=utf8mb4",
    "--max-connections=300",
    "--skip-name-resolve",
    "--secure-file-priv=",
)
# For tests, where the data is thrown away: nothing is ever flushed to the disk.
HASTY = (
    "--innodb-flush-log-at-trx-commit=0",
    "--loose-innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
    "--loose-sync-frm=OFF",
    "--innodb-buffer-pool-size=64M",
    "--skip-log-bin",
    "--performance-schema=OFF",
)
DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1")


def start_mysql(folder: Path, *, durable: bool = False, options: tuple[str, ...] = ()) -> Server:
    """A private MySQL with an empty database `exchange`; `durable` keeps MySQL's own guarantees at each commit."""
    settings = (*COMMON, *(DURABLE if durable else HASTY), *options)
    return _first_that_starts(
        lambda: _start_database(mysql_on_path(), folder / "path", settings),
        lambda: _start_database(unpacked_mysql(), folder / "unpacked", settings),
    )


def start_mariadb(folder: Path, *, durable: bool = False, options: tuple[str, ...] = ()) -> Server:
    settings = (*COMMON, *(DURABLE if durable else HASTY), *options)
    return _first_that_starts(
        lambda: _start_database(mariadb_on_path(), folder / "path", settings),
        lambda: _start_database(unpacked_mariadb(), folder / "unpacked", settings),
    )


# By the kind of database.
STARTS = {"mysql": start_mysql, "mariadb": start_mariadb}


def start_redis(
    folder: Path, *, port: int | None = None, persistent: bool = False, users: Path | None = None
) -> Server:
    """A private Redis; `users` is a file of its users (deploy/redis), which must let anybody in as `default`."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command, log = redis_command(port, folder, persistent=persistent), folder / "redis.log"
    command += ("--aclfile", str(users)) if users else ()
    return Server("redis", command, log, origin="private", port=port, ask_version=redis_version).start()


def redis_command(port: int, folder: Path, *, persistent: bool) -> tuple[str, ...]:
    return (
        *(redis_binary(), "--port", str(port), "--bind", HOST, "--dir", str(folder), "--daemonize", "no"),
        *("--save", "", "--appendonly", "yes" if persistent else "no", "--maxmemory-policy", "noeviction"),
    )


def database_version(host: str, port: int) -> str:
    """The version in the first packet that MySQL and MariaDB send: length, sequence, protocol 10, version, zero."""
    with socket.create_connection((host, port), HANDSHAKE_SECONDS) as connection:
        packet = connection.recv(256)
    if len(packet) < 6 or packet[4] != 10:
        raise ValueError("not the greeting of a MySQL server")
    return packet[5 : packet.index(0, 5)].decode().removeprefix(MARIADB_DISGUISE)


def redis_version(host: str, port: int) -> str:
    """For example `Valkey 9.1.2` or `Redis 7.0.15`."""
    with socket.create_connection((host, port), HANDSHAKE_SECONDS) as connection:
        connection.sendall(b"INFO server\r\n")
        answer = connection.recv(4096).decode(errors="replace")
    facts = dict(line.split(":", 1) for line in answer.splitlines() if ":" in line)
    for name in ("Valkey", "Redis"):
        if version := facts.get(f"{name.lower()}_version"):
            return f"{name} {version}"
    raise ValueError("the server gave no version")


def free_port() -> int:
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise UnavailableError("no free port found")


def _first_that_starts(*ways: Callable[[], Server]) -> Server:
    reasons = []
    for way in ways:
        try:
            return way()
        except UnavailableError as reason:
            reasons.append(str(reason))
    raise UnavailableError("; ".join(reasons))


def _start_database(database: Database, folder: Path, settings: Sequence[str]) -> Server:
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    first, data, port = folder / "first.sql", folder / "data", free_port()
    first.write_text(FIRST_STATEMENTS)
    common = ("--no-defaults", *database.options, f"--tmpdir={folder}")
    if os.geteuid() == 0:
        common += ("--user=root",)
    if not data.exists():
        _make_data(database, common, data)
    command = (*database.server, *common, f"--datadir={data}", f"--port={port}", f"--bind-address={HOST}", *settings)
    command += (f"--socket={folder}/s", f"--pid-file={folder}/pid", f"--init-file={first}")
    log, origin = folder / "server.log", database.origin
    return Server(database.kind, command, log, origin=origin, port=port, ask_version=database_version).start()


def _make_data(database: Database, common: tuple[str, ...], data: Path) -> None:
    growing, log = data.with_name("growing"), data.with_name("install.log")
    shutil.rmtree(growing, ignore_errors=True)
    command = [*database.install, *common, f"--datadir={growing}", *database.install_options]
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=die_with_parent,
        )
    if done.returncode:
        raise UnavailableError(f"{database.kind} {database.origin} made no data folder: {last_log_line(log)}")
    growing.rename(data)


@contextmanager
def run_folder() -> Iterator[Path]:
    """The temporary folder of a run. Folders that killed runs could not remove are removed first."""
    for old in Path(tempfile.gettempdir()).glob(f"{RUN_FOLDER}*-*"):
        owner = old.name.removeprefix(RUN_FOLDER).partition("-")[0]
        if owner.isdigit() and not is_alive(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{RUN_FOLDER}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
