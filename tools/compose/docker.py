"""Docker as the documents call it: that of this machine where it reaches an image registry, else one of our own."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tools.compose.daemon import Daemon
from tools.compose.standins import load_stand_ins
from tools.rig.packages import UnavailableError
from tools.rig.process import ROOT

LEAST_ENGINE, LEAST_COMPOSE = (25,), (2, 24, 4)
FIRST_IMAGE = re.compile(r"^FROM (\S+)", re.MULTILINE)


class DockerError(Exception):
    """A command that failed, with the end of what it printed."""


@dataclass(frozen=True)
class Docker:
    """The command, with an environment that leads it to an engine; `log` receives what each command prints."""

    environment: dict[str, str]
    log: Path
    is_stand_in: bool = False

    def __call__(self, *arguments: str, seconds: float = 600) -> str:
        """What the command prints on stdout. Raises DockerError."""
        done = self.attempt("docker", *arguments, seconds=seconds)
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-5:]
            raise DockerError(f"docker {' '.join(arguments)[:200]}: {' | '.join(last)}")
        return done.stdout

    def attempt(self, *command: str, seconds: float = 600) -> "subprocess.CompletedProcess[str]":
        """Any command, in the project's folder."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            # Ctrl-C is for the program that stops what it started, in order.
            process_group=0,
        )
        with self.log.open("a") as log:
            print(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}-> {done.returncode}", file=log)
        return done

    def with_variables(self, **variables: str) -> "Docker":
        return replace(self, environment={**self.environment, **variables})

    def versions(self) -> tuple[str, str]:
        """Of the engine and of Compose. Raises DockerError."""
        return self("version", "--format", "{{.Server.Version}}").strip(), self("compose", "version", "--short").strip()


@contextmanager
def running_docker(folder: Path, *, own: bool) -> Iterator[Docker]:
    """An engine that has or reaches all images. Raises UnavailableError."""
    folder.mkdir(parents=True, exist_ok=True)
    reason = "stand-ins were asked for" if own else why_not(machine := Docker(dict(os.environ), folder / "docker.log"))
    if not reason:
        yield machine
        return
    print(f"{reason}: an engine of our own, with stand-ins for the images", flush=True)
    with Daemon(folder).running() as environment:
        docker = Docker(environment, folder / "docker.log", is_stand_in=True)
        load_stand_ins(docker, folder)
        yield docker


def why_not(docker: Docker) -> str:
    """Why this machine's own Docker cannot do it; empty if it can."""
    if not shutil.which("docker"):
        return "no docker on the PATH"
    try:
        engine, compose = docker.versions()
    except DockerError as error:
        return str(error)
    if numbers(engine) < LEAST_ENGINE or numbers(compose) < LEAST_COMPOSE:
        return f"Docker {engine} and Compose {compose} are too old"
    [image, *_] = FIRST_IMAGE.findall((ROOT / "Dockerfile").read_text())
    asked = docker.attempt("docker", "manifest", "inspect", image, seconds=60)
    return "" if asked.returncode == 0 else "no image registry is reached"


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


__all__ = ["Docker", "DockerError", "UnavailableError", "running_docker"]
