"""Tickets: a browser's EventSource cannot send a token in a header, so it brings one that is good once, for seconds.

A ticket needs no Redis, because it is signed and contains its user and its time. That it was used is remembered twice:
in a cache that evicts nothing, for all processes, and in each process for while Redis is away.
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
from base.web.accounts import Credential

logger = logging.getLogger(__name__)

TICKET_SECONDS = 30
# Longer than a ticket is good, by more than the clocks of two servers are apart.
REMEMBERED_SECONDS = 120
REMEMBERED = 100_000
SALT = "base.streams.ticket"
KEPT = "kept"

_used: TTLCache[str, bool] = TTLCache(REMEMBERED, REMEMBERED_SECONDS)
_lock = threading.Lock()


def issue_ticket(credential: Credential) -> str:
    """A text that nobody can guess or make. Signs in one stream within 30 seconds, if its credential is good then."""
    nonce = secrets.token_urlsafe(16)
    return signing.dumps([credential.user_id, credential.stamp, credential.session_id, nonce], salt=SALT)


def redeem_ticket(ticket: str) -> Credential | None:
    """The ticket's credential, once: of two calls at the same moment only one gets it."""
    if not ticket.isascii():
        return None
    try:
        user_id, stamp, session_id, nonce = signing.loads(ticket, salt=SALT, max_age=TICKET_SECONDS)
    except (signing.BadSignature, ValueError):
        return None
    return Credential(user_id, stamp, session_id) if _is_first_use(nonce) else None


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
        logger.warning("the cache does not answer whether a ticket was used: %s", error)
        return True


def _key(nonce: str) -> str:
    """A digest, so that nobody reads in Redis what a ticket is made of."""
    return "stream-ticket:" + hashlib.sha256(nonce.encode()).hexdigest()
