"""What Flower needs before it starts, and how it ends. What it shows is in test_follow."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.demo.environment import CannotStartError, running_broker
from tools.demo.flower import prepare
from tools.rig.exchange import answers
from tools.rig.process import ROOT, Process, Server
from tools.rig.servers import free_port, start_redis


def test_it_needs_a_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert running_broker(tmp_path) is None
    with pytest.raises(CannotStartError, match="no demo is running here"):
        prepare({})
    with pytest.raises(CannotStartError, match="BROKER_URL names a server that does not answer"):
        prepare({"BROKER_URL": "redis://127.0.0.1:1/0"})


@pytest.mark.parametrize("password", [{}, {"FLOWER_BASIC_AUTH": "admin"}, {"FLOWER_BASIC_AUTH": "admin:"}], ids=str)
def test_it_needs_a_password(tmp_path: Path, password: dict[str, str]) -> None:
    with start_redis(tmp_path / "redis") as redis:
        with pytest.raises(CannotStartError, match="FLOWER_BASIC_AUTH must be set to user:password"):
            prepare({"BROKER_URL": redis.url, **password})
        known = prepare({"BROKER_URL": redis.url, "FLOWER_BASIC_AUTH": "me:mine", "PROMETHEUS_MULTIPROC_DIR": "/x"})
    assert "PROMETHEUS_MULTIPROC_DIR" not in known


def test_a_used_port_is_one_line(tmp_path: Path) -> None:
    with start_redis(tmp_path / "redis") as redis, socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        variables = {**os.environ, "BROKER_URL": f"{redis.url}/0", "FLOWER_BASIC_AUTH": "me:mine"}
        command = (sys.executable, "-m", "tools.demo.flower", "--port", str(port))
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    refusal = f"port {port} cannot be used (Address already in use); choose another with FLOWER_PORT=\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", refusal)


def test_it_ends_at_once_though_its_broker_is_gone(tmp_path: Path) -> None:
    stops = (signal.SIGTERM, signal.SIGINT)
    with start_redis(tmp_path / "redis") as redis, contextlib.ExitStack() as stack:
        flowers = [stack.enter_context(running(tmp_path, redis, stop.name)) for stop in stops]
        redis.kill()
        # Every 5 s it asks the workers for their events, in a thread that tries until the broker answers.
        time.sleep(6)
        began = time.monotonic()
        for flower, stop in zip(flowers, stops, strict=True):
            flower.send_signal(stop)
        for flower in flowers:
            flower.wait(30)
        assert time.monotonic() - began < 2


@contextlib.contextmanager
def running(folder: Path, redis: Server, name: str) -> Iterator["subprocess.Popen[bytes]"]:
    port = free_port()
    variables = {**os.environ, "BROKER_URL": f"{redis.url}/0", "FLOWER_BASIC_AUTH": "me:mine"}
    command = (sys.executable, "-m", "tools.demo.flower", "--port", str(port))
    with Process(
        name, command, folder / f"{name}.log", variables, lambda _: answers(port, "/healthcheck")
    ).start() as flower:
        assert flower.running
        yield flower.running
