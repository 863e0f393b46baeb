"""Order faults, find those of a caller, and number its requests."""

import secrets
import threading
from dataclasses import asdict, dataclass
from typing import Any

from cachetools import TTLCache, cached
from django.db import transaction
from django.utils import timezone

from base.storage.scripts import run_script
from sandbox.faults import Plan
from sandbox.models import OF_THE_ACCOUNT, Faults
from users.acts import Actor, record
from users.models import ActKind

# How long another process may go on with the plan of before.
REMEMBERED, REMEMBERED_SECONDS = 10_000, 1
# How long a run is remembered that nobody goes on with.
RUN_SECONDS = 86_400
_COUNT = "redis.call('INCR', KEYS[1]) redis.call('EXPIRE', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])"
_PREFIX = "exchange:sandbox:"


@dataclass(frozen=True, slots=True)
class Ordered:
    """A plan with the run in which its requests are numbered."""

    plan: Plan
    run: str


@cached(TTLCache[Any, Ordered | None](REMEMBERED, REMEMBERED_SECONDS), lock=threading.Lock())
def known_faults(user_id: int, key_id: int) -> Ordered | None:
    """What was ordered for the key, else for the account, as it was within the last second."""
    rows = Faults.objects.filter(user_id=user_id, key_id__in={key_id, OF_THE_ACCOUNT}).order_by("-key_id")
    found = rows.first()
    return None if found is None else Ordered(found.plan, found.run)


def next_number(run: str) -> int | None:
    """The number of the next request or event of a run, from 1; None while Redis is away: then there are no faults."""
    counted = run_script(_COUNT, [_PREFIX + run], [RUN_SECONDS], failure="the sandbox cannot number a request")
    return None if counted is None else int(counted)


def read_faults(user_id: int, key_id: int = OF_THE_ACCOUNT) -> Plan:
    """What was ordered for this key or account itself; a plan without faults if nothing was."""
    found = Faults.objects.filter(user_id=user_id, key_id=key_id).first()
    return Plan() if found is None else found.plan


@transaction.atomic
def order_faults(user_id: int, key_id: int, plan: Plan, actor: Actor | None = None) -> None:
    """Store the plan and begin its run. `actor` is the operator who does it, of whom a row is kept."""
    before = read_faults(user_id, key_id)
    values = {**asdict(plan), "run": secrets.token_hex(16), "changed_at": timezone.now()}
    Faults.objects.update_or_create(user_id=user_id, key_id=key_id, defaults=values)
    _changed(user_id, before, plan, actor)


@transaction.atomic
def end_faults(user_id: int, key_id: int, actor: Actor | None = None) -> None:
    before = read_faults(user_id, key_id)
    Faults.objects.filter(user_id=user_id, key_id=key_id).delete()
    _changed(user_id, before, Plan(), actor)


def _changed(user_id: int, before: Plan, after: Plan, actor: Actor | None) -> None:
    if actor is not None:
        record(ActKind.FAULTS_CHANGED, user_id, actor, before=asdict(before), after=asdict(after))
    # Now for what this transaction reads, and then for what others have remembered until its commit.
    known_faults.cache_clear()
    transaction.on_commit(known_faults.cache_clear)
