"""The sandbox's account, which fills orders with an ordered fate: it owns what staff gave it, as any account does."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password

from base.web.errors import InvalidField
from users.models import User

COUNTERPARTY, FATES = "counterparty_id", "simulated_fates"
# A name that nobody can register.
NAME = "sandbox"


def with_counterparty(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a market as they are stored: the sandbox's account where fates are allowed. Raises InvalidField."""
    if FATES not in fields:
        return dict(fields)
    others = {name: value for name, value in fields.items() if name != FATES}
    if not settings.SANDBOX:
        raise InvalidField("simulatedFates", "FIELD_NOT_ALLOWED", "simulatedFates is for a sandbox alone (SANDBOX)")
    return {**others, COUNTERPARTY: sandbox_account().pk if fields[FATES] else None}


def sandbox_account() -> User:
    """It is made when it is needed. Nobody can sign in as it. Raises InvalidField if the name is somebody's."""
    new = {"email": "sandbox@example.com", "password": make_password(None)}
    user, _ = User.objects.get_or_create(username=NAME, defaults=new)
    if user.has_usable_password():
        raise InvalidField("simulatedFates", "FIELD_NOT_ALLOWED", f"the name {NAME} is somebody's")
    return user
