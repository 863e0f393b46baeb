"""How the secrets of keys are kept: encrypted by a key that is derived from the newest of API_KEY_SECRETS.

Whoever reads the database alone, or a backup of it, signs nothing. An older secret of the setting still decrypts.
"""

import base64
import functools
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_PURPOSE = b"exchange: the secrets of API keys"


class Unreadable(Exception):
    """None of API_KEY_SECRETS decrypts it."""


def encrypt(secret: str) -> str:
    """By the newest secret of the setting."""
    return _ciphers()[0].encrypt(secret.encode()).decode()


def decrypt(encrypted: str) -> str:
    """Raises Unreadable."""
    try:
        return MultiFernet(_ciphers()).decrypt(encrypted).decode()
    except InvalidToken as error:
        raise Unreadable("none of API_KEY_SECRETS decrypts the secret of a key") from error


def is_of_the_newest(encrypted: str) -> bool:
    """Whether the older secrets of the setting may go, as far as this one is concerned."""
    try:
        _ciphers()[0].decrypt(encrypted)
    except InvalidToken:
        return False
    return True


def _ciphers() -> Sequence[Fernet]:
    return tuple(map(_cipher, settings.API_KEY_SECRETS))


@functools.lru_cache(maxsize=16)
def _cipher(secret: str) -> Fernet:
    derived = HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
