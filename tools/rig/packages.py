"""Debian and Ubuntu packages unpacked into a cache folder: no root, nothing installed, nothing left half done."""

import fcntl
import functools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KEYRINGS = Path("/usr/share/keyrings")
ARCHIVES = "apt/var/cache/apt/archives"
SUITE_ALIASES = ("stable", "testing", "unstable")
SETTINGS = """
Dir "{work}/apt";
Dir::State::status "{work}/apt/var/lib/dpkg/status";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
APT::Update::Error-Mode "any";
Acquire::Retries "3";
Acquire::http::Timeout "30";
"""


class UnavailableError(Exception):
    """This machine cannot provide what was asked for; the message names the reason."""


@dataclass(frozen=True)
class Release:
    """The Debian or Ubuntu this machine runs, and where it takes its packages from."""

    name: str
    codename: str
    architecture: str
    mirror: str

    @property
    def own_suites(self) -> tuple[str, ...]:
        return (self.codename, f"{self.codename}-updates")

    @property
    def components(self) -> str:
        return "main universe" if self.name == "ubuntu" else "main"

    @property
    def keyring(self) -> Path:
        return KEYRINGS / f"{self.name}-archive-keyring.gpg"


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "exchange"


@functools.cache
def this_release() -> Release:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise UnavailableError("this machine has no apt")
    facts = platform.freedesktop_os_release()
    name, codename = facts.get("ID", ""), facts.get("VERSION_CODENAME", "")
    if name not in ("debian", "ubuntu") or not codename:
        raise UnavailableError(f"packages are known for Debian and Ubuntu, not for {name or 'this system'}")
    architecture = _output("dpkg", "--print-architecture").strip()
    release = Release(name, codename, architecture, _mirror(codename))
    if not release.keyring.exists():
        raise UnavailableError(f"the {name} archive keyring is missing")
    return release


def unpack(title: str, release: Release, suites: Sequence[str], names: Sequence[str], *, alone: bool = False) -> Path:
    """The folder holding these packages, fetched once, with all they depend on unless wanted `alone`."""
    target = cache_folder() / f"{title}-{suites[0]}-{release.architecture}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(target), _work_folder(target) as work:
            # Another run may have fetched it while this one waited.
            if not target.exists():
                print(f"fetching {title} from {release.name} {suites[0]} into {target} (once)", flush=True)
                _fetch(work, release, suites, names, alone).rename(target)
    return target


def _fetch(work: Path, release: Release, suites: Sequence[str], names: Sequence[str], alone: bool) -> Path:
    """What the packages hold, in `work`: renamed when complete, so an interrupted download is never taken for one."""
    apt = _private_apt(work, release, suites)
    _apt(apt, "update")
    found = [_newest(apt, name) for name in names]
    if alone:
        _apt(apt, "download", *found, folder=work / ARCHIVES)
    else:
        _apt(apt, "install", "-y", "--download-only", "--no-install-recommends", *found)
    root = work / "root"
    root.mkdir(mode=0o755)
    for package in sorted((work / ARCHIVES).glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    return root


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    prefix = f".{target.name}-"
    for old in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(old, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _private_apt(work: Path, release: Release, suites: Sequence[str]) -> dict[str, str]:
    """An apt of our own in `work`: knows no installed package, so it fetches the C library too."""
    for folder in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/dpkg"):
        (work / "apt" / folder).mkdir(parents=True)
    for folder in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        (work / "apt" / folder).mkdir(parents=True)
    (work / "apt/var/lib/dpkg/status").touch()
    source = f"deb [signed-by={release.keyring}] {release.mirror}"
    lines = [f"{source} {suite} {release.components}\n" for suite in suites]
    (work / "apt/etc/apt/sources.list").write_text("".join(lines))
    # The machine's proxy and certificates come first, so that ours have the last word.
    machine = _output("apt-config", "dump", "Acquire")
    settings = SETTINGS.format(work=work, architecture=release.architecture)
    (work / "apt.conf").write_text(machine + settings)
    return os.environ | {"APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C"}


def _apt(environment: dict[str, str], *arguments: str, folder: Path | None = None) -> None:
    command = ["apt-get", "-qq", *arguments]
    done = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"apt-get {arguments[0]}: {reason[-1]}")


def _newest(environment: dict[str, str], name: str) -> str:
    """`name`, or its newest versioned form: Ubuntu calls it mysql-server-core-8.0."""
    command = ["apt-cache", "pkgnames", name]
    listing = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    known = listing.stdout.split()
    versioned = [other for other in known if other[len(name) :].strip("-.0123456789") == ""]
    if not versioned:
        raise UnavailableError(f"there is no package {name}")
    return name if name in versioned else max(versioned, key=_version_numbers)


def _version_numbers(package: str) -> list[int]:
    return [int(part) for part in package.rpartition("-")[2].split(".") if part.isdigit()]


def _mirror(codename: str) -> str:
    """The address this machine's apt already takes its own release from."""
    form = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    # Without release information: on a fresh machine apt has not downloaded any yet.
    listing = _output("apt-get", "indextargets", "--no-release-info", "--format", form, "Created-By: Packages")
    for line in listing.splitlines():
        suite, component, address = line.split()
        if suite in (codename, *SUITE_ALIASES) and component == "main":
            return address
    raise UnavailableError(f"apt has no source for {codename}")


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnavailableError(f"{command[0]} does not answer: {error}") from error


@contextmanager
def _one_at_a_time(target: Path) -> Iterator[None]:
    with open(target.parent / f".{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    print(unpack(sys.argv[1], this_release(), sys.argv[2].split(","), sys.argv[3:]))
