"""A Docker engine of our own from Debian packages, which leaves nothing behind: it needs root, and installs nothing."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tools.rig.binaries import own_libraries
from tools.rig.packages import UnavailableError, this_release, unpack
from tools.rig.process import NotReadyError, Process

# The first Debian release whose Docker and Compose are new enough. They are Go, and run beside the C library before it.
SUITE = "trixie"
DOCKER = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd")
# These stand nearer to the C library: of this machine's own release.
TOOLS = ("runc", "iptables")
# Named alike in both of its forms; which one it is, it learns from its name.
IPTABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
# Everything in a namespace of processes and of mounts: when its first process ends, the kernel ends all containers.
NAMESPACES = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
# The root of a machine with systemd is shared already; a container may only then receive what is mounted later.
START = "mount --make-rshared / && exec dockerd"


@dataclass
class Daemon:
    """The engine, with all of its data below `folder`."""

    folder: Path

    @contextmanager
    def running(self) -> Iterator[dict[str, str]]:
        """The environment in which `docker` finds it. Raises UnavailableError."""
        environment = self._environment()
        command = (*NAMESPACES, "sh", "-c", " ".join([START, *self._options()]))
        log = self.folder / "dockerd.log"
        daemon = Process("dockerd", command, log, environment, lambda _: self._answers(environment))
        try:
            daemon.start()
        except NotReadyError as error:
            raise UnavailableError(str(error)) from error
        try:
            yield environment
        finally:
            self._empty(environment)
            daemon.kill()
            self._tidy(environment)

    def _environment(self) -> dict[str, str]:
        release = this_release()
        if release.name != "debian" or os.geteuid():
            raise UnavailableError("an engine of our own needs Debian and root")
        programs = unpack("docker", release, (SUITE,), DOCKER, alone=True)
        tools = unpack("container-tools", release, release.own_suites, TOOLS)
        binaries, plugins = self.folder / "bin", self.folder / "config" / "cli-plugins"
        for folder, sources in (
            (binaries, [*programs.glob("usr/*bin/*"), tools / "usr/sbin/runc"]),
            (plugins, programs.glob("usr/libexec/docker/cli-plugins/*")),
        ):
            folder.mkdir(parents=True)
            for source in sources:
                (folder / source.name).symlink_to(source)
        for name in IPTABLES:
            (binaries / name).symlink_to(tools / "usr/sbin/xtables-nft-multi")
        return {
            **os.environ,
            "PATH": f"{binaries}:{os.environ['PATH']}:/usr/sbin:/sbin",
            "LD_LIBRARY_PATH": own_libraries(tools),
            "XTABLES_LIBDIR": str(next(tools.glob("usr/lib/*/xtables"))),
            "DOCKER_CONFIG": str(plugins.parent),
            "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
        }

    def _options(self) -> list[str]:
        return [
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/dockerd.pid",
            f"--host=unix://{self.folder}/docker.sock",
            f"--cgroup-parent=/{self.folder.parent.name}",
            # No network but those that Compose makes, and no way from them to the world: this machine forwards nothing.
            *("--bridge=none", "--ip-forward=false", "--ip6tables=false", "--log-level=warn"),
        ]

    def _answers(self, environment: dict[str, str]) -> bool:
        return _run(environment, "docker", "version").returncode == 0

    def _empty(self, environment: dict[str, str]) -> None:
        """What would outlive the engine: the bridges of its networks, in the machine's own network."""
        containers = _run(environment, "docker", "ps", "--all", "--quiet").stdout.split()
        if containers:
            _run(environment, "docker", "rm", "--force", "--volumes", *containers)
        _run(environment, "docker", "network", "prune", "--force")

    def _tidy(self, environment: dict[str, str]) -> None:
        """Its rules in the packet filter, and its empty control groups."""
        rules = _run(environment, "iptables-save").stdout
        kept = "".join(line for line in rules.splitlines(keepends=True) if "DOCKER" not in line)
        if kept != rules:
            _run(environment, "iptables-restore", given=kept)
        for group in Path("/sys/fs/cgroup").glob(f"**/{self.folder.parent.name}"):
            for folder, _, _ in os.walk(group, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)


def _run(environment: dict[str, str], *command: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env=environment, input=given, capture_output=True, text=True, check=False, process_group=0
    )
