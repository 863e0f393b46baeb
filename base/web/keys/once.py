"""A signature is good once: remembered in Redis for all processes, and in each of them for while Redis is away.

While Redis is away no process knows what the others have seen. What reads is harmless when it is repeated, and a cancel
must go through, so both are let in, once in each process; whatever else writes is refused, and so is who would sign in
a WebSocket by a key that trades: whoever repeats that could place orders over a socket of their own.

A Redis that has lost its memory is found out: beside the signatures it remembers of each key that it was used, and by
which run of the server. Where that is gone although the key was used a short while ago, or is of another run, no
signature is believed that may be older than the loss. A server that was started anew, or a replica that has taken over,
may have lost the last seconds alone.
"""

import threading
from datetime import datetime

from cachetools import TTLCache

from base.storage.scripts import run_script
from base.web.errors import Unavailable
from base.web.keys.errors import SignatureReplayed
from base.web.keys.known import KnownKey
from base.web.keys.scopes import Scope
from base.web.keys.signed import LONGEST_WINDOW, MOST_AHEAD, SignedRequest

# What harms nobody when it comes again, and what an owner must be able to do at any time.
HARMLESS = ("GET", "HEAD", "OPTIONS", "DELETE")
HARMLESS_PATHS = tuple(f"/api/v1/orders/{path}" for path in ("batch-cancel", "cancel-all-after", "preview"))
# One that another exchange's clients know, and that only renews a listen key. The test of an order is none there: the
# path is not part of what they sign, so its signature would be good for the order itself when Redis is back.
HARMLESS_PATHS += ("/api/v3/userDataStream",)
# By so much the clocks of two hosts may differ.
_SKEW = 5_000
# From the earliest moment at which a signature is good to the last.
REMEMBERED_MS = LONGEST_WINDOW + MOST_AHEAD + 2 * _SKEW
# How long Redis remembers that a key was used: longer than its row may say nothing of it, see `use`.
USED_MS = 600_000
REMEMBERED = 200_000
_PREFIX = "exchange:signed:"

# Its run, and when its memory of the key begins: 0 is for ever. Times are of the server's own clock, in milliseconds.
SCRIPT = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local known, since = string.match(redis.call('GET', KEYS[2]) or '', '^(%w+) (%d+)$')
if known ~= run then
    since = '0'
    if known or ARGV[1] == '1' then
        local time = redis.call('TIME')
        since = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
    end
end
redis.call('SET', KEYS[2], run .. ' ' .. since, 'PX', ARGV[3])
if tonumber(ARGV[2]) <= tonumber(since) then
    return 'FORGOTTEN'
end
return redis.call('SET', KEYS[1], 1, 'NX', 'PX', ARGV[4]) and 'FIRST' or 'USED'
"""

_here: TTLCache[str, bool] = TTLCache(REMEMBERED, REMEMBERED_MS / 1000)
_lock = threading.Lock()


def use_once(signed: SignedRequest, key: KnownKey, now: datetime) -> None:
    """Raises SignatureReplayed, and Unavailable where that cannot be known and matters."""
    digest = signed.digest
    with _lock:
        if digest in _here:
            raise _replayed()
    known = _ask(signed, digest, key, now)
    if known == "USED":
        raise _replayed()
    if known != "FIRST" and not _is_harmless(signed, key):
        raise Unavailable(
            "nothing was done: whether this signature was used before is not known now, try again or use a token"
        )
    with _lock:
        if digest in _here:
            raise _replayed()
        _here[digest] = True


def _is_harmless(signed: SignedRequest, key: KnownKey) -> bool:
    if signed.opens_socket and Scope.TRADE in key.scopes:
        return False
    return signed.method in HARMLESS or signed.target.decode("latin-1") in HARMLESS_PATHS


def _ask(signed: SignedRequest, digest: str, key: KnownKey, now: datetime) -> str:
    """What Redis knows: FIRST, USED or FORGOTTEN; AWAY where it does not answer."""
    # Its row may lag behind by a minute (`use`), which is less than the half.
    seconds = None if key.last_used_at is None else (now - key.last_used_at).total_seconds()
    was_used = seconds is not None and seconds * 1000 < USED_MS / 2
    # So early a signature of this time may have been accepted.
    earliest = int(signed.timestamp) - MOST_AHEAD - _SKEW
    keys = [f"{_PREFIX}{digest}", f"{_PREFIX}key:{key.id}"]
    arguments = [int(was_used), earliest, USED_MS, REMEMBERED_MS]
    reply: bytes | None = run_script(SCRIPT, keys, arguments, failure="Redis does not remember signatures")
    return "AWAY" if reply is None else reply.decode()


def _replayed() -> SignatureReplayed:
    return SignatureReplayed("this signature was used before: sign again, with the time of now")
