"""Listen keys: what a client shows to follow its account's events over a WebSocket, in place of a signature.

As on Binance one is opened by the name of an API key alone, because stock clients do not sign that call: so it shows
no more than what may be read, and only of a key with the scope `read`, from the key's addresses. It is kept in Redis
for 60 minutes from when it was opened or renewed, with the name of its key, and is over as soon as that key is: who
uses one looks the key up again.
"""

import secrets
import string
from datetime import UTC, datetime

from django.core.cache import BaseCache, caches

from base.web.authentication import Caller
from base.web.keys.errors import AddressNotAllowed, KeyExpired, KeyUnknown
from base.web.keys.known import KnownKey, key_as_now, known_key
from base.web.keys.scopes import READ, admit
from binance_api.errors import Refused

SECONDS = 3600
LENGTH = 64
_LETTERS = string.ascii_letters + string.digits


def open_listen_key(key: KnownKey) -> str:
    """The listen key of the API key, good for another hour: one that is good already stays the same."""
    admit(key.scopes, READ)
    kept, place = _kept(), f"listen-key-of:{key.id}"
    text: str = kept.get(place) or "".join(secrets.choice(_LETTERS) for _ in range(LENGTH))
    kept.set(place, text, SECONDS)
    kept.set(_name(text), key.key_id, SECONDS)
    return text


def renew_listen_key(text: str, key: KnownKey) -> None:
    """Good for another hour. Raises Refused for one that is not the account's."""
    opener, kept = _require_own(text, key), _kept()
    kept.touch(_name(text), SECONDS)
    kept.touch(f"listen-key-of:{opener.id}", SECONDS)


def close_listen_key(text: str, key: KnownKey) -> None:
    """Good no more. Raises Refused for one that is not the account's."""
    opener = _require_own(text, key)
    _kept().delete_many([_name(text), f"listen-key-of:{opener.id}"])


def user_of_listen_key(text: str, address: str) -> Caller:
    """Whom the listen key follows: an account, by an API key that is good now and there. Raises Refused: -1125."""
    opener = _opener(text)
    try:
        opener.check_use(address, datetime.now(UTC))
    except (KeyExpired, AddressNotAllowed) as error:
        raise _unknown() from error
    return Caller.of_key(opener)


def _require_own(text: str, key: KnownKey) -> KnownKey:
    opener = _opener(text)
    if opener.user_id != key.user_id:
        raise _unknown()
    return opener


def _opener(text: str) -> KnownKey:
    """The API key by which it was opened."""
    key_id = _kept().get(_name(text)) if len(text) == LENGTH and text.isascii() and text.isalnum() else None
    if key_id is None:
        raise _unknown()
    try:
        return key_as_now(known_key(key_id))
    except (KeyUnknown, KeyExpired) as error:
        raise _unknown() from error


def _unknown() -> Refused:
    return Refused(-1125, "This listenKey does not exist.")


def _name(text: str) -> str:
    return f"listen-key:{text}"


def _kept() -> BaseCache:
    return caches["kept"]
