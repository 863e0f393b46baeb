"""The record of what staff did to users' accounts, written in the transaction of the act."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from base.web.ratelimit.addresses import client_network
from users.models import ActKind, StaffAct

REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, from which address, and why."""

    user_id: int
    address: str
    reason: str = ""


def actor_of(request: HttpRequest, reason: str = "") -> Actor:
    """Whoever is signed in to this request, over REST or in the admin."""
    assert request.user.pk is not None, "nobody acts without being signed in"
    peer, forwarded_for = request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", "")
    return Actor(int(request.user.pk), client_network(peer, forwarded_for), reason)


def record(kind: ActKind, user_id: int, actor: Actor, **details: Any) -> StaffAct:
    """Store the act, in the caller's transaction."""
    return StaffAct.objects.create(
        kind=kind,
        user_id=user_id,
        operator_id=actor.user_id,
        reason=actor.reason[:REASON_LENGTH],
        address=actor.address,
        details=details,
    )
