"""A value that cannot be read stops the start with a line that names the variable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONG, LONGER = "k" * 32, "k" * 33


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"DEMO": "1", "STREAM_THREADS": "x"}, "STREAM_THREADS cannot be read"),
        ({"DEMO": "1", "ENGINE_TIME_BOX_SECONDS": "soon"}, "ENGINE_TIME_BOX_SECONDS cannot be read"),
        ({"DEMO": "maybe"}, "DEMO is 'maybe'"),
        ({"DEMO": "1", "LOG_LEVEL": "chatty"}, "LOG_LEVEL is 'chatty'"),
        ({"DEMO": "1", "DATABASE_URL": "postgres://x/y"}, "DATABASE_URL must begin with mysql:// or sqlite:///"),
        ({"DEMO": "1", "GRAFANA_URL": "javascript:alert(1)"}, "GRAFANA_URL is 'javascript:alert(1)'"),
        ({}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": "short", "JWT_SIGNING_KEY": LONG}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": LONG}, "JWT_SIGNING_KEY must be set"),
        ({"SECRET_KEY": LONG, "JWT_SIGNING_KEY": LONG}, "must be two different secrets"),
        ({"SECRET_KEY": "demo-only-secret-key-0123456789-abcdefghijklmnopqrstuvwxyz"}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": LONG, "JWT_SIGNING_KEY": LONGER}, ""),
        ({"DEMO": "1"}, ""),
    ],
    ids=str,
)
def test_settings_refuse_by_name(variables, complaint, tmp_path):
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    started = subprocess.run(
        [sys.executable, "-c", "import exchange.settings"],
        cwd=ROOT,
        env={**kept, "DATA_DIR": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    last_line = started.stderr.strip().splitlines()[-1:] or [""]
    assert complaint in last_line[0], started.stderr
    assert (started.returncode == 0) == (complaint == "")
