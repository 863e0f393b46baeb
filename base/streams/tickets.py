"""Tickets: a browser's EventSource cannot send a token in a header, so it brings one that is good once, for seconds.

A ticket needs no Redis: it is signed, and says itself whose it is and how old. That it was used is remembered twice.
A cache that evicts nothing makes it good once over all processes; while Redis is away, each process knows what it has
seen itself.
"""

import hashlib
import logging
import secrets
import threading

from cachetools import TTLCache
from django.conf import settings
from django.core import signing
from django.core.cache import caches

from base.storage.breakers import ServerAway, breaker_of

logger = logging.getLogger(__name__)

TICKET_SECONDS = 30
# Longer than a ticket is good, by more than the clocks of two servers are apart.
REMEMBERED_SECONDS = 120
REMEMBERED = 100_000
SALT = "base.streams.ticket"
KEPT = "kept"

_used: TTLCache[str, bool] = TTLCache(REMEMBERED, REMEMBERED_SECONDS)
_lock = threading.Lock()


def issue_ticket(user_id: int) -> str:
    """A word that nobody can guess or make, and that signs in one stream of this user within 30 seconds."""
    return signing.dumps([user_id, secrets.token_urlsafe(16)], salt=SALT)


def redeem_ticket(ticket: str) -> int | None:
    """Whose ticket it was, once. Of two that redeem it at the same moment only one is told."""
    try:
        user_id, nonce = signing.loads(ticket, salt=SALT, max_age=TICKET_SECONDS) if ticket.isascii() else (None, "")
    except signing.BadSignature:
        return None
    return user_id if user_id is not None and _is_first_use(nonce) else None


def _is_first_use(nonce: str) -> bool:
    with _lock:
        if nonce in _used:
            return False
        _used[nonce] = True
    try:
        with breaker_of(settings.REDIS_URL).calling():
            return bool(caches[KEPT].add(_key(nonce), 1, REMEMBERED_SECONDS))
    except ServerAway:
        return True
    except Exception as error:
        logger.warning("the cache does not tell whether a ticket was used: %s", error)
        return True


def _key(nonce: str) -> str:
    """A conflator: what makes a ticket need not lie readable in Redis."""
    return "stream-ticket:" + hashlib.sha256(nonce.encode()).hexdigest()
