"""The stack of docker-compose.yml, started as the documents say, under names, ports and secrets of its own."""

import json
import re
import resource
import secrets
import shutil
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.compose.docker import Docker, DockerError
from tools.rig.exchange import Exchange
from tools.rig.process import HOST, ROOT, wait_for
from tools.rig.servers import free_port
from tools.rig.trader import PASSWORD

STARTED_SECONDS = 300
# What the check changes: ports that no other program has. With stand-ins: the way to the packages, and no Grafana.
PORTS = """
services:
  flower: {{ports: !override ["127.0.0.1:{flower}:5555"]}}
  prometheus: {{ports: !override ["127.0.0.1:{prometheus}:9090"]}}
"""
STAND_IN = """
  grafana: {profiles: [absent]}
  migrate: {build: {network: host}}
"""
# Where this machine's own limit is lower than what the file asks for.
FILES = """
  stream: {{ulimits: !override {{nofile: {}}}}}
"""
OPEN_FILES = 65536
# A course takes longer than a token is good for.
TOKENS = """
  web: {environment: {ACCESS_TOKEN_MINUTES: "600"}}
"""
# Run in a container that sees the engine's processes: no `docker kill`, after which the engine leaves it stopped.
KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"


@dataclass
class Stack(Exchange):
    """A Compose project. Its exchange is reached through nginx alone, and asked by `docker compose exec`."""

    docker: Docker = field(kw_only=True)
    prometheus: int = 0

    def compose(self, *arguments: str, seconds: float = 600) -> str:
        return self.docker("compose", *arguments, seconds=seconds)

    def up(self, *arguments: str) -> float:
        """Start, and wait until all is healthy; the seconds that it took."""
        began = time.monotonic()
        self.compose("up", "-d", "--wait", *arguments, seconds=1800)
        return time.monotonic() - began

    def try_to_manage(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """As the documents say: in the container of web; the audits in one of their own, with a longer breath."""
        variables = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        where = ("run", "--rm", "--no-deps", "-T") if arguments[0] == "audit" else ("exec", "-T")
        service = "audit" if arguments[0] == "audit" else "web"
        command = ("docker", "compose", *where, *variables, service, "python", "manage.py", *arguments)
        return self.docker.attempt(*command, seconds=3600)

    def make_staff(self) -> None:
        user = ("--username", "staff", "--email", "staff@example.com")
        self.manage("createsuperuser", "--noinput", *user, DJANGO_SUPERUSER_PASSWORD=PASSWORD)

    def states(self) -> dict[str, str]:
        """By service that should run: healthy, or what it is instead."""
        found = self.compose("ps", "--all", "--format", "json").splitlines()
        rows: list[dict[str, Any]] = [json.loads(line) for line in found]
        return {row["Service"]: row["Health"] or row["State"] for row in rows if row["Service"] != "migrate"}

    def ailing(self) -> dict[str, str]:
        return {name: state for name, state in self.states().items() if state != "healthy"}

    def inspect(self, service: str) -> dict[str, Any]:
        [facts] = json.loads(self.docker("inspect", self.compose("ps", "--all", "--quiet", service).strip()))
        return dict(facts)

    def kill(self, service: str) -> float:
        """Kill -9 as a crash does it; the seconds until the engine has started it again and it is healthy."""
        before = self.inspect(service)
        began = time.monotonic()
        self.kill_process(before["State"]["Pid"])

        def is_back() -> bool:
            now = self.inspect(service)
            return bool(now["RestartCount"] > before["RestartCount"] and now["State"]["Health"]["Status"] == "healthy")

        wait_for(is_back, seconds=120)
        return time.monotonic() - began

    def kill_process(self, pid: int) -> None:
        options = ("--rm", "--pid=host", "--network=none", "--user=0", "--cap-drop=ALL", "--cap-add=KILL")
        image = f"exchange:{self.docker.environment['EXCHANGE_VERSION']}"
        self.docker("run", *options, "--entrypoint=python", image, "-c", KILL, str(pid))

    @property
    def project(self) -> str:
        return self.environment["COMPOSE_PROJECT_NAME"]

    def running(self) -> Collection[str]:
        return sorted(self.states())


@contextmanager
def stack(docker: Docker, folder: Path, name: str, *files: str, **variables: str) -> Iterator[Stack]:
    """The project within the `with`; nothing is started yet. At the end it is removed, with its volumes and images."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = {service: free_port() for service in ("nginx", "flower", "prometheus")}
    override = folder / "check.yml"
    override.write_text(PORTS.format(**ports) + TOKENS + (STAND_IN + open_files() if docker.is_stand_in else ""))
    project = f"{name}-{folder.parent.name}".lower()
    settings = {
        **filled_in(folder / ".env"),
        # The whole load comes from one address, and one user's is far more than a person's.
        "RATE_LIMIT": "off",
        "RABBITMQ_PASSWORD": secrets.token_hex(32),
        "COMPOSE_FILE": ":".join(["docker-compose.yml", *files, str(override)]),
        "COMPOSE_PROJECT_NAME": project,
        "EXCHANGE_VERSION": project,
        "ALLOWED_HOSTS": "exchange.example.com",
        "PORT": f"{HOST}:{ports['nginx']}",
        **variables,
    }
    running = Stack(settings, folder, ports["nginx"], docker=docker.with_variables(**settings))
    running.prometheus = ports["prometheus"]
    with _removed_at_the_end(running):
        yield running


@contextmanager
def _removed_at_the_end(running: Stack) -> Iterator[None]:
    """Of what ends with an error the logs are kept."""
    try:
        yield
    except BaseException:
        keep_logs(running)
        raise
    finally:
        remove(running)


def remove(running: Stack) -> None:
    running.docker.attempt("docker", "compose", "down", "--volumes", "--remove-orphans", "--timeout=10")
    images = running.docker.attempt("docker", "images", "--quiet", f"exchange:{running.project}*").stdout.split()
    if images:
        running.docker.attempt("docker", "image", "rm", "--force", *images)


def filled_in(file: Path) -> dict[str, str]:
    """The values of a new `.env`, made as the documents say; each is handed over as a variable."""
    shutil.copy(ROOT / ".env.example", file)
    subprocess.run(["sh", "deploy/secrets.sh", str(file)], cwd=ROOT, check=True)
    lines = (line.partition("=") for line in file.read_text().splitlines() if re.match(r"[A-Z]", line))
    return {name: value for name, _, value in lines}


def open_files() -> str:
    """The stream's own limit of open files, where this machine may not grant what the file asks for."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return FILES.format(hard) if hard < OPEN_FILES else ""


@contextmanager
def beside(first: Stack, name: str, *files: str, override: str) -> Iterator[Stack]:
    """A second project with the same secrets and the same image, as on a second machine."""
    file = first.folder / f"{name}.yml"
    file.write_text(override)
    settings = {"COMPOSE_FILE": ":".join([*files, str(file)]), "COMPOSE_PROJECT_NAME": f"{first.project}-{name}"}
    second = Stack({**first.environment, **settings}, first.folder, docker=first.docker.with_variables(**settings))
    with _removed_at_the_end(second):
        yield second


def keep_logs(running: Stack) -> None:
    """What the containers printed, for whoever looks for what went wrong."""
    try:
        (running.folder / f"{running.project}.log").write_text(running.compose("logs", "--no-color", "--timestamps"))
    except (DockerError, subprocess.TimeoutExpired) as error:
        print(error)
