"""Balances and their statements as clients see them."""

from typing import Annotated

from pydantic import Field

from balances.models import ApprovalKind, ApprovalStatus, EntryKind
from base.web.rules import one_of
from base.web.values import Amount, Answer, Id, Instant, SignedAmount, described
from markets.answers import AssetCode


class Balance(Answer):
    """What an account owns of one asset."""

    user_id: Id
    currency: AssetCode = Field(validation_alias="currency_id")
    available_balance: Amount = Field(validation_alias="available")
    frozen_balance: Amount = Field(validation_alias="frozen")
    total_balance: Amount = Field(validation_alias="total")
    created_at: Annotated[Instant | None, described("Since when the asset is held; null if it never was.")]
    updated_at: Annotated[Instant | None, described("Null for an asset that was never held.")]


class LedgerEntry(Answer):
    """One change of what an account owns."""

    entry_id: Id = Field(validation_alias="id")
    kind: Annotated[str, one_of(EntryKind)]
    amount: SignedAmount
    reference: Annotated[str, described("`transfer:` or `trade:`, and the transfer's or the trade's own.")]
    created_at: Instant


Status = Annotated[str, one_of(ApprovalStatus)]


class Waiting(Answer):
    """A movement of money that another person has to approve, or that was decided since it was asked for first."""

    approval_id: Id = Field(validation_alias="pk")
    status: Status


class Approval(Waiting):
    """A movement of money that one operator asked for and another decides."""

    kind: Annotated[str, one_of(ApprovalKind)]
    user_id: Annotated[Id | None, described("Null of a payout of fees.")]
    currency: AssetCode = Field(validation_alias="currency_id")
    amount: Annotated[SignedAmount, described("As it was asked for: negative is withdrawn; of a payout positive.")]
    reason: str
    reference: Annotated[str, described("Of the transfer that an approval makes.")]
    proposed_by: Id = Field(validation_alias="proposed_by_id")
    created_at: Instant
    decided_by: Annotated[Id | None, described("Null while it waits.")] = Field(validation_alias="decided_by_id")
    decided_at: Instant | None
    decision_reason: str
