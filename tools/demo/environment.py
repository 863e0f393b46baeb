"""Where a demo runs: its data folder, its port, and the environment of its processes."""

import argparse
import fcntl
import os
import socket
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from base.telemetry.liveness import is_alive
from tools.demo.cast import PASSWORD
from tools.demo.secrets import STAFF_PASSWORD, TRADERS_PASSWORD, has_secrets, own_addresses, own_secrets
from tools.rig.exchange import reached
from tools.rig.process import HOST, ROOT
from tools.rig.servers import free_port

# A demo that was killed needs a moment to take its processes down.
STOPPING_SECONDS = 20
# Where all processes of a run count, for /metrics.
COUNTS = "metrics"
LOCK, BROKER = "demo.lock", "broker"


class CannotStartError(Exception):
    """What stands in the way, in one line."""


@dataclass(frozen=True)
class Environment:
    """Settings of one run. `redis_port` is None when servers of the user's own were named."""

    port: int
    data: Path
    redis_port: int | None
    variables: dict[str, str]
    host: str = HOST

    @property
    def address(self) -> str:
        return f"http://{reached(self.host)}:{self.port}"

    @property
    def has_own_secrets(self) -> bool:
        """Whether its secrets and the staff's password are its own, and not those that everybody knows."""
        return STAFF_PASSWORD in self.variables

    @property
    def traders_password(self) -> str:
        """Of the simulated traders, whose accounts are no others' to trade in."""
        return self.variables.get(TRADERS_PASSWORD, PASSWORD)

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def has_data(self) -> bool:
        """Whether the data folder is still there, once it was claimed."""
        return (self.data / LOCK).exists()


def prepare(port: int, host: str = HOST, below: str = "", *, is_private: bool = False) -> Environment:
    """Folders and variables. What the user's environment names (database, Redis, broker, limits) is honoured.

    `below` is a folder in the usual one, where none is named. `is_private`: with secrets of its own on loopback too.
    Raises CannotStartError.
    """
    data = data_folder() if os.environ.get("DATA_DIR") else data_folder() / below
    try:
        for folder in (data, data / "logs", data / "redis", data / COUNTS):
            folder.mkdir(parents=True, exist_ok=True)
        _make_private(data)
        own = own_secrets(data) if is_private or host != HOST or has_secrets(data) else {}
    except OSError as error:
        raise CannotStartError(f"{data} cannot be used: {error.strerror}") from error
    variables = dict(os.environ)
    variables |= {"DEMO": "1", "DATA_DIR": str(data), "DJANGO_SETTINGS_MODULE": "exchange.settings", **own}
    if host != HOST:
        names = variables.get("ALLOWED_HOSTS", "").split(",") + own_addresses(host)
        variables |= {"DEMO_HOST": host, "ALLOWED_HOSTS": ",".join(filter(None, names))}
    variables["PROMETHEUS_MULTIPROC_DIR"] = str(data / COUNTS)
    redis_port = None
    if not (variables.get("REDIS_URL") and variables.get("BROKER_URL")):
        redis_port = free_port()
        variables["BROKER_URL"] = variables.get("BROKER_URL") or f"redis://{HOST}:{redis_port}/0"
        variables["REDIS_URL"] = variables.get("REDIS_URL") or f"redis://{HOST}:{redis_port}/1"
    else:
        look_for(variables, "REDIS_URL", "BROKER_URL")
    return Environment(port, data, redis_port, variables, host)


def _make_private(data: Path) -> None:
    """What a demo of before left readable. A folder that is not a demo's own keeps its mode."""
    state, is_new = data.stat(), not any(data.glob("*.*"))
    # Not one in which others may write, such as /tmp.
    if (is_new or (data / LOCK).exists()) and state.st_uid == os.getuid() and not state.st_mode & 0o022:
        data.chmod(0o700)
    for file in [*data.glob("exchange.sqlite3*"), *data.glob("logs/*.log*"), *data.glob("redis/*")]:
        file.chmod(0o700 if file.is_dir() else 0o600)


def data_folder() -> Path:
    return Path(os.environ.get("DATA_DIR") or ROOT / ".data").resolve()


def port(text: str) -> int:
    """A port as it is typed. Raises ArgumentTypeError."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return int(text)


def host(text: str) -> str:
    """An address as it is typed, on which the demo listens. Raises ArgumentTypeError."""
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not an address: 0.0.0.0 for all of this machine's") from None


def look_for(variables: dict[str, str], *names: str) -> None:
    """Raises CannotStartError where a server that was named does not answer: all would wait for it in silence."""
    for name in names:
        where = urlsplit(variables[name])
        try:
            port = where.port or (5672 if where.scheme.startswith("amqp") else 6379)
            socket.create_connection((where.hostname or HOST, port), timeout=2).close()
        except OSError as error:
            raise CannotStartError(f"{name} names a server that does not answer ({error.strerror or error})") from error


def claim_data(data: Path, address: str) -> IO[str]:
    """Lock the data folder for this run.

    The lock belongs to the open file, which the demo's processes inherit: it is held until all are gone, however
    they went, and it cannot be left behind. Raises CannotStartError.
    """
    lock = (data / LOCK).open("a+")
    deadline = time.monotonic() + STOPPING_SECONDS
    while not _locked(lock):
        lock.seek(0)
        pid, _, where = lock.read().partition(" ")
        if pid.isdigit() and is_alive(int(pid)):
            raise CannotStartError(f"a demo is running on this data already: {where.strip()} (process {pid})")
        if time.monotonic() > deadline:
            raise CannotStartError(f"the processes of an earlier demo still use {data}")
        time.sleep(0.2)
    lock.truncate(0)
    lock.write(f"{os.getpid()} {address}\n")
    lock.flush()
    return lock


def begin(environment: Environment) -> None:
    """With the folder claimed: count from zero, and store the broker's address for Flower."""
    for left in (environment.data / COUNTS).glob("*.db"):
        left.unlink()
    note = environment.data / BROKER
    note.touch(mode=0o600)
    note.write_text(environment.variables["BROKER_URL"])


def running_broker(data: Path) -> str | None:
    """The broker of the demo that runs on this data; None if none does."""
    if not (data / LOCK).exists() or not (data / BROKER).exists():
        return None
    with (data / LOCK).open("a+") as lock:
        return None if _locked(lock) else (data / BROKER).read_text()


def claim_port(port: int, variable: str = "PORT", host: str = HOST) -> None:
    """`variable` chooses another one. Raises CannotStartError if somebody listens there already."""
    with socket.socket() as probe:
        # As the web server does: connections of an earlier run that are still closing do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            raise CannotStartError(
                f"port {port} cannot be used ({error.strerror}); choose another with {variable}="
            ) from error


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
