"""A private RabbitMQ, with a folder and free ports of its own; it ends with its starter, as its port mapper does."""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.rig.binaries import own_libraries
from tools.rig.packages import UnavailableError, this_release, unpack
from tools.rig.process import HOST, Process, Server
from tools.rig.servers import HANDSHAKE_SECONDS, free_port

GREETING = b"AMQP\x00\x00\x09\x01"
ERL = """#!/bin/sh
export ROOTDIR={erlang} BINDIR={programs} EMU=beam PROGNAME=erl
exec "$BINDIR/erlexec" "$@"
"""
VERSION = re.compile(rb"versionS....([0-9.]+)", re.DOTALL)


@contextmanager
def rabbit_server(folder: Path) -> Iterator[Server]:
    """Raises UnavailableError."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    program, epmd, environment = _program(folder)
    port, mapper_port = free_port(), free_port()
    environment |= _variables(folder, port, mapper_port)
    # Otherwise the server starts one that stays when it is gone.
    mapper = Process("epmd", (*epmd, "-port", str(mapper_port)), folder / "epmd.log", environment)
    server = Server(
        "rabbitmq",
        program,
        folder / "rabbitmq.log",
        environment,
        origin="private",
        port=port,
        ask_version=rabbit_version,
    )
    mapper.launch()
    try:
        with server.start():
            yield server
    finally:
        mapper.kill()


def rabbit_version(host: str, port: int) -> str:
    """For example `3.10.8`, from the properties that the server names in its first frame."""
    with socket.create_connection((host, port), HANDSHAKE_SECONDS) as connection:
        connection.sendall(GREETING)
        found = VERSION.search(connection.recv(4096))
    if found is None:
        raise ValueError("not the greeting of RabbitMQ")
    return found[1].decode()


def _variables(folder: Path, port: int, mapper_port: int) -> dict[str, str]:
    """Where the server listens, and where everything is that it keeps."""
    return {
        "HOME": str(folder),
        # The script becomes the server, and not its parent, so that a kill reaches it.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_START_ARGS": "-noshell -noinput",
        "RABBITMQ_NODENAME": f"chaos-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": HOST,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": str(mapper_port),
        "ERL_EPMD_ADDRESS": HOST,
        "RABBITMQ_MNESIA_BASE": str(folder),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "none"),
    }


def _program(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]:
    """How the server and its port mapper are called, and with which variables."""
    if (server := shutil.which("rabbitmq-server")) and (epmd := shutil.which("epmd")) and os.geteuid() != 0:
        return (server,), (epmd,), dict(os.environ)
    release = this_release()
    if release.name != "debian":
        raise UnavailableError("no rabbitmq-server on the PATH")
    root = unpack("rabbitmq", release, release.own_suites, ["rabbitmq-server"])
    [script] = root.glob("usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")
    erlang = root / "usr/lib/erlang"
    # Debian's own script knows of no other place than /usr/lib.
    [programs] = erlang.glob("erts-*/bin")
    erl = folder / "erl"
    erl.write_text(ERL.format(erlang=erlang, programs=programs))
    erl.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": own_libraries(root),
    }
    return (str(script),), (str(programs / "epmd"),), environment
