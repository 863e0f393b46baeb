"""The tokens of a sign-in: simplejwt's, as clocks are that do not agree to the second."""

import hashlib
import threading
import time
from collections.abc import Callable
from datetime import datetime

from cachetools import TTLCache
from rest_framework_simplejwt import tokens

# The claim that names the session to which a token belongs.
SESSION_CLAIM = "sid"
# A client sends the same token with each of its requests, and to check its signature is a tenth of what an order costs.
KNOWN_SECONDS = 60
REMEMBERED = 10_000


class _EndsInTime(tokens.Token):
    """The setting LEEWAY is for `iat`: a host whose clock is ahead issues tokens for all. No token lives on by it."""

    def check_exp(self, claim: str = "exp", current_time: datetime | None = None) -> None:
        super().check_exp(claim, (current_time or self.current_time) + self.get_token_backend().get_leeway())


class AccessToken(_EndsInTime, tokens.AccessToken):
    """Signs in a request."""


class RefreshToken(_EndsInTime, tokens.RefreshToken):  # type: ignore[misc]
    """Renews both tokens, once."""

    access_token_class = AccessToken


def known_token(raw: bytes, check: Callable[[bytes], tokens.Token]) -> tokens.Token:
    """What `check` made of the token within the last minute, unless it has ended since; raises what `check` raises.

    Only the token itself is known by that: whether its session is open is asked with each request.
    """
    # No secret in memory for longer than its request.
    key = hashlib.blake2b(raw, digest_size=32).digest()
    with _lock:
        known = _remembered.get(key)
    if known is not None and time.time() < known["exp"]:
        return known
    checked = check(raw)
    with _lock:
        _remembered[key] = checked
    return checked


_remembered: TTLCache[bytes, tokens.Token] = TTLCache(REMEMBERED, KNOWN_SECONDS)
_lock = threading.Lock()
