"""What a server says of itself, asked without a driver: also the proof that it answers."""

import socket

TIMEOUT_SECONDS = 5
# Older clients took a major version of 10 for 1, so MariaDB put this before its own.
MARIADB_DISGUISE = "5.5.5-"


def database_version(host: str, port: int) -> str:
    """The version in the first packet that MySQL and MariaDB send: length, sequence, protocol 10, version, zero."""
    with socket.create_connection((host, port), TIMEOUT_SECONDS) as connection:
        packet = connection.recv(256)
    if len(packet) < 6 or packet[4] != 10:
        raise ValueError("not the greeting of a MySQL server")
    version = packet[5 : packet.index(0, 5)].decode()
    return version.removeprefix(MARIADB_DISGUISE)


def redis_version(host: str, port: int) -> str:
    """For example `Valkey 9.1.2` or `Redis 7.0.15`."""
    with socket.create_connection((host, port), TIMEOUT_SECONDS) as connection:
        connection.sendall(b"INFO server\r\n")
        answer = connection.recv(4096).decode(errors="replace")
    facts = dict(line.split(":", 1) for line in answer.splitlines() if ":" in line)
    if "valkey_version" in facts:
        return f"Valkey {facts['valkey_version']}"
    if "redis_version" in facts:
        return f"Redis {facts['redis_version']}"
    raise ValueError("the server gave no version")
