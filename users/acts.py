"""The record of what staff did, written in the transaction of the act: who, when, from where, why, before and after."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypedDict

from django.http import HttpRequest
from typing_extensions import Unpack

from base.web.ratelimit.addresses import client_network, origin_of
from core.money import plain
from users.models import ActKind, StaffAct

REASON_LENGTH, SUBJECT_LENGTH = 200, 80
# Of an act in a form of the admin that asks for no reason.
IN_THE_ADMIN = "by a form of the admin"

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, from which address, and why."""

    user_id: int
    address: str
    reason: str = ""


def actor_of(request: HttpRequest, reason: str = "") -> Actor:
    """Whoever is signed in to this request, over REST or in the admin."""
    assert request.user.pk is not None, "nobody acts without being signed in"
    return Actor(int(request.user.pk), client_network(*origin_of(request.META)), reason)


class About(TypedDict, total=False):
    """What an act is about beside its user: `before` and `after` hold what it changed, as clients see that, `details`
    what else is worth keeping.
    """

    subject: str
    before: State | None
    after: State | None
    details: State | None


def record(kind: ActKind, user_id: int | None, actor: Actor, **about: Unpack[About]) -> None:
    """Store the act, in the caller's transaction. `user_id` is whom it concerns."""
    record_all([act_of(kind, user_id, actor, **about)])


def act_of(kind: ActKind, user_id: int | None, actor: Actor, **about: Unpack[About]) -> StaffAct:
    """An act that is not stored yet."""
    return StaffAct(
        kind=kind,
        user_id=user_id,
        operator_id=actor.user_id,
        reason=actor.reason[:REASON_LENGTH],
        address=actor.address,
        subject=about.get("subject", "")[:SUBJECT_LENGTH],
        before=about.get("before"),
        after=about.get("after"),
        details=about.get("details") or {},
    )


def record_all(acts: Sequence[StaffAct]) -> None:
    """Store the acts, in the caller's transaction: the one statement that writes such rows."""
    StaffAct.objects.bulk_create(acts)


def changed_by_form(form: Any, but: Iterable[str] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a form of the admin changes of its row, before and after; without the fields named."""
    names = [name for name in form.changed_data if name not in set(but)]
    return (
        {name: _shown(form.initial.get(name)) for name in names},
        {name: _shown(form.cleaned_data.get(name)) for name in names},
    )


def _shown(value: Any) -> Any:
    """A value of a form as JSON has it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    return sorted(map(str, value)) if isinstance(value, Iterable) else str(value)
