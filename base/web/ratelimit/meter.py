"""One request under the rate limit: who is counted, in which bucket, and the headers of the answer."""

import math
import re
import time
from enum import StrEnum
from typing import Protocol

from django.conf import settings

from base.telemetry.metrics import RATE_LIMITED
from base.web.errors import TooManyRequests
from base.web.ratelimit.addresses import client_network, current_network
from base.web.ratelimit.waits import Waits
from base.web.ratelimit.windows import LONGEST_SECONDS, WINDOW_SECONDS, SharedWindow, Verdict

API = "/api/v1"
# What is counted: the same in the formats of other systems too.
BINANCE = "/api/v3"
COUNTED = (API, BINANCE, "/udf", "/coingecko")
# Clients that were written for limits by the minute send a burst now and then: there what a second may have is counted
# over ten seconds, by itself.
IN_BURSTS = (BINANCE,)
ORDERS = "/api/v1/orders"
# What cancels orders beside DELETE.
CANCELS = (f"{ORDERS}/batch-cancel", f"{ORDERS}/cancel-all-after")
# What is cancelled by DELETE, and what cancels all orders that it may.
CANCELLED = (ORDERS, f"{BINANCE}/order", f"{BINANCE}/openOrders", f"{BINANCE}/orderList")
CANCEL_ALL = (ORDERS, f"{BINANCE}/openOrders")
# What staff do in an emergency, a halt among it, is not counted at all.
KILL_SWITCH = re.compile(r"/api/v1/users/[^/]+/kill")
ONE_MARKET = re.compile(r"/api/v1/markets/[^/]+")
# So many cancels of all orders a second are let in whatever else was sent.
RESERVED = 1
RESERVE = "cancel-all"


class Bucket(StrEnum):
    """Cancels have a bucket of their own, because a user who placed too many orders must be able to cancel them."""

    REQUESTS = "requests"
    CANCELS = "cancels"
    # Each with the limit of its own in ACCOUNT_LIMITS.
    SIGN_INS = "sign-ins"
    PASSWORDS = "passwords"
    REGISTRATIONS = "registrations"
    REFRESHES = "refreshes"


# Counted by address whatever token is sent: with the tokens of many accounts one address would have as many buckets.
OF_ADDRESSES = {
    ("POST", f"{API}/auth/token"): Bucket.SIGN_INS,
    ("POST", f"{API}/auth/token/refresh"): Bucket.REFRESHES,
    ("POST", f"{API}/users"): Bucket.REGISTRATIONS,
    ("POST", f"{API}/users/me/password"): Bucket.PASSWORDS,
    ("DELETE", f"{API}/users/me"): Bucket.PASSWORDS,
}


class Limited(Protocol):
    """An account. `rate_limit` is its own limit in requests a second: 0 for none, None for everybody's."""

    @property
    def pk(self) -> int: ...

    @property
    def rate_limit(self) -> int | None: ...


class Meter:
    """Counts one request, once. `peer` and `forwarded_for` are its origin, as `client_network` takes them."""

    def __init__(self, method: str, path: str, peer: str, forwarded_for: str) -> None:
        is_deleted = method == "DELETE" and any(_is_under(root, path) for root in CANCELLED)
        self.is_cancel = is_deleted or (method == "POST" and path in CANCELS)
        self._is_cancel_all = self.is_cancel and path in CANCEL_ALL
        self._bucket = Bucket.CANCELS if self.is_cancel else OF_ADDRESSES.get((method, path), Bucket.REQUESTS)
        self._seconds = LONGEST_SECONDS if any(_is_under(root, path) for root in IN_BURSTS) else WINDOW_SECONDS
        # What the bucket is called where it is counted.
        self._name = f"{self._bucket}" + ("" if self._seconds == WINDOW_SECONDS else "-in-bursts")
        limit: int | None = settings.ACCOUNT_LIMITS.get(self._bucket, settings.RATE_LIMIT)
        self._limit = limit
        # Whether it is still to be counted.
        self.is_due = limit is not None and any(_is_under(root, path) for root in COUNTED)
        self.is_emergency = bool(KILL_SWITCH.fullmatch(path) or (method == "PATCH" and ONE_MARKET.fullmatch(path)))
        self.origin = peer, forwarded_for
        self._path = path
        self._who = ""
        self._is_weighed = False
        self._verdict: Verdict | None = None

    def count(self, caller: Limited | None) -> None:
        """Count the request, for its address where nobody is signed in. Raises TooManyRequests."""
        if not self.is_due:
            return
        self.is_due = False
        address, user = f"address:{client_network(*self.origin)}", "" if caller is None else f"user:{caller.pk}"
        if self._bucket in settings.ACCOUNT_LIMITS:
            self._count_for(address, self._limit)
            # For the account as well, because a password is guessed from many addresses.
            if user and self._bucket is Bucket.PASSWORDS:
                self._count_for(user, self._limit)
        else:
            own = None if caller is None else caller.rate_limit
            self._count_for(user or address, self._limit if own is None else own)

    def weigh(self, cost: int) -> None:
        """The request that was counted costs so many, or all that its window has. Raises TooManyRequests.

        What it costs is known once its body was read. One that is refused now costs nothing.
        """
        counted = self._verdict
        if counted is not None and cost > 1:
            self._is_weighed = True
            self._hit(counted.limit, min(cost, counted.limit), held=1)

    @property
    def is_urgent(self) -> bool:
        """Whether it waits for nobody, whoever sends it."""
        return self.is_emergency or self._is_cancel_all

    def recall(self, credential: str) -> None:
        """Refuse what the count would refuse, because the same caller was told to wait. Raises TooManyRequests.

        `credential` is what the request signs in by, as it was sent. Emergency acts are always looked at.
        """
        if not self.is_due or self.is_urgent:
            return
        for who in self._callers(credential):
            verdict = _waits.find(self._name, who, self._path)
            if verdict is not None:
                self.is_due, self._verdict = False, verdict
                _refuse_beyond(self._bucket, verdict)

    def remember(self, credential: str) -> None:
        """The caller is told to wait, if the request was refused by its count."""
        verdict = self._verdict
        if verdict is None or verdict.is_let_in:
            return
        of_address, *of_user = self._callers(credential)
        who = of_user[0] if of_user and self._who.startswith("user:") else of_address
        _waits.remember(self._name, who, self._path if self._is_weighed else "", verdict)

    def _callers(self, credential: str) -> list[str]:
        """Who may have been counted: the address, with whatever was no good there; else who signs in by it."""
        address = client_network(*self.origin)
        if self._bucket in settings.ACCOUNT_LIMITS:
            return [f"{address} ", credential]
        return [f"{address} {credential}", *([credential] if credential else [])]

    def _count_for(self, who: str, limit: int | None) -> None:
        if limit:
            self._who = who
            self._hit(int(limit * self._seconds))

    def _hit(self, limit: int, cost: int = 1, held: int = 0) -> None:
        # Asked first: a cancel of all orders that the bucket lets in takes it too.
        is_reserved = self._is_cancel_all and _window.hit(f"{RESERVE}:{self._who}", RESERVED).is_let_in
        verdict = self._verdict = _window.hit(f"{self._name}:{self._who}", limit, cost, held, self._seconds)
        if not is_reserved:
            _refuse_beyond(self._bucket, verdict)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every answer; none if the caller has no limit."""
        verdict = self._verdict
        if verdict is None:
            return {}
        return {
            "X-RateLimit-Limit": str(verdict.limit),
            "X-RateLimit-Remaining": str(verdict.remaining),
            "X-RateLimit-Reset": str(math.ceil(time.time() + verdict.reset_seconds)),
        }


def credential_sent(path: str, key: str | None, other_key: str | None, authorization: str | None) -> str:
    """What a request would sign in by there, unread: its key's name, or its token.

    A header that signs nobody in at the path counts for nothing: the name of another's key may stand in it, whose owner
    would be refused for what somebody else sends.
    """
    return (other_key if _is_under(BINANCE, path) else key or authorization) or ""


def count_for_address(bucket: Bucket) -> None:
    """Count the request in hand for its address, where its path is none of REST. Raises TooManyRequests."""
    limit = settings.ACCOUNT_LIMITS[bucket]
    if limit:
        _refuse_beyond(bucket, _window.hit(f"{bucket}:address:{current_network()}", limit))


def count_for_account(bucket: Bucket, user_id: int) -> None:
    """Count a request for an account that its body names. Raises TooManyRequests."""
    limit = settings.ACCOUNT_LIMITS[bucket]
    if limit:
        _refuse_beyond(bucket, _window.hit(f"{bucket}:user:{user_id}", limit))


def _refuse_beyond(bucket: Bucket, verdict: Verdict) -> None:
    if not verdict.is_let_in:
        RATE_LIMITED.labels(bucket).inc()
        raise _refusal(bucket, verdict)


def _refusal(bucket: Bucket, verdict: Verdict) -> TooManyRequests:
    milliseconds = math.ceil(verdict.wait_seconds * 1000)
    refusal = TooManyRequests(
        f"more than {verdict.limit} {bucket} {_in(verdict.seconds)}: try again in {milliseconds} ms",
        limit=verdict.limit,
        bucket=bucket.value,
        retryAfterMs=milliseconds,
    )
    refusal.retry_after_seconds = math.ceil(verdict.wait_seconds)
    return refusal


def _in(seconds: float) -> str:
    return "a second" if seconds == WINDOW_SECONDS else f"in {seconds:.0f} seconds"


def _is_under(root: str, path: str) -> bool:
    return path == root or path.startswith(f"{root}/")


# One of each for all requests of the process.
_window = SharedWindow()
_waits = Waits()
