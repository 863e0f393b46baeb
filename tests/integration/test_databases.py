"""Connections to MySQL notice that the other end is gone, though nobody tells them."""

import os
import shutil
import socket
import subprocess
import sys

import pytest
from django.db import OperationalError, connection, transaction

from base.storage.mysql import base
from base.storage.mysql.base import GIVE_UP_SECONDS, OPTIONS
from users.models import User

# Two networks with one cable, which is pulled out while a client waits for an answer.
LOST_HOST = """
import socket, subprocess, sys, time
from base.storage.mysql import base
def run(*words): subprocess.run(words, check=True)
peer = subprocess.Popen(["unshare", "--net", "sleep", "60"])
time.sleep(0.5)
there = ["nsenter", "-t", str(peer.pid), "-n"]
run("ip", "link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(peer.pid))
run("ip", "addr", "add", "10.99.0.1/24", "dev", "here")
run("ip", "link", "set", "here", "up")
run(*there, "ip", "addr", "add", "10.99.0.2/24", "dev", "there")
run(*there, "ip", "link", "set", "there", "up")
listen = "import socket, time; s = socket.create_server(('10.99.0.2', 7000)); c = s.accept(); time.sleep(60)"
server = subprocess.Popen([*there, sys.executable, "-c", listen])
try:
    for _ in range(100):
        try:
            client = socket.create_connection(("10.99.0.2", 7000), 1)
            break
        except OSError:
            time.sleep(0.1)
    client.settimeout(None)
    base.OPTIONS.update(TCP_KEEPIDLE=1, TCP_KEEPINTVL=1, TCP_KEEPCNT=2, TCP_USER_TIMEOUT=2000)
    base.notice_a_lost_host(client.fileno())
    run(*there, "ip", "link", "set", "there", "down")
    try:
        client.recv(1)
    except OSError as error:
        print("noticed", error)
finally:
    server.kill()
    peer.kill()
"""


@pytest.mark.django_db
@pytest.mark.dialect
def test_the_kernel_asks_whether_the_databases_host_is_there():
    if connection.vendor != "mysql":
        pytest.skip("SQLite has no host")
    connection.ensure_connection()
    with socket.socket(fileno=os.dup(connection.connection.fileno())) as own:
        assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        told = {name: own.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in OPTIONS}
    assert told == OPTIONS
    assert GIVE_UP_SECONDS < 15


@pytest.mark.long
@pytest.mark.timeout(60)
def test_a_host_that_vanished_is_noticed():
    """Without it the client would wait for two hours, and with something to send for a quarter of an hour."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        pytest.skip("networks of one's own need root, unshare and ip")
    command = ["unshare", "--net", sys.executable, "-c", LOST_HOST]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    if "Operation not" in done.stderr:
        pytest.skip(f"no network of one's own here: {done.stderr[-200:]}")
    assert "noticed" in done.stdout, done.stderr


def server_log() -> list[str]:
    """What this session has sent, from the server's own log, which is cleared."""
    with connection.cursor() as cursor:
        own = "FROM mysql.general_log WHERE thread_id = CONNECTION_ID() ORDER BY event_time"
        # MySQL keeps bytes, MariaDB a text.
        cursor.execute(f"SELECT CAST(argument AS CHAR) {own}")
        sent = [text for (text,) in cursor.fetchall()]
        cursor.execute("TRUNCATE mysql.general_log")
    return [text for text in sent if text and "general_log" not in text]


@pytest.mark.dialect
@pytest.mark.skipif(connection.vendor != "mysql", reason="how transactions begin on MySQL")
def test_a_transaction_is_begun_and_ended_and_nothing_is_switched(transactional_db):
    def write(name: str) -> None:
        User.objects.filter(username=name).update(email=f"{name}@example.com")

    @transaction.atomic
    def fail() -> None:
        write("two")
        raise ZeroDivisionError

    with connection.cursor() as cursor:
        cursor.execute("SET GLOBAL log_output = 'TABLE'")
        cursor.execute("TRUNCATE mysql.general_log")
        cursor.execute("SET GLOBAL general_log = ON")
    try:
        with transaction.atomic():
            write("one")
        with pytest.raises(ZeroDivisionError):
            fail()
        write("three")
        sent = [text.split()[0].upper() for text in server_log()]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET GLOBAL general_log = OFF")
    assert sent == ["BEGIN", "UPDATE", "COMMIT", "BEGIN", "UPDATE", "ROLLBACK", "UPDATE"]


@pytest.mark.dialect
@pytest.mark.skipif(connection.vendor != "mysql", reason="SQLite has no server")
def test_a_connection_that_ended_is_found_out_after_a_second_or_by_one_request(transactional_db, monkeypatch):
    def end() -> None:
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute(f"KILL CONNECTION {connection.connection.thread_id()}")
        other.close()
        connection.health_check_done = False

    assert not User.objects.exists()
    end()
    with pytest.raises(OperationalError):
        User.objects.exists()
    connection.close_if_unusable_or_obsolete()
    assert not User.objects.exists(), "the request that failed has ended"
    end()
    monkeypatch.setattr(base, "HEALTHY_SECONDS", 0.0)
    assert not User.objects.exists()
