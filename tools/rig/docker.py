"""MySQL in a container: the last choice, for machines with an engine but neither the server nor apt."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.rig import handshake
from tools.rig.packages import UnavailableError
from tools.rig.process import HOST, Server

IMAGE = "mysql:8.4"
ANSWER_SECONDS = 10
PULL_SECONDS = 600


def mysql(folder: Path, port: int, settings: Sequence[str]) -> Server:
    """Not started yet. The data stays in `folder`, so that it can be killed and started again."""
    _require_image()
    data = folder.resolve() / "data"
    data.mkdir(parents=True, exist_ok=True)
    name = f"exchange-mysql-{port}"
    command = ["docker", "run", "--rm", "--name", name, "--user", f"{os.geteuid()}:{os.getegid()}"]
    command += ["--volume", f"{data}:/var/lib/mysql", "--publish", f"{HOST}:{port}:3306"]
    command += ["--env", "MYSQL_ALLOW_EMPTY_PASSWORD=yes", "--env", "MYSQL_DATABASE=exchange", IMAGE, *settings]
    return Server(
        "mysql",
        "in Docker",
        port,
        folder / "server.log",
        tuple(command),
        handshake.database_version,
        kill_command=("docker", "kill", name),
        # The client passes this one on to the container, which a killed client would leave running.
        death_signal=signal.SIGTERM,
    )


def _require_image() -> None:
    if not shutil.which("docker"):
        raise UnavailableError("no docker")
    try:
        _docker("info", seconds=ANSWER_SECONDS)
        _docker("pull", "--quiet", IMAGE, seconds=PULL_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        raise UnavailableError("no Docker engine answers or it has no MySQL") from error


def _docker(*arguments: str, seconds: int) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True, timeout=seconds)
