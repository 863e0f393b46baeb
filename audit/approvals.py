"""The check of what waits for a second person: who decided it, and the transfer that an approval made."""

from decimal import Decimal

from audit.checks import Check, Report
from balances.models import Approval, ApprovalKind, ApprovalStatus, Transfer


def check_approvals(report: Report) -> None:
    """Check all of them: they are as few as people can decide."""
    counted = 0
    for asked in Approval.objects.select_related("transfer").order_by("pk").iterator():
        counted += 1
        wrong = _fault(asked)
        if wrong:
            report.add(Check.APPROVAL, wrong, [f"approval {asked.reference}"], asked.status, str(asked.transfer))
    report.count([Check.APPROVAL], counted)


def _fault(asked: Approval) -> str:
    made = asked.transfer
    is_waiting = asked.status == ApprovalStatus.WAITING
    if is_waiting != (asked.decided_by_id is None):
        return "decided by nobody, or decided and waiting"
    if asked.decided_by_id == asked.proposed_by_id:
        return "decided by who asked for it"
    if asked.status != ApprovalStatus.APPROVED:
        moved = made is not None or Transfer.objects.filter(reference=asked.reference).exists()
        return "money moved without an approval" if moved else ""
    if made is None:
        return "approved without a transfer"
    terms = (made.reference, made.user_id, made.currency_id, made.amount)
    asked_for = (asked.reference, asked.user_id, asked.currency_id, _amount(asked))
    return "" if terms == asked_for else "its transfer is another than was asked for"


def _amount(asked: Approval) -> Decimal:
    """As the transfer has it: what is paid out leaves the fee account."""
    amount: Decimal = asked.amount
    return -amount if asked.kind == ApprovalKind.FEE_PAYOUT else amount
