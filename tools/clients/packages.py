"""The environments of the stock clients: one for each lock file, because two clients share a package's name."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.rig.packages import UnavailableError
from tools.rig.process import ROOT

FOLDER = ROOT / ".venv-clients"
# Others take the Python that the exchange runs with.
PYTHONS = {"hummingbot": "3.12"}
# hummingbot is compiled.
INSTALL_SECONDS = 1_200
LOOK_SECONDS = 20


def provide(name: str) -> Path:
    """The Python that has these packages. Raises UnavailableError with what stands in the way."""
    lock, home = ROOT / f"requirements-{name}.lock", FOLDER / name
    python, stamp = home / "bin" / "python", home / "locked"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing {lock.name} into {home.relative_to(ROOT)}", flush=True)
    base = _python(PYTHONS[name]) if name in PYTHONS else sys.executable
    _uv("venv", "--quiet", "--clear", "--python", base, str(home))
    _uv("pip", "install", "--quiet", "--python", str(python), "--require-hashes", "--requirement", str(lock))
    stamp.write_text(wanted)
    return python


def _python(version: str) -> str:
    """A Python of this version. A name on the PATH proves nothing: a version manager's shim may stand there."""
    for candidate in _candidates(version):
        try:
            answered = subprocess.run(
                [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                timeout=LOOK_SECONDS,
                check=False,
            )
        except OSError:
            continue
        if answered.stdout.strip() == version:
            return candidate
    raise UnavailableError(f"there is no Python {version} here")


def _candidates(version: str) -> Iterator[str]:
    yield from (sys.executable, f"python{version}")
    yield from (str(path) for path in sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}*/bin/python")))


def _uv(*arguments: str) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "uv", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"not installed within {INSTALL_SECONDS} s") from error
    if done.returncode:
        raise UnavailableError(" ".join(done.stderr.split())[-500:])
