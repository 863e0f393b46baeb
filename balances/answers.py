"""Balances and their statements as clients see them."""

from typing import Annotated

from pydantic import Field

from balances.models import EntryKind
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
