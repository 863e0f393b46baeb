"""The users of Redis as they are deployed, for the processes that the tests start."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis import Redis

from tools.rig.exchange import Program
from tools.rig.process import ROOT

USERS = ("web", "stream", "worker", "beat", "flower", "exporter", "feed", "operator")
START = ROOT / "deploy" / "redis" / "start.sh"
ADDRESSES = ("BROKER_URL", "REDIS_URL", "CACHE_URL")
# Clients say by themselves who they are; no user may, because Redis 7.0 cannot grant it.
_SAID_UNASKED = ("client|setinfo", "client|setname")


def password(user: str) -> str:
    return f"the-password-of-{user}"


def variables() -> dict[str, str]:
    return {f"REDIS_{user.upper()}_PASSWORD": password(user) for user in USERS}


def write_users(folder: Path) -> Path:
    """The file that production makes, in which the tests themselves may do everything without a password."""
    file = folder / "users.acl"
    subprocess.run(["sh", str(START), str(file)], env={"PATH": os.environ["PATH"], **variables()}, check=True)
    deployed = file.read_text()
    assert "user default off\n" in deployed
    file.write_text(deployed.replace("user default off", "user default on nopass ~* &* +@all"))
    return file


def user_of(program: Program) -> str:
    """As whom the process signs in. The tests' uvicorn serves REST too, which the streams' user may."""
    if program.arguments[0] == "celery":
        return next(word for word in ("worker", "beat", "flower") if word in program.arguments)
    return {"uvicorn": "stream", "gunicorn": "web"}[program.arguments[0]]


def signed_in(addresses: Mapping[str, str], user: str) -> dict[str, str]:
    """The addresses of Redis servers, with the user and the password."""
    parts = {name: urlsplit(url) for name, url in addresses.items() if name in ADDRESSES}
    return {
        name: url._replace(netloc=f"{user}:{password(user)}@{url.hostname}:{url.port}").geturl()
        for name, url in parts.items()
        if url.scheme == "redis"
    }


def denied(port: int) -> list[tuple[str, str, str]]:
    """What the server refused since it started: to whom, which command, on what."""
    with Redis(port=port, decode_responses=True) as redis:
        entries: list[dict[str, Any]] = redis.acl_log()
    refused = {(entry["username"], entry["client-info"]["cmd"], entry["object"]) for entry in entries}
    return sorted(each for each in refused if each[2] not in _SAID_UNASKED)
