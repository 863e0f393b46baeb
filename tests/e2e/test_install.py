"""What the installation prints when it cannot go on: one line, and no traceback."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools.rig.process import ROOT, wait_for

# Python, except that what is named takes half a minute.
SLOW = """#!/bin/sh
case "$*" in
    *"-m {slow}"*) exec {python} -c 'import time; open("begun", "w"); time.sleep(30)' ;;
    *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *) exec {python} "$@" ;;
esac
"""


def begin(folder: Path, slow: str, *more: str) -> "subprocess.Popen[bytes]":
    """The installation in a project that has nothing else."""
    scripts = folder / "tools" / "scripts"
    scripts.mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "scripts" / "venv.sh", scripts)
    (folder / "requirements.lock").write_text("something==1\n")
    python = folder / "slow-python"
    python.write_text(SLOW.format(slow=slow, python=sys.executable))
    python.chmod(0o755)
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            ["sh", "tools/scripts/venv.sh", "requirements.lock", *more],
            cwd=folder,
            env={**os.environ, "PYTHON": str(python)},
            stdout=output,
            stderr=output,
            start_new_session=True,
            # A shell that runs in the background ignores Ctrl-C, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )


@pytest.mark.parametrize("slow", ["venv", "pip"])
def test_ctrl_c_is_one_line(tmp_path: Path, slow: str) -> None:
    installing = begin(tmp_path, slow)
    output = tmp_path / "output"
    wait_for((tmp_path / "begun").exists)
    # As the terminal does: to all that it started.
    os.killpg(installing.pid, signal.SIGINT)
    assert installing.wait(5) == 130
    # The line may come by the filter of pip's output, which ends after the shell.
    wait_for(lambda: output.read_text().splitlines()[-1] == "venv: interrupted; run it again to continue")
    assert "Traceback" not in output.read_text()


def test_a_used_port_is_refused_before_anything_is_installed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        installing = begin(tmp_path, "pip", str(port))
        assert installing.wait(10) == 1
    assert (tmp_path / "output").read_text() == f"port {port} cannot be used; choose another with PORT=\n"
    assert not (tmp_path / ".venv").exists()
