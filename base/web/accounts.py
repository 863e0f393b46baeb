"""What tokens, tickets and open streams are checked against: the account as it is, or was within the last seconds.

An account has a stamp, which a new password, a log-out everywhere and a deactivation renew. A session, which is what
one sign-in opened, has the stamp that its account had then, and is over when the two differ.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from cachetools import TTLCache, cached
from django.contrib.auth import get_user_model
from rest_framework_simplejwt.exceptions import InvalidToken

# How long a process may go on answering an account that was deactivated or signed out meanwhile, and by a rate limit
# that was changed.
ACTIVE_SECONDS = 3
REMEMBERED = 100_000
PER_QUERY = 500
_READ = ("pk", "rate_limit", "stamp", "is_staff", "sessions__id", "sessions__stamp", "sessions__ended_at")


@dataclass(frozen=True, slots=True)
class Credential:
    """By what a ticket or a stream is good: the account has this stamp still, and the session or the key, if any, is
    good too.
    """

    user_id: int
    stamp: str = ""
    session_id: int | None = None
    key_id: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An active account: its own rate limit, its stamp, the sessions that are open, and whether it is staff. No power
    follows from that: powers are read from the row.
    """

    rate_limit: int | None
    stamp: str
    sessions: frozenset[int] = frozenset()
    is_staff: bool = False

    def takes_token(self, session_id: int | None) -> bool:
        """Whether a token of this session is good. One without a session is, until the stamp changes the first time."""
        return not self.stamp if session_id is None else session_id in self.sessions

    def takes(self, credential: Credential) -> bool:
        """Whether a ticket or a stream with this credential is good."""
        is_open = credential.session_id is None or credential.session_id in self.sessions
        return is_open and credential.stamp == self.stamp


def find_accounts(user_ids: Collection[int]) -> dict[int, Account]:
    """Those of the accounts that are active, as they are now."""
    wanted = sorted(user_ids)
    found: dict[int, tuple[Account, list[int]]] = {}
    for start in range(0, len(wanted), PER_QUERY):
        some = get_user_model()._default_manager.filter(pk__in=wanted[start : start + PER_QUERY], is_active=True)
        for user_id, rate_limit, stamp, is_staff, session_id, session_stamp, ended_at in some.values_list(*_READ):
            _, sessions = found.setdefault(user_id, (Account(rate_limit, stamp, is_staff=is_staff), []))
            if session_id is not None and session_stamp == stamp and ended_at is None:
                sessions.append(session_id)
    return {user_id: replace(account, sessions=frozenset(each)) for user_id, (account, each) in found.items()}


_remembered: TTLCache[Any, Account] = TTLCache(REMEMBERED, ACTIVE_SECONDS)
_lock = threading.Lock()


@cached(_remembered, lock=_lock)
def known_account(user_id: int) -> Account:
    """The account as it was within the last seconds. Raises InvalidToken for none, which is not remembered."""
    account = find_accounts([user_id]).get(user_id)
    if account is None:
        raise InvalidToken("the account is not active")
    return account


def account_that(user_id: int, takes: Callable[[Account], bool]) -> Account:
    """The known account, if it takes a credential. Raises InvalidToken.

    It is read anew before that is denied: the credential may be younger than what this process remembers.
    """
    account = known_account(user_id)
    if not takes(account):
        forget_account(user_id)
        account = known_account(user_id)
    if not takes(account):
        raise InvalidToken("the session is over")
    return account


def forget_account(user_id: int) -> None:
    """Have this process read the account anew. Others do so within seconds."""
    with _lock:
        _remembered.pop(known_account.cache_key(user_id), None)
