"""A value that cannot be read stops the start with a line that names the variable."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
# prometheus_client goes by its variable when it is imported, which the settings check and correct.
READ = "import sys, exchange.settings; assert 'prometheus_client' not in sys.modules"
# What the settings import takes a third of a second. It is imported once, and each case is a fork of that process.
FORKS = """
import json, os, sys, tempfile
import celery.app, environ, kombu.transport.redis, redis, rest_framework, structlog.dev

def run(case):
    os.environ.clear()
    os.environ.update(case["variables"])
    try:
        exec(case["code"], {})
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0

for line in sys.stdin:
    with tempfile.TemporaryFile("w+") as errors:
        if not (child := os.fork()):
            os.dup2(errors.fileno(), 2)
            code = run(json.loads(line))
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        errors.seek(0)
        print(json.dumps({"returncode": code, "stderr": errors.read()}), flush=True)
"""
LONG, LONGER = "3b8de10f5c9a4e27b6d1c0f8a95e7342", "c41f0a9be6d52783f1e09c5ab8d7436e2"
DEMO_KEY = "demo-only-secret-key-0123456789-abcdefghijklmnopqrstuvwxyz"
THIRD = "9d2e7c04b1f86a35e0d97c1b4f82a6d3"
OWN = {"SECRET_KEY": LONG, "JWT_SIGNING_KEY": LONGER, "API_KEY_SECRETS": THIRD}


@pytest.fixture(scope="module")
def forks():
    command = [sys.executable, "-c", FORKS]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def start(forks, tmp_path):
    """Runs code in a process that has these variables and no others."""

    def run(code, **variables):
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
        case = {"code": code, "variables": {**kept, "DATA_DIR": str(tmp_path), **variables}}
        forks.stdin.write(json.dumps(case) + "\n")
        forks.stdin.flush()
        return SimpleNamespace(**json.loads(forks.stdout.readline()))

    return run


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"DEMO": "1", "STREAM_THREADS": "x"}, "STREAM_THREADS cannot be read"),
        ({"DEMO": "1", "ENGINE_TIME_BOX_SECONDS": "soon"}, "ENGINE_TIME_BOX_SECONDS cannot be read"),
        ({"DEMO": "1", "RATE_LIMIT": "10"}, "RATE_LIMIT is '10', it must be off, or 1/s to 10000/s"),
        ({"DEMO": "1", "SIGN_IN_LIMIT": "5"}, "SIGN_IN_LIMIT is '5', it must be off, or 1/s to 10000/s"),
        ({"DEMO": "1", "LOCKOUT_FAILURES": "5,0,20"}, "LOCKOUT_FAILURES is '5,0,20', it must be off, or three numbers"),
        ({"DEMO": "1", "LOCKOUT_FAILURES": "off", "REFRESH_LIMIT": "off", "HASH_THREADS": "2"}, ""),
        ({"DEMO": "1", "RATE_LIMIT": "0/s"}, "RATE_LIMIT is '0/s'"),
        ({"DEMO": "1", "RATE_LIMIT": "10001/s"}, "RATE_LIMIT is '10001/s'"),
        ({"DEMO": "1", "CORS_ORIGINS": "*"}, "CORS_ORIGINS has '*', an origin is https://name"),
        ({"DEMO": "1", "CORS_ORIGINS": "https://a.example/"}, "CORS_ORIGINS has 'https://a.example/'"),
        ({"DEMO": "1", "CORS_ORIGINS": "https://a.example,http://localhost:3000"}, ""),
        ({"DEMO": "1", "TRUSTED_PROXIES": "-1"}, "TRUSTED_PROXIES is -1"),
        ({"DEMO": "1", "TRUSTED_PROXIES": "one"}, "TRUSTED_PROXIES cannot be read"),
        ({"DEMO": "1", "RATE_LIMIT": "25/s", "TRUSTED_PROXIES": "1"}, ""),
        ({"DEMO": "1", "APPROVAL_ABOVE": "USD:10000,BTC:0.5"}, ""),
        ({"DEMO": "1", "APPROVAL_ABOVE": "USD=10000"}, "APPROVAL_ABOVE has 'USD=10000'"),
        ({"DEMO": "1", "APPROVAL_ABOVE": "USD:1,USD:2"}, "APPROVAL_ABOVE has 'USD:2'"),
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
        ({"SECRET_KEY": LONG, "JWT_SIGNING_KEY": DEMO_KEY}, "JWT_S"),
        ({"SECRET_KEY_FILE": "/nowhere"}, "SECRET_KEY cannot be read"),
        ({"SECRET_KEY": "short", "JWT_SIGNING_KEY": LONG}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": LONG}, "JWT_SIGNING_KEY must be set"),
        ({"SECRET_KEY": LONG, "JWT_SIGNING_KEY": LONG}, "must be two different secrets"),
        ({"SECRET_KEY": DEMO_KEY}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": "k" * 40}, "it has only 1 different ones"),
        ({"SECRET_KEY": "abababababababababababababababababab"}, "it has only 2 different ones"),
        ({"SECRET_KEY": "4f9c1e7a" * 5}, "it repeats itself"),
        ({"SECRET_KEY": "abcdefghijklmnopqrstuvwxyz0123456789"}, "its letters follow one another"),
        ({"SECRET_KEY": "django-insecure-8vq3^2lx(0k7w$mz5r!n"}, "it is one that others know"),
        ({"SECRET_KEY": "Please-Change-Me-8vq32lx0k7w5rn91pt"}, "it is one that others know"),
        ({"SECRET_KEY": LONG, "JWT_SIGNING_KEY": LONGER}, "API_KEY_SECRETS must be set"),
        ({**OWN, "API_KEY_SECRETS": LONGER}, "its secrets must differ"),
        ({**OWN, "API_KEY_SECRETS": f"{THIRD},short"}, "API_KEY_SECRETS must be set to a secret of your own"),
        ({**OWN, "API_KEY_SECRETS": f"{THIRD},{'y' * 40}"}, "it has only 1 different ones"),
        ({**OWN, "API_KEY_SECRETS": f"{THIRD}, {THIRD[::-1]}"}, ""),
        (OWN, ""),
        ({**OWN, "ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS has '*', name each host"),
        ({**OWN, "ALLOWED_HOSTS": "a.example,*.example.com"}, "ALLOWED_HOSTS has '*.example.com'"),
        ({**OWN, "ALLOWED_HOSTS": "a.example,testserver"}, "ALLOWED_HOSTS has 'testserver'"),
        ({**OWN, "ALLOWED_HOSTS": "a.example,.example.com,10.0.0.7"}, ""),
        ({"DEMO": "1", "ALLOWED_HOSTS": "a.example"}, "DEMO=1 is for this machine alone, and a.example is reached"),
        ({"DEMO": "1", "ALLOWED_HOSTS": "127.0.0.1,localhost"}, ""),
        ({"DEMO": "1", "DEMO_HOST": "0.0.0.0"}, "SECRET_KEY must be set"),
        ({"DEMO": "1", "DEMO_HOST": "0.0.0.0", "ALLOWED_HOSTS": "a.example", **OWN}, ""),
        ({**OWN, "SANDBOX": "1"}, "SANDBOX=1 is for a demo alone (DEMO=1)"),
        ({"DEMO": "1", "CLASSROOM": "1", "SANDBOX": "1"}, "SANDBOX=1 is not for a class (CLASSROOM=1)"),
        ({"DEMO": "1", "SANDBOX": "1"}, ""),
        ({"DEMO": "1"}, ""),
    ],
    ids=str,
)
def test_settings_refuse_by_name(variables, complaint, start):
    started = start(READ, **variables)
    assert complaint in started.stderr
    assert len(started.stderr.splitlines()) == (complaint != ""), "one line"
    assert (started.returncode == 0) == (complaint == "")


def test_a_missing_driver_leads_to_its_lock_file(start):
    without = "import sys; sys.modules['MySQLdb'] = None; import exchange.settings"
    started = start(without, DEMO="1", DATABASE_URL="mysql://root@127.0.0.1/exchange")
    assert started.returncode == 1
    assert started.stderr.endswith(
        "DATABASE_URL names MySQL, and its driver is not installed:"
        " .venv/bin/pip install --require-hashes -r requirements-mysql.lock\n"
    )
    assert len(started.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "is_refused"),
    [
        ("uvicorn exchange.asgi:application --host 0.0.0.0 --port 80", True),
        ("uvicorn exchange.asgi:application --host=10.1.2.3", True),
        ("uvicorn exchange.asgi:application --host ::1", False),
        ("uvicorn exchange.asgi:application", False),
        ("UVICORN_HOST=0.0.0.0 uvicorn exchange.asgi:application", True),
        ("UVICORN_HOST=0.0.0.0 uvicorn exchange.asgi:application --host 127.0.0.1", False),
        ("gunicorn exchange.wsgi", True),
        ("gunicorn exchange.wsgi --bind 127.0.0.1:8000", False),
        ("gunicorn -b [::]:8000 exchange.wsgi", True),
        ("gunicorn --bind=unix:/run/s exchange.wsgi", False),
        ("manage.py runserver 0.0.0.0:8000", True),
        ("manage.py runserver [::]:8000", True),
        ("manage.py runserver -6 elsewhere:8000", True),
        ("manage.py runserver --noreload 127.0.0.1:8000", False),
        ("manage.py runserver 8000", False),
        ("manage.py migrate", False),
        ("celery -A exchange flower --address=0.0.0.0", True),
        ("manage.py lift_lockout --address 192.0.2.7", False),
    ],
)
def test_a_demo_is_not_served_to_others_with_secrets_that_everybody_knows(arguments, is_refused, start):
    arguments, variables = arguments.split(), {}
    if "=" in arguments[0]:
        variables = dict([arguments.pop(0).split("=")])
    code = f"import sys; sys.argv[:] = {arguments}; import exchange.settings"
    started = start(code, DEMO="1", **variables)
    assert ("DEMO=1 is for this machine alone" in started.stderr) == is_refused
    assert (started.returncode == 0) != is_refused, started.stderr
    assert start(code, **OWN, **variables).returncode == 0
