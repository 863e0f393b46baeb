"""Tickets: a browser's EventSource cannot send a token in a header, so it brings one that is good once, for seconds.

A ticket needs no Redis, because it is signed and contains its user and its time. That it was used is remembered twice:
in a cache that evicts nothing, for all processes, and in each process for while Redis is away.

When a connection is cut, a browser connects again by itself, with the same URL. So a used ticket is good again for the
stream that it opened, until a minute after the cut, for a client that names what it saw last. A stream that is opened
again in this way ends the earlier one.
"""

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from cachetools import TTLCache
from django.conf import settings
from django.core import signing
from django.core.cache import caches
from rest_framework_simplejwt.settings import api_settings

from base.storage.breakers import ServerAway, breaker_of
from base.web.accounts import Credential

logger = logging.getLogger(__name__)

TICKET_SECONDS = 30
# Longer than a ticket is good, by more than the clocks of two servers are apart.
REMEMBERED_SECONDS = 120
REMEMBERED = 100_000
SALT = "base.streams.ticket"
KEPT = "kept"

# How long after the cut of its stream a used ticket is good again. An open stream renews it more often.
AGAIN_SECONDS = 60

T = TypeVar("T")

_used: TTLCache[str, bool] = TTLCache(REMEMBERED, REMEMBERED_SECONDS)
_open: TTLCache[str, str] = TTLCache(REMEMBERED, AGAIN_SECONDS)
_lock = threading.Lock()


def issue_ticket(credential: Credential) -> str:
    """A text that nobody can guess or make. Signs in one stream within 30 seconds, if its credential is good then."""
    nonce = secrets.token_urlsafe(16)
    return signing.dumps([credential.user_id, credential.stamp, credential.session_id, nonce], salt=SALT)


@dataclass(eq=False)
class Redeemed:
    """A ticket that signed somebody in, and the stream that it opens; of one that was used before, that it opened."""

    credential: Credential
    nonce: str
    stream: str | None = None
    _opening: str = field(default_factory=lambda: secrets.token_urlsafe(12))

    def opens(self, stream: str) -> bool:
        """Whether the ticket is good for this stream. From then on it is good again for this stream alone."""
        if self.stream not in (None, stream):
            return False
        self.stream = stream
        self._keep()
        return True

    def renew(self) -> bool:
        """The stream is open, or was until now. False if it was opened again meanwhile."""
        kept = _kept(self.nonce)
        if kept is not None and kept[1] != self._opening:
            return False
        self._keep()
        return True

    def _keep(self) -> None:
        text = f"{self.stream} {self._opening}"
        with _lock:
            _open[self.nonce] = text
        _ask(lambda: caches[KEPT].set(_key("open", self.nonce), text, AGAIN_SECONDS), None)


def redeem_ticket(ticket: str, *, is_again: bool = False) -> Redeemed | None:
    """The ticket and its credential, once: of two calls at the same moment only one gets it.

    `is_again`: the client names what it saw last, so that a used ticket may be good for the stream that it opened.
    """
    found = _signed(ticket, TICKET_SECONDS)
    if found is not None and _is_first_use(found[1]):
        return Redeemed(*found)
    # However often a stream is opened again, it does not outlive what a password is good for.
    found = _signed(ticket, api_settings.REFRESH_TOKEN_LIFETIME) if is_again else None
    kept = None if found is None else _kept(found[1])
    return None if found is None or kept is None else Redeemed(*found, kept[0])


def _signed(ticket: str, age: int | timedelta) -> tuple[Credential, str] | None:
    """The credential and the nonce of a ticket that is not older."""
    if not ticket.isascii():
        return None
    try:
        user_id, stamp, session_id, nonce = signing.loads(ticket, salt=SALT, max_age=age)
    except (signing.BadSignature, ValueError):
        return None
    return Credential(user_id, stamp, session_id), nonce


def _is_first_use(nonce: str) -> bool:
    with _lock:
        if nonce in _used:
            return False
        _used[nonce] = True
    return _ask(lambda: bool(caches[KEPT].add(_key("used", nonce), 1, REMEMBERED_SECONDS)), True)


def _kept(nonce: str) -> tuple[str, str] | None:
    """The stream that the ticket opened, and which opening it was; None if no such stream was open a minute ago."""
    with _lock:
        here = _open.get(nonce)
    text: Any = _ask(lambda: caches[KEPT].get(_key("open", nonce)), here)
    if not isinstance(text, str):
        return None
    stream, _, opening = text.rpartition(" ")
    return stream, opening


def _ask(cache: Callable[[], T], otherwise: T) -> T:
    """What the cache answers, or this process's own answer while Redis is away."""
    try:
        with breaker_of(settings.REDIS_URL).calling():
            return cache()
    except ServerAway:
        return otherwise
    except Exception as error:
        logger.warning("the cache does not answer about a ticket: %s", error)
        return otherwise


def _key(what: str, nonce: str) -> str:
    """A digest, so that nobody reads in Redis what a ticket is made of."""
    return f"stream-ticket:{what}:" + hashlib.sha256(nonce.encode()).hexdigest()
