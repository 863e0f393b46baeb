"""An address in the settings at which no server answers is named in the log of each process that starts with it."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.test import override_settings

from base.storage.checks import servers_away
from exchange.asgi import application

ROOT = Path(__file__).resolve().parents[2]
AWAY = "redis://:hidden@127.0.0.1:1/1"
SENTENCE = "REDIS_URL and CACHE_URL: nothing usable answers at redis://127.0.0.1:1/1"
SECONDS = 30


def test_servers_that_answer_are_not_named():
    assert servers_away() == []


def test_a_wrong_address_is_named_without_its_password():
    with override_settings(REDIS_URL=AWAY, CACHE_URL=AWAY, BROKER_URL="amqp://guest:hidden@127.0.0.1:1/there"):
        redis, broker = servers_away()
    assert redis.startswith(f"{SENTENCE} (") and "Connection refused" in redis
    assert broker.startswith("BROKER_URL: nothing usable answers at amqp://127.0.0.1:1/there (")
    assert "hidden" not in redis + broker


def test_an_operator_may_check_before_the_start(capsys):
    with override_settings(REDIS_URL=AWAY, CACHE_URL=AWAY):
        call_command("check", "--deploy", "--tag", "servers")
    assert SENTENCE in capsys.readouterr().err


def test_the_streams_process_checks_at_its_start(caplog):
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(messages)

    async def send(_: Any) -> None:
        pass

    with override_settings(REDIS_URL=AWAY, CACHE_URL=AWAY):
        asyncio.run(application({"type": "lifespan"}, receive, send))
        ends = time.monotonic() + SECONDS
        while SENTENCE not in caplog.text and time.monotonic() < ends:
            time.sleep(0.02)
    assert SENTENCE in caplog.text


COMMANDS = (
    ("gunicorn", "--config", "deploy/gunicorn.conf.py", "exchange.wsgi"),
    ("celery", "-A", "exchange", "worker", "-P", "solo", "-c", "1"),
    ("celery", "-A", "exchange", "beat"),
)


def test_each_process_starts_all_the_same_and_names_it_once(tmp_path):
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    variables = {"DEMO": "1", "DATA_DIR": str(tmp_path), "REDIS_URL": AWAY, "BIND": "127.0.0.1:0"}
    outputs = [tmp_path / str(place) for place in range(len(COMMANDS))]
    processes = []
    try:
        for command, output in zip(COMMANDS, outputs, strict=True):
            with output.open("wb") as file:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", *command],
                        cwd=ROOT,
                        env={**kept, **variables},
                        stdout=subprocess.DEVNULL,
                        stderr=file,
                    )
                )
        ends = time.monotonic() + SECONDS
        while not all(SENTENCE in output.read_text() for output in outputs) and time.monotonic() < ends:
            time.sleep(0.1)
        # The second process of gunicorn would name it as fast.
        time.sleep(1)
        assert [process.poll() for process in processes] == [None] * len(COMMANDS)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(SECONDS)
    for output in outputs:
        assert output.read_text().count(SENTENCE) == 1, output.read_text()
        assert "hidden" not in output.read_text()
