"""API keys: made, listed and revoked by their owner, and ended with the account's rights."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from base.storage.outages import again_on_deadlock
from base.web.errors import NotAuthenticated
from base.web.keys.errors import KeyNotFound, TooManyKeys
from base.web.keys.known import KEY_ID_LENGTH, forget_keys
from base.web.keys.scopes import Scope
from base.web.keys.secrets import encrypt
from base.web.keys.signed import Algorithm
from users.acts import Actor, record
from users.api_key import ApiKey, Ending
from users.models import ActKind
from users.services import lock_user

# Of an account's revoked keys so many rows are kept, for operators to look at.
REVOKED_KEPT = 100


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What the owner asks for. `public_key` is of Ed25519 alone; no addresses: from anywhere."""

    label: str
    scopes: Collection[Scope]
    addresses: Collection[str] = ()
    public_key: bytes | None = None
    expires_at: datetime | None = None


@again_on_deadlock
@transaction.atomic
def make_key(user_id: int, stamp: str, terms: KeyTerms) -> tuple[ApiKey, str | None]:
    """The key, and the secret of an HMAC, which nobody is shown again. Raises TooManyKeys and NotAuthenticated.

    The user's row is locked, so the number is exact under parallel requests, and whoever ends the account's keys
    meanwhile ends this one too, or has renewed the stamp under which the caller signed in.
    """
    if lock_user(user_id).stamp != stamp:
        raise NotAuthenticated("the account was signed out meanwhile")
    most = settings.API_KEYS_MAX
    if keys_of(user_id).count() >= most:
        raise TooManyKeys(f"an account has at most {most} keys: revoke one first", maxKeys=most)
    _delete_oldest_revoked(user_id)
    secret = None if terms.public_key is not None else secrets.token_hex(32)
    made = ApiKey.objects.create(
        key_id=secrets.token_hex(KEY_ID_LENGTH // 2),
        user_id=user_id,
        label=terms.label,
        algorithm=Algorithm.HMAC if terms.public_key is None else Algorithm.ED25519,
        secret=terms.public_key.hex() if terms.public_key is not None else encrypt(secret or ""),
        scopes=sorted({scope.value for scope in terms.scopes}),
        addresses=list(dict.fromkeys(terms.addresses)),
        created_at=timezone.now(),
        expires_at=terms.expires_at,
    )
    return made, secret


def keys_of(user_id: int) -> QuerySet[ApiKey]:
    """Those that are not revoked, newest first; expired ones are among them until their owner revokes them."""
    return ApiKey.objects.filter(user_id=user_id, revoked_at=None).order_by("-id")


def revoke_key(user_id: int, key_id: str) -> None:
    """Raises KeyNotFound, also for another user's key and for one that is revoked already."""
    if not _end(keys_of(user_id).filter(key_id=key_id), Ending.OWNER):
        raise KeyNotFound("there is no such key")
    forget_keys(user_id)


@again_on_deadlock
@transaction.atomic
def revoke_key_as_operator(key: ApiKey, actor: Actor) -> bool:
    """Revoke anybody's key, and store the act. False if it was revoked already."""
    if not _end(ApiKey.objects.filter(pk=key.pk, revoked_at=None), Ending.OPERATOR):
        return False
    record(
        ActKind.KEY_REVOKED, key.user_id, actor, subject=key.key_id, details={"keyId": key.key_id, "label": key.label}
    )
    transaction.on_commit(partial(forget_keys, key.user_id))
    return True


def end_keys(user_id: int, ending: Ending) -> int:
    """Revoke all keys of an account, in the caller's transaction. Return how many."""
    transaction.on_commit(partial(forget_keys, user_id))
    return _end(ApiKey.objects.filter(user_id=user_id, revoked_at=None), ending)


def _end(keys: QuerySet[ApiKey], ending: Ending) -> int:
    return keys.order_by().update(revoked_at=timezone.now(), ended_by=ending, secret="")


def _delete_oldest_revoked(user_id: int) -> None:
    revoked = ApiKey.objects.filter(user_id=user_id).exclude(revoked_at=None).order_by("-id")
    surplus = list(islice(revoked.values_list("pk", flat=True), REVOKED_KEPT, None))
    if surplus:
        ApiKey.objects.filter(pk__in=surplus).delete()
