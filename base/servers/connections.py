"""How many connections this process may have, and each address; and what a server answers before it closes one."""

import contextlib
import json
import resource
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from django.conf import settings

from base.web.errors import ExchangeError, TooManyConnections, error_body
from base.web.hardening import HEADERS
from base.web.ratelimit.addresses import client_network

# Each connection is one, and so is each of the process's own to MySQL and Redis.
OPEN_FILES = 65_536


def allow_open_files() -> None:
    """As many as the system lets the process have: a shell's 1,024 would be used up by a few addresses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Connections:
    """Counted only where clients connect to this process themselves: all others come from the proxy's address."""

    def __init__(self) -> None:
        self._addresses: Counter[str] = Counter()

    def enter(self, peer: str) -> str:
        """The address that `leave` is called with. Raises TooManyConnections."""
        if settings.TRUSTED_PROXIES or not peer:
            return ""
        address, limit = client_network(peer, ""), settings.CONNECTION_MAX_PER_ADDRESS
        if self._addresses[address] >= limit:
            raise TooManyConnections(
                f"{limit} connections are open from this address already", limit=limit, scope="address"
            )
        self._addresses[address] += 1
        return address

    def leave(self, address: str) -> None:
        if not address:
            return
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]


def plain_answer(
    refusal: ExchangeError, more: Mapping[str, str] = MappingProxyType({}), *, is_last: bool = True
) -> bytes:
    """A refusal as it is written on a connection, which is then closed unless it is not the last one."""
    body = json.dumps(error_body(refusal)).encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        *(f"{name}: {value}" for name, value in {**HEADERS, **more}.items()),
        f"Connection: {'close' if is_last else 'keep-alive'}",
    ]
    if refusal.retry_after_seconds is not None:
        lines.append(f"Retry-After: {refusal.retry_after_seconds}")
    return "\r\n".join([*lines, "", ""]).encode() + body
