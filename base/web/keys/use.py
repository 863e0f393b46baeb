"""A signed request from the first check to the last, and when a key was used."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cachetools import TTLCache
from django.apps import apps
from django.db import Error
from django.db.models import Q

from base.web.errors import TooManyRequests, Unavailable
from base.web.keys.errors import SignatureReplayed
from base.web.keys.known import KnownKey, is_remembered, known_key
from base.web.keys.once import use_once
from base.web.keys.secrets import Unreadable
from base.web.keys.signed import SignedRequest
from base.web.ratelimit.addresses import network_of
from base.web.ratelimit.windows import LocalWindow

logger = logging.getLogger(__name__)

# A row is changed so seldom, because each request of a key would write otherwise.
STORED_SECONDS = 60
REMEMBERED = 100_000
# So many keys a second are looked for in the database for one address, each of which is then remembered if it is one.
MOST_LOOKUPS = 100

_lookups = LocalWindow()
_stored: TTLCache[int, bool] = TTLCache(REMEMBERED, STORED_SECONDS)
_lock = threading.Lock()


def key_of(signed: SignedRequest, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> KnownKey:
    """The key that signed the request, whose signature is used up by this.

    Raises KeyUnknown, TimestampOutOfWindow, SignatureInvalid, KeyExpired, AddressNotAllowed, SignatureReplayed,
    TooManyRequests and Unavailable.
    """
    now = clock()
    key = _known(signed.key_id, signed.address)
    signed.check_time(now.timestamp())
    signed.check_signature(key.algorithm, key.secret)
    key.check_use(signed.address, now)
    try:
        use_once(signed, key, now)
    except SignatureReplayed:
        if not signed.may_repeat:
            raise
    _store_use(key, now)
    return key


def named_key(key_id: str, address: str) -> KnownKey:
    """The key of that name, where it may be used from there. That proves no more than that its name is known.

    Raises KeyUnknown, KeyExpired, AddressNotAllowed, TooManyRequests and Unavailable.
    """
    key = _known(key_id, address)
    key.check_use(address, datetime.now(UTC))
    return key


def _known(key_id: str, address: str) -> KnownKey:
    _limit_lookups(key_id, address)
    try:
        return known_key(key_id)
    except Unreadable as error:
        logger.error("the key %s signs nothing: %s", key_id, error)
        raise Unavailable("the key cannot be read now: nothing was done") from error


def _limit_lookups(key_id: str, address: str) -> None:
    """Whoever invents keys is counted only after the query for each. Raises TooManyRequests."""
    if is_remembered(key_id):
        return
    if not _lookups.hit(network_of(address), MOST_LOOKUPS).is_let_in:
        raise TooManyRequests("too many keys from this address that are not in use: try again", limit=MOST_LOOKUPS)


def _store_use(key: KnownKey, now: datetime) -> None:
    with _lock:
        if key.id in _stored:
            return
        _stored[key.id] = True
    before = now - timedelta(seconds=STORED_SECONDS)
    try:
        rows = apps.get_model("users", "ApiKey")._default_manager.filter(pk=key.id)
        rows.filter(Q(last_used_at=None) | Q(last_used_at__lt=before)).update(last_used_at=now)
    except Error as error:
        # The request may be one that only reads.
        logger.warning("when the key %s was used is not stored: %s", key.key_id, error)


def forget_uses() -> None:
    """Store the next use of each key anew."""
    with _lock:
        _stored.clear()
