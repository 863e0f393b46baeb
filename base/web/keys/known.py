"""The keys that sign requests: read with their owners, and remembered for seconds, as accounts are.

The process that revokes a key forgets it at once, all others go by what they read for at most three seconds.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from cachetools import TTLCache, cached
from django.contrib.auth import get_user_model

from base.web.accounts import ACTIVE_SECONDS, REMEMBERED
from base.web.keys.errors import AddressNotAllowed, KeyExpired, KeyUnknown
from base.web.keys.scopes import Scope
from base.web.keys.secrets import decrypt
from base.web.keys.signed import Algorithm

KEY_ID_LENGTH = 32
_READ = (
    "pk",
    "stamp",
    "rate_limit",
    *(
        f"api_keys__{name}"
        for name in ("id", "algorithm", "secret", "scopes", "addresses", "expires_at", "last_used_at")
    ),
)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that is not revoked, of an active account, as it was within the last seconds."""

    id: int
    key_id: str
    user_id: int
    # Of its owner.
    stamp: str
    rate_limit: int | None
    algorithm: Algorithm
    secret: bytes
    scopes: frozenset[Scope]
    networks: tuple[IPv4Network | IPv6Network, ...]
    expires_at: datetime | None
    last_used_at: datetime | None

    def check_use(self, address: str, now: datetime) -> None:
        """Raises KeyExpired and AddressNotAllowed. `address` is a text that is no address where none is known."""
        self.check_expiry(now)
        if self.networks and not _is_within(address, self.networks):
            raise AddressNotAllowed(f"the key is not used from {address}", address=address)

    def check_expiry(self, now: datetime) -> None:
        """Raises KeyExpired."""
        if self.expires_at is not None and self.expires_at <= now:
            raise KeyExpired("the key has expired")


_remembered: TTLCache[Any, KnownKey] = TTLCache(REMEMBERED, ACTIVE_SECONDS)
_lock = threading.Lock()


@cached(_remembered, lock=_lock)
def known_key(key_id: str) -> KnownKey:
    """The key as it was within the last seconds. Raises KeyUnknown, which is not remembered, and Unreadable."""
    if len(key_id) != KEY_ID_LENGTH or not key_id.isascii():
        raise KeyUnknown("there is no such key")
    owners = get_user_model()._default_manager.filter(
        is_active=True, api_keys__key_id=key_id, api_keys__revoked_at=None
    )
    row = owners.values_list(*_READ).first()
    if row is None:
        raise KeyUnknown("there is no such key")
    user_id, stamp, rate_limit, pk, algorithm, secret, scopes, addresses, expires_at, last_used_at = row
    return KnownKey(
        pk,
        key_id,
        user_id,
        stamp,
        rate_limit,
        Algorithm(algorithm),
        signing_secret(Algorithm(algorithm), secret),
        frozenset(map(Scope, scopes)),
        tuple(map(ip_network, addresses)),
        expires_at,
        last_used_at,
    )


def is_remembered(key_id: str) -> bool:
    """Whether the key is known without a query."""
    with _lock:
        return known_key.cache_key(key_id) in _remembered


def key_as_now(key: KnownKey) -> KnownKey:
    """The same for a connection that it signed in. Raises KeyUnknown and KeyExpired."""
    now_known = known_key(key.key_id)
    now_known.check_expiry(datetime.now(UTC))
    return now_known


def signing_secret(algorithm: Algorithm, stored: str) -> bytes:
    """What a signature is checked by. A public key is stored as it is, because it is no secret. Raises Unreadable."""
    return bytes.fromhex(stored) if algorithm is Algorithm.ED25519 else decrypt(stored).encode()


def good_keys(ids: Collection[int]) -> set[int]:
    """Those of the keys that are neither revoked nor expired now; whose accounts are active is asked elsewhere."""
    if not ids:
        return set()
    kept = get_user_model()._default_manager.filter(api_keys__id__in=sorted(ids), api_keys__revoked_at=None)
    now = datetime.now(UTC)
    rows = kept.values_list("api_keys__id", "api_keys__expires_at")
    return {pk for pk, expires_at in rows if expires_at is None or expires_at > now}


def forget_keys(user_id: int) -> None:
    """Have this process read the account's keys anew. Others do so within seconds."""
    with _lock:
        for place in list(_remembered):
            key = _remembered.get(place)
            if key is not None and key.user_id == user_id:
                _remembered.pop(place, None)


def _is_within(address: str, networks: Collection[IPv4Network | IPv6Network]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
