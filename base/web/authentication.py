"""Who signed in with a token: an account known to be active, whose powers are asked of the database each time."""

import threading
from functools import cached_property
from typing import Any

from cachetools import TTLCache
from django.contrib.auth import get_user_model

# How long a process may go on answering a user who was deactivated meanwhile, and by a rate limit that was changed.
ACTIVE_SECONDS = 3
REMEMBERED = 100_000

_active: TTLCache[int, int | None] = TTLCache(REMEMBERED, ACTIVE_SECONDS)
_lock = threading.Lock()


class Caller:
    """The account behind a request.

    Nothing but its id and its own rate limit is remembered from one request to the next. Its powers are read when they
    are asked for, so whoever is no longer staff is refused at once.
    """

    is_authenticated = True
    is_anonymous = False
    is_active = True

    def __init__(self, user_id: int, rate_limit: int | None) -> None:
        self.id = self.pk = user_id
        self.rate_limit = rate_limit

    def __str__(self) -> str:
        return str(self.id)

    @cached_property
    def is_staff(self) -> bool:
        return bool(_users().filter(pk=self.id, is_active=True, is_staff=True).exists())


def find_caller(user_id: int) -> Caller | None:
    """The account if it may sign in, else None. That it may is remembered for a few seconds, that it may not never."""
    try:
        with _lock:
            return Caller(user_id, _active[user_id])
    except KeyError:
        found = _users().filter(pk=user_id, is_active=True).values_list("rate_limit").first()
    if found is None:
        return None
    with _lock:
        _active[user_id] = found[0]
    return Caller(user_id, found[0])


def forget_callers() -> None:
    """Ask the database again about everybody."""
    with _lock:
        _active.clear()


def _users() -> Any:
    return get_user_model()._default_manager
