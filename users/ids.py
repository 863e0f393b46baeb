"""Which ids of users were issued, and the door by which a new user is stored."""

from django.db import transaction

from base.storage.known_ids import KnownIds
from users.models import User

EXPECTED = 1_000_000

user_ids = KnownIds("users", EXPECTED, lambda: User)


def store_new(user: User) -> None:
    """Raises IntegrityError, for a name or an address that is taken."""
    with transaction.atomic():
        user.save(force_insert=True)
        user_ids.issued([user.pk])
