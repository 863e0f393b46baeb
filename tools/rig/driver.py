"""Make MySQLdb importable: mysqlclient has no Linux wheel, so it is built, with or without the system's headers."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from tools.rig.packages import UnavailableError, this_release, unpack

HOME = Path(__file__).resolve().parents[2]
COMPILERS = ("cc", "gcc", "clang")
CLIENT_LIBRARIES = ("mysqlclient", "libmariadb", "mariadb", "perconaserverclient")


def provide_driver() -> str:
    """Which driver is there now; installs one where there is none."""
    if version := _installed():
        return version
    try:
        return _build()
    except UnavailableError as reason:
        print(f"mysqlclient cannot be built here ({reason}): taking the wheel of mysqlclient-static", flush=True)
        _pip_install("requirements-mysql-static.lock", os.environ, "--only-binary=:all:")
    if version := _installed():
        return version
    raise UnavailableError("no MySQL driver: install libmariadb-dev and a C compiler")


def _build() -> str:
    if not any(map(shutil.which, COMPILERS)):
        raise UnavailableError("no C compiler")
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        raise UnavailableError("no Python.h")
    flags = {} if _system_has_headers() else _flags_of_unpacked_headers()
    # A wheel in pip's cache may have been built against a library in another place.
    _pip_install("requirements-mysql.lock", os.environ | flags, "--no-cache-dir")
    if version := _installed():
        return version
    raise UnavailableError("what was built cannot be imported")


def _system_has_headers() -> bool:
    if not shutil.which("pkg-config"):
        return False
    return any(
        subprocess.run(["pkg-config", "--exists", name], check=False).returncode == 0 for name in CLIENT_LIBRARIES
    )


def _flags_of_unpacked_headers() -> dict[str, str]:
    release = this_release()
    root = unpack("libmariadb", release, release.own_suites, ["libmariadb-dev", "libmariadb3"], alone=True)
    library = next(root.glob("usr/lib/*-linux-gnu/libmariadb.so.3")).parent
    _point_to_plugins(library / "libmariadb3/plugin")
    return {
        "MYSQLCLIENT_CFLAGS": f"-I{root}/usr/include/mariadb",
        "MYSQLCLIENT_LDFLAGS": f"-L{library} -lmariadb -Wl,-rpath,{library}",
    }


def _point_to_plugins(folder: Path) -> None:
    """MySQL's default authentication is a plugin that the library looks for in the system, not beside itself."""
    line = f'import os; os.environ.setdefault("MARIADB_PLUGIN_DIR", "{folder}")\n'
    (Path(sysconfig.get_path("purelib")) / "mariadb_plugins.pth").write_text(line)


def _pip_install(lock: str, environment: Mapping[str, str], *options: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--force-reinstall", "--no-deps", "--require-hashes", *options, "-r", str(HOME / lock)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        complaints = [line.strip() for line in done.stderr.splitlines() if "rror" in line]
        raise UnavailableError(f"pip install of {lock} failed: {(complaints or ['no reason given'])[0]}")


def _installed() -> str:
    question = "import MySQLdb; print('mysqlclient', '.'.join(map(str, MySQLdb.version_info[:3])))"
    done = subprocess.run([sys.executable, "-c", question], check=False, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    print(provide_driver())
