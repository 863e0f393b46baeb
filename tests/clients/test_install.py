"""The Python client as its users install it: by pip, from its folder, beside nothing of the exchange."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.rig.process import ROOT

TRY = """
import clearbell, inspect, os
from clearbell import Client, Refused
assert "site-packages" in clearbell.__file__
assert os.path.exists(os.path.join(os.path.dirname(clearbell.__file__), "py.typed"))
with Client(os.environ["EXCHANGE"], trust_env=False) as client:
    print(client.info().name, client.time().server_time.tzinfo)
    try:
        client.balances()
    except Refused as refusal:
        print(refusal.code)
"""


@pytest.mark.long
def test_pip_installs_it_into_a_fresh_environment(exchange, tmp_path: Path):
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    source = tmp_path / "source"
    subprocess.run(["cp", "-r", str(ROOT / "clients" / "python"), str(source)], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(source)], check=True, timeout=110)
    ran = subprocess.run(
        [python, "-W", "error", "-c", TRY],
        cwd=tmp_path, env={"EXCHANGE": exchange.url}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.stdout, ran.stderr) == ("exchange UTC\nNOT_AUTHENTICATED\n", "")
