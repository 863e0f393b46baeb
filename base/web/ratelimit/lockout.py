"""Who guesses passwords is locked out, by name and by address, whatever else the request brings.

Three counts of failures: of the name at the address, of the address, and of the name at all addresses that are strange
to it. An attempt is a failure from its beginning until it succeeds, counted in one step with the question whether it
may be made: of a thousand attempts at the same moment no more are made than of a thousand one after the other.

The count of the name does not hold for an address from which its owner has signed in during the last month, so
strangers cannot keep owners out who are where they have been. A name that nobody has is counted as any other.

Whoever is signed in and gives the password once more is counted by the name apart from those who sign in: strangers
keep nobody from a new password, and whoever has stolen a token guesses no more often than they do.
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.utils.crypto import salted_hmac

from base.storage.fields import caseless
from base.telemetry.metrics import SIGN_INS
from base.web.errors import SignInLocked
from base.web.ratelimit.addresses import current_network
from base.web.ratelimit.pauses import Keys, SharedPauses, Verdict

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Attempt:
    """One check of a password. Whoever checks it says whether it was right, and whose it would be if that is known."""

    is_right: bool = False
    user_id: int | None = None


@contextmanager
def attempting(name: str, *, is_signed_in: bool = False) -> Iterator[Attempt]:
    """Around the check of a password under a name that was typed. Raises SignInLocked before it.

    An attempt that ends with an exception, such as an outage, counts for nothing.
    """
    attempt = Attempt()
    free = settings.LOCKOUT_FAILURES
    if free is None:
        yield attempt
        return
    keys = _keys(name, current_network(), is_signed_in)
    verdict = _pauses.begin(keys, free, settings.LOCKOUT_MAX_SECONDS)
    if not verdict.is_let_in:
        SIGN_INS.labels("locked").inc()
        raise _refusal(verdict)
    try:
        yield attempt
    except BaseException:
        _pauses.take_back(keys, verdict, is_right=False)
        raise
    SIGN_INS.labels("right" if attempt.is_right else "wrong").inc()
    if attempt.is_right:
        _pauses.take_back(keys, verdict, is_right=True)
    elif any(verdict.ends):
        _log_pause(attempt, verdict)


def lift_name(name: str) -> bool:
    """Let a name be tried again at all addresses. False where Redis does not answer."""
    of_name = _of_name(name)
    lifted = [_pauses.lift(key) for key in (of_name, _signed_in(of_name))]
    return all(lifted)


def lift_address(address: str) -> bool:
    """Let an address (of IPv6 its /64) try all names again. False where Redis does not answer."""
    return _pauses.lift(_of_address(address))


def _refusal(verdict: Verdict) -> SignInLocked:
    seconds = math.ceil(verdict.wait_seconds)
    return SignInLocked(
        f"too many wrong passwords: try again in {seconds} s",
        retry_after_seconds=seconds,
        retryAfterMs=math.ceil(verdict.wait_seconds * 1000),
    )


def _log_pause(attempt: Attempt, verdict: Verdict) -> None:
    """The name is not logged, because a password is sometimes typed in its place."""
    counts = [word for word, ends in zip(("name and address", "address", "name"), verdict.ends, strict=True) if ends]
    whose = "a name that nobody has" if attempt.user_id is None else f"user {attempt.user_id}"
    logger.warning(
        "a wrong password for %s from %s begins a pause, by %s", whose, current_network(), " and by ".join(counts)
    )


def _keys(name: str, address: str, is_signed_in: bool) -> Keys:
    of_name = _of_name(name)
    everywhere = _signed_in(of_name) if is_signed_in else of_name
    return Keys(f"{of_name}@{address}", _of_address(address), everywhere, f"{of_name}@{address}:known")


def _signed_in(of_name: str) -> str:
    return f"{of_name}:signed-in"


def _of_name(name: str) -> str:
    """Not the name itself, because a password is sometimes typed in its place."""
    return f"name:{salted_hmac(__name__, caseless(name), algorithm='sha256').hexdigest()[:32]}"


def _of_address(address: str) -> str:
    return f"address:{address}"


# One for all requests of the process.
_pauses = SharedPauses()
