"""Adjustments of balances by staff, and what of them waits for a second person.

Above an amount that the settings name for its asset an adjustment is not made but asked for, and so is every payout of
fees. Another person decides, once: the row is locked, and the money moves in the transaction of the decision.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from balances.errors import ApprovalDecided, ApprovalNotFound, SamePerson
from balances.models import Approval, ApprovalKind, ApprovalStatus, Transfer
from balances.services import refuse_amount, transfer
from base.storage.outages import again_on_deadlock
from base.web.errors import ReferenceReused
from core.money import plain
from users.acts import Actor, record
from users.models import ActKind

ADJUST_PERMISSION = "balances.add_transfer"
APPROVE_PERMISSION = "balances.approve_transfer"
PAYOUT_PERMISSION = "balances.payout_fees"


@again_on_deadlock
@transaction.atomic
def adjust(
    actor: Actor, *, user_id: int, currency: str, amount: Decimal, reason: str, reference: str
) -> tuple[Transfer | Approval, bool]:
    """Deposit a positive amount or withdraw a negative one, once per reference; or ask for it, above the threshold.

    Returns the transfer or what waits, and whether the reference had been used for the same before. Raises what
    `transfer` raises.
    """
    wanted: dict[str, Any] = {"currency": currency, "amount": amount, "reason": reason, "reference": reference}
    earlier = _asked_before(ApprovalKind.ADJUSTMENT, user_id, wanted)
    if earlier is not None:
        return earlier, True
    if needs_approval(currency, amount) and not Transfer.objects.filter(reference=reference).exists():
        return _ask(replace(actor, reason=reason), ApprovalKind.ADJUSTMENT, user_id, wanted)
    made, is_repeated = transfer(user_id=user_id, operator_id=actor.user_id, **wanted)
    if not is_repeated:
        _record_move(ActKind.BALANCE_ADJUSTED, made, replace(actor, reason=reason), {})
    return made, is_repeated


@again_on_deadlock
@transaction.atomic
def ask_for_payout(
    actor: Actor, *, currency: str, amount: Decimal, reason: str, reference: str
) -> tuple[Approval, bool]:
    """Ask for a payout of collected fees, once per reference. Returns what waits, and whether it did before.

    Raises AssetNotFound, InvalidField and ReferenceReused.
    """
    wanted: dict[str, Any] = {"currency": currency, "amount": amount, "reason": reason, "reference": reference}
    earlier = _asked_before(ApprovalKind.FEE_PAYOUT, None, wanted)
    if earlier is not None:
        return earlier, True
    if Transfer.objects.filter(reference=reference).exists():
        raise ReferenceReused(f"reference {reference} was used for a transfer", field="reference")
    return _ask(replace(actor, reason=reason), ApprovalKind.FEE_PAYOUT, None, wanted)


@again_on_deadlock
@transaction.atomic
def approve(approval_id: int, actor: Actor) -> Approval:
    """Make the movement that another person asked for. Raises ApprovalNotFound, SamePerson, ApprovalDecided, and what
    `transfer` raises: it waits then as before.
    """
    waiting = _lock(approval_id, actor)
    is_payout = waiting.kind == ApprovalKind.FEE_PAYOUT
    made, is_repeated = transfer(
        user_id=waiting.user_id,
        currency=waiting.currency_id,
        amount=-waiting.amount if is_payout else waiting.amount,
        reason=waiting.reason,
        reference=waiting.reference,
        operator_id=waiting.proposed_by_id,
    )
    if is_repeated:
        raise ReferenceReused(f"reference {waiting.reference} was used for a transfer meanwhile", field="reference")
    _record_move(ActKind.APPROVED, made, actor, _named(waiting))
    return _decide(waiting, ApprovalStatus.APPROVED, actor, made)


@again_on_deadlock
@transaction.atomic
def refuse_approval(approval_id: int, actor: Actor) -> Approval:
    """Refuse what another person asked for. Raises ApprovalNotFound, SamePerson and ApprovalDecided."""
    waiting = _lock(approval_id, actor)
    record(ActKind.REFUSED, waiting.user_id, actor, subject=waiting.reference, details=_named(waiting))
    return _decide(waiting, ApprovalStatus.REFUSED, actor, None)


def needs_approval(currency: str, amount: Decimal) -> bool:
    """Whether an adjustment by the amount waits for a second person."""
    threshold: Decimal | None = settings.APPROVAL_ABOVE.get(currency)
    return threshold is not None and abs(amount) > threshold


def _asked_before(kind: ApprovalKind, user_id: int | None, wanted: dict[str, Any]) -> Approval | None:
    """What was asked for under this reference, if anything. Raises ReferenceReused if it was something else."""
    earlier = Approval.objects.filter(reference=wanted["reference"]).first()
    if earlier is None:
        return None
    asked = (earlier.kind, earlier.user_id, earlier.currency_id, earlier.amount, earlier.reason)
    if asked != (kind, user_id, wanted["currency"], wanted["amount"], wanted["reason"]):
        raise ReferenceReused(f"reference {earlier.reference} was used for something else", field="reference")
    return earlier


def _ask(actor: Actor, kind: ApprovalKind, user_id: int | None, wanted: dict[str, Any]) -> tuple[Approval, bool]:
    currency, amount = wanted["currency"], wanted["amount"]
    refuse_amount(amount, currency)
    waiting = Approval(
        kind=kind,
        user_id=user_id,
        currency_id=currency,
        amount=amount,
        reason=wanted["reason"],
        reference=wanted["reference"],
        proposed_by_id=actor.user_id,
        created_at=timezone.now(),
    )
    try:
        with transaction.atomic():
            waiting.save(force_insert=True)
    except IntegrityError:
        # Another request used the same reference after it was looked for.
        earlier = _asked_before(kind, user_id, wanted)
        if earlier is None:
            raise
        return earlier, True
    after = {"currency": currency, "amount": plain(amount), "status": waiting.status}
    record(ActKind.APPROVAL_ASKED, user_id, actor, subject=waiting.reference, after=after, details=_named(waiting))
    return waiting, False


def _lock(approval_id: int, actor: Actor) -> Approval:
    """What waits, locked until the transaction ends: it is decided once."""
    waiting = Approval.objects.select_for_update().filter(pk=approval_id).first()
    if waiting is None:
        raise ApprovalNotFound("there is no such approval")
    if waiting.proposed_by_id == actor.user_id:
        raise SamePerson("who asked for it does not decide it")
    if waiting.status != ApprovalStatus.WAITING:
        message = f"approval {waiting.pk} is {waiting.status} already"
        raise ApprovalDecided(message, approvalId=waiting.pk, status=waiting.status)
    return waiting


def _decide(waiting: Approval, status: ApprovalStatus, actor: Actor, made: Transfer | None) -> Approval:
    waiting.status, waiting.transfer = status.value, made
    waiting.decided_by_id, waiting.decided_at, waiting.decision_reason = actor.user_id, timezone.now(), actor.reason
    decision = ("status", "transfer_id", "decided_by_id", "decided_at", "decision_reason")
    still = Approval.objects.filter(pk=waiting.pk, status=ApprovalStatus.WAITING)
    if not still.update(**{name: getattr(waiting, name) for name in decision}):
        raise ApprovalDecided(f"approval {waiting.pk} was decided meanwhile", approvalId=waiting.pk)
    return waiting


def _named(asked: Approval) -> dict[str, Any]:
    """How acts name an approval."""
    return {"approvalId": asked.pk, "kind": asked.kind, "proposedBy": asked.proposed_by_id}


def _record_move(kind: ActKind, made: Transfer, actor: Actor, details: Mapping[str, Any]) -> None:
    """Keep who moved money, with the balance before and after."""
    before = {"availableBalance": plain(made.available_after - made.amount)}
    after = {"availableBalance": plain(made.available_after)}
    moved = {"currency": made.currency_id, "amount": plain(made.amount), **details}
    record(kind, made.user_id, actor, subject=made.reference, before=before, after=after, details=moved)
