"""The secrets of API keys encrypted anew, by the newest of API_KEY_SECRETS, while requests are served.

Each row is changed only if it is as it was read, and a reader knows the old secrets and the newest, so the order in
which processes and rows change does not matter. A run that was broken off is begun again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from base.storage.steps import id_ranges
from base.web.keys.secrets import Unreadable, decrypt, encrypt, is_of_the_newest
from base.web.keys.signed import Algorithm
from users.api_key import ApiKey


@dataclass
class Rotated:
    """How many secrets were encrypted anew, how many were so before, and the keys whose secret nothing decrypts."""

    changed: int = 0
    newest: int = 0
    unreadable: int = 0


def rotate(progress: Callable[[int, int], None]) -> Rotated:
    """`progress` receives how many secrets were read, and how many there are."""
    result = Rotated()
    secrets = ApiKey.objects.filter(algorithm=Algorithm.HMAC, revoked_at=None)
    total, done = secrets.count(), 0
    for span in id_ranges(secrets):
        for pk, stored in secrets.filter(id__range=span).values_list("pk", "secret"):
            _rotate(pk, stored, result)
            done += 1
        progress(done, total)
    return result


def _rotate(pk: int, stored: str, result: Rotated) -> None:
    if is_of_the_newest(stored):
        result.newest += 1
        return
    try:
        fresh = encrypt(decrypt(stored))
    except Unreadable:
        result.unreadable += 1
        return
    # Not a key that was revoked meanwhile: its secret is gone, and stays so.
    result.changed += ApiKey.objects.filter(pk=pk, secret=stored).update(secret=fresh)
