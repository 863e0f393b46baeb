"""The address of a request, read so that no client can choose it."""

import functools
from collections.abc import Mapping
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Any

from django.conf import settings

UNKNOWN = "unknown"
LONGEST = 64
# Of the request that this thread serves: who connected, and X-Forwarded-For.
_origin: ContextVar[tuple[str, str]] = ContextVar("origin", default=("", ""))


def origin_of(meta: Mapping[str, Any]) -> tuple[str, str]:
    """Who connected, and X-Forwarded-For, of a WSGI environment."""
    return meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", "")


def begin_request(peer: str, forwarded_for: str) -> None:
    """Remember where the request comes from that is served from now on."""
    _origin.set((peer, forwarded_for))


def current_network() -> str:
    """The address behind the request in hand; UNKNOWN where there is none, as in a command."""
    return client_network(*_origin.get())


def client_network(peer: str, forwarded_for: str) -> str:
    """The address behind a request, of IPv6 its /64: whoever has one address there has them all."""
    return _network(client_address(peer, forwarded_for))


def client_address(peer: str, forwarded_for: str) -> str:
    """The address behind a request, of which UNKNOWN is none.

    `peer` is who connected to us, `forwarded_for` the X-Forwarded-For header. Each proxy appends its own peer to that
    header, so the last TRUSTED_PROXIES entries were written by our own proxies, and all before them by anybody.
    """
    proxies = settings.TRUSTED_PROXIES
    if proxies:
        entries = forwarded_for.rsplit(",", proxies)
        # A header that is too short did not come by all of our proxies: then whoever connected is counted.
        if len(entries) >= proxies and (address := _address(entries[-proxies])):
            return address
    return _address(peer) or UNKNOWN


def network_of(address: str) -> str:
    """The address as it is counted: of IPv6 its /64; UNKNOWN for none."""
    return _network(_address(address) or UNKNOWN)


@functools.lru_cache(maxsize=10_000)
def _address(text: str) -> str | None:
    """As servers and proxies write it, some with a port; None of anything else."""
    host = text.strip()[:LONGEST]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return str(address)
    # An IPv4 client of a server that listens on IPv6.
    return str(address.ipv4_mapped or address)


@functools.lru_cache(maxsize=10_000)
def _network(address: str) -> str:
    return str(IPv6Network((address, 64), strict=False)) if ":" in address else address
