"""The secrets of a demo that others reach. They are made once, and kept in its data folder for its owner alone."""

import contextlib
import os
import secrets
import socket
from pathlib import Path

from tools.demo.room import outward_address
from tools.rig.exchange import ANY

FILE = "secrets.env"
STAFF_PASSWORD, TRADERS_PASSWORD = "DEMO_STAFF_PASSWORD", "DEMO_TRADERS_PASSWORD"
NAMES = ("SECRET_KEY", "JWT_SIGNING_KEY", "API_KEY_SECRETS", STAFF_PASSWORD, TRADERS_PASSWORD)
WARNING = (
    "WARNING: whoever reaches this address may trade here as alice, bob or carol, whose password everybody knows, and\n"
    "without TLS whoever is on the way reads along. It is for a class or an office, for an evening;\n"
    "docker-compose.yml is for what must stay."
)


def has_secrets(data: Path) -> bool:
    """Whether this folder was shown to others once: from then on its secrets hold, wherever it listens."""
    return (data / FILE).exists()


def own_secrets(data: Path) -> dict[str, str]:
    """The variables of the folder's secrets; those that are missing are made. Raises OSError."""
    file = data / FILE
    kept: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError):
        kept = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    missing = {name: secrets.token_urlsafe(32) for name in NAMES if not kept.get(name)}
    if missing:
        kept |= missing
        growing = file.with_suffix(".growing")
        growing.unlink(missing_ok=True)
        with open(os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.writelines(f"{name}={value}\n" for name, value in kept.items())
        growing.replace(file)
    file.chmod(0o600)
    return kept


def own_addresses(host: str) -> list[str]:
    """The names by which clients may call a server that listens there."""
    if host != ANY:
        return [host]
    names = {"127.0.0.1", "localhost", socket.gethostname()}
    with contextlib.suppress(OSError):
        names.update(socket.gethostbyname_ex(socket.gethostname())[2])
    if outward := outward_address():
        names.add(outward)
    return sorted(names)
