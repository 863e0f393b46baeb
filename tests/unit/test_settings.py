"""A value that cannot be read stops the start with a line that names the variable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# prometheus_client goes by its variable when it is imported, which the settings check and correct.
READ = "import sys, exchange.settings; assert 'prometheus_client' not in sys.modules"
LONG, LONGER = "k" * 32, "k" * 33


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"DEMO": "1", "STREAM_THREADS": "x"}, "STREAM_THREADS cannot be read"),
        ({"DEMO": "1", "ENGINE_TIME_BOX_SECONDS": "soon"}, "ENGINE_TIME_BOX_SECONDS cannot be read"),
        ({"DEMO": "1", "RATE_LIMIT": "10"}, "RATE_LIMIT is '10', it must be off, or 1/s to 10000/s"),
        ({"DEMO": "1", "RATE_LIMIT": "0/s"}, "RATE_LIMIT is '0/s'"),
        ({"DEMO": "1", "RATE_LIMIT": "10001/s"}, "RATE_LIMIT is '10001/s'"),
        ({"DEMO": "1", "TRUSTED_PROXIES": "-1"}, "TRUSTED_PROXIES is -1"),
        ({"DEMO": "1", "TRUSTED_PROXIES": "one"}, "TRUSTED_PROXIES cannot be read"),
        ({"DEMO": "1", "RATE_LIMIT": "25/s", "TRUSTED_PROXIES": "1"}, ""),
        ({"DEMO": "1", "RATE_LIMIT": "off"}, ""),
        ({"DEMO": "maybe"}, "DEMO is 'maybe'"),
        ({"DEMO": "1", "LOG_LEVEL": "chatty"}, "LOG_LEVEL is 'chatty'"),
        ({"DEMO": "1", "LOG_FORMAT": "xml"}, "LOG_FORMAT is 'xml'"),
        ({"DEMO": "1", "DATABASE_URL": "postgres://x/y"}, "DATABASE_URL must begin with mysql:// or sqlite:///"),
        ({"DEMO": "1", "METRICS_PORT": "70000"}, "METRICS_PORT is 70000, it must be from 0 to 65535"),
        ({"DEMO": "1", "REDIS_URL": "memcached://x"}, "REDIS_URL must begin with one of redis://, rediss://"),
        ({"DEMO": "1", "BROKER_URL": "redis://h:99999/0"}, "BROKER_URL cannot be read: Port out of range"),
        ({"DEMO": "1", "LIVENESS_FILE": "/nowhere/alive"}, "LIVENESS_FILE is /nowhere/alive"),
        ({"DEMO": "1", "PROMETHEUS_MULTIPROC_DIR": "", "CACHE_URL": "", "BROKER_URL": "amqp://a:b@h/v"}, ""),
        ({"DEMO": "1", "ENGINE_BATCH_SIZE": "0"}, "ENGINE_BATCH_SIZE is 0"),
        ({"DEMO": "1", "INTAKE_MAX_AGE_SECONDS": "0"}, "INTAKE_MAX_AGE_SECONDS is 0.0, it must be 0.1 or more"),
        ({"DEMO": "1", "ENGINE_RETRY_MS": "100,-1"}, "ENGINE_RETRY_MS is [100, -1]"),
        ({"DEMO": "1", "PROMETHEUS_MULTIPROC_DIR": "/nowhere"}, "PROMETHEUS_MULTIPROC_DIR is /nowhere"),
        ({"DEMO": "1", "GRAFANA_URL": "javascript:alert(1)"}, "GRAFANA_URL is 'javascript:alert(1)'"),
        ({}, "SECRET_KEY must be set"),
        (
            {"SECRET_KEY": LONG, "JWT_SIGNING_KEY": "demo-only-secret-key-0123456789-abcdefghijklmnopqrstuvwxyz"},
            "JWT_S",
        ),
        ({"SECRET_KEY_FILE": "/nowhere"}, "SECRET_KEY cannot be read"),
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
    started = start("import exchange.settings", tmp_path, **variables)
    assert complaint in started.stderr
    assert len(started.stderr.splitlines()) == (complaint != ""), "one line"
    assert (started.returncode == 0) == (complaint == "")


def test_a_missing_driver_leads_to_its_lock_file(tmp_path):
    without = "import sys; sys.modules['MySQLdb'] = None; import exchange.settings"
    started = start(without, tmp_path, DEMO="1", DATABASE_URL="mysql://root@127.0.0.1/exchange")
    assert started.returncode == 1
    assert started.stderr.endswith(
        "DATABASE_URL names MySQL, and its driver is not installed:"
        " .venv/bin/pip install --require-hashes -r requirements-mysql.lock\n"
    )
    assert len(started.stderr.splitlines()) == 1


def start(code, folder, **variables):
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**kept, "DATA_DIR": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
