"""How many connections each address has open in this process, and what a server says before it closes one."""

import json
from collections import Counter
from http import HTTPStatus

from django.conf import settings

from base.web.errors import ExchangeError, TooManyConnections, error_body
from base.web.ratelimit.addresses import client_network


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


def plain_answer(refusal: ExchangeError) -> bytes:
    """A refusal as it is written on a connection that is then closed."""
    body = json.dumps(error_body(refusal)).encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    if refusal.retry_after_seconds is not None:
        lines.append(f"Retry-After: {refusal.retry_after_seconds}")
    return "\r\n".join([*lines, "", ""]).encode() + body
