"""Keys for the users of the version before, whose processes run beside ours for the minutes of a deployment.

Those processes do not know the keys and store null. Until beat's next minute such a user is known by the exact name
alone.
"""

from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Q

from base.storage.fields import caseless, exact_key
from users.models import User

# How many rows a run may fill, because a worker does it between its bells.
MOST = 500


class _Text(NamedTuple):
    """A text of a user that has no key yet."""

    user_id: int
    field: str
    text: str


def fill_missing() -> int:
    """Give keys to users that have none, a limited number. Return how many keys were given."""
    rows = User.objects.filter(Q(username_key=None) | Q(email_key=None)).order_by("id")[:MOST]
    missing = [
        _Text(user.pk, field, getattr(user, field))
        for user in rows
        for field in ("username", "email")
        if getattr(user, f"{field}_key") is None
    ]
    return sum(map(_fill, missing))


def _fill(missing: _Text) -> int:
    """A latecomer whose text differs in case only from somebody's is known exactly alone, and takes nothing away."""
    folded = caseless(missing.text)
    try:
        with transaction.atomic():
            return _store(missing, folded)
    except IntegrityError:
        return _store(missing, exact_key(folded, missing.user_id))


def _store(missing: _Text, key: str) -> int:
    """Nothing is stored where the user was saved meanwhile, which gives a key too, or has another text by now."""
    field = f"{missing.field}_key"
    return User.objects.filter(**{"id": missing.user_id, field: None, missing.field: missing.text}).update(
        **{field: key}
    )
