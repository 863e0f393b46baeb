"""Balances, the ledger entries that add up to them, and the operators' transfers."""

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint
from django.db.models.functions import Now

from base.storage.fields import AmountField, KeyField
from core.money import plain
from markets.models import Asset

# The reference of a ledger entry begins with one of these; the trade's id or the transfer's reference follows.
TRADE_PREFIX, TRANSFER_PREFIX = "trade:", "transfer:"


class Balance(models.Model):
    """What a user owns of one asset: `available` is free to use, `frozen` is reserved for open orders."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    currency = models.ForeignKey(
        Asset, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False, db_column="currency"
    )
    available = AmountField(default=Decimal(0))
    frozen = AmountField(default=Decimal(0))
    created_at = models.DateTimeField(auto_now_add=True, null=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "balances"
        constraints = [
            UniqueConstraint(fields=["user", "currency"], name="balance_user_currency"),
            CheckConstraint(condition=Q(available__gte=Decimal(0)), name="balance_available_not_negative"),
            CheckConstraint(condition=Q(frozen__gte=Decimal(0)), name="balance_frozen_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.currency_id} of user {self.user_id}"

    @property
    def total(self) -> Decimal:
        total: Decimal = self.available + self.frozen
        return total


class EntryKind(models.TextChoices):
    """The cause of a change of ownership."""

    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    TRADE = "TRADE"
    FEE = "FEE"
    REBATE = "REBATE"


class HouseAccount(models.IntegerChoices):
    """The accounts that belong to no user: the world outside, and the fees that the exchange collected."""

    EXTERNAL = 0
    FEES = -1


class LedgerEntry(models.Model):
    """One change of ownership. Entries are only added, and those of each reference sum to zero in each currency.

    `account` is a user's id or a HouseAccount. Freezing makes no entry, because it does not change ownership.
    """

    account = models.BigIntegerField()
    currency = models.ForeignKey(
        Asset, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False, db_column="currency"
    )
    kind = models.CharField(max_length=16, choices=EntryKind.choices)
    amount = AmountField()
    reference = KeyField(max_length=80)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "ledger_entries"
        verbose_name_plural = "ledger entries"
        indexes = [Index(fields=["account", "currency", "id"], name="ledger_statement")]

    def __str__(self) -> str:
        return f"{self.kind} {plain(self.amount)} {self.currency_id}"


class Transfer(models.Model):
    """An operator's deposit or withdrawal, made once per reference: a repeat has the first answer.

    `user` is null of a payout of the fees that the exchange collected.
    """

    reference = KeyField(max_length=64, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, db_constraint=False
    )
    currency = models.ForeignKey(
        Asset, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_column="currency"
    )
    amount = AmountField()
    reason = models.CharField(max_length=200)
    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, db_constraint=False
    )
    # What one of the asset was worth then; null if its main market had not traded.
    mark_price = AmountField(null=True)
    available_after = AmountField()
    frozen_after = AmountField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "transfers"

    def __str__(self) -> str:
        return str(self.reference)

    @property
    def ledger_reference(self) -> str:
        """The reference of its ledger entries."""
        return f"{TRANSFER_PREFIX}{self.reference}"

    @property
    def account(self) -> int:
        """Whose account it changes, in the ledger."""
        return HouseAccount.FEES.value if self.user_id is None else int(self.user_id)


class ApprovalKind(models.TextChoices):
    """What waits for a second person."""

    ADJUSTMENT = "ADJUSTMENT"
    FEE_PAYOUT = "FEE_PAYOUT"


class ApprovalStatus(models.TextChoices):
    """Whether it was decided, and how."""

    WAITING = "WAITING_FOR_APPROVAL"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"


class Approval(models.Model):
    """A movement of money that one operator asked for and another decides, once. An approval has its transfer.

    `user` is null of a payout of fees. `amount` is as it was asked for: a withdrawal is negative, a payout positive.
    """

    kind = models.CharField(max_length=16, choices=ApprovalKind.choices)
    status = models.CharField(max_length=24, choices=ApprovalStatus.choices, default=ApprovalStatus.WAITING.value)
    reference = KeyField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    currency = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+", db_column="currency")
    amount = AmountField()
    reason = models.CharField(max_length=200)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.CharField(max_length=200, default="")
    transfer = models.OneToOneField(Transfer, on_delete=models.PROTECT, related_name="approval", null=True)

    class Meta:
        db_table = "approvals"
        # Rows are written by the service alone.
        default_permissions = ("view",)
        permissions = [
            ("approve_transfer", "Can approve and refuse what others asked for"),
            ("payout_fees", "Can ask for a payout of fees"),
        ]
        constraints = [
            CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("proposed_by")), name="approval_by_another"
            )
        ]
        indexes = [Index(fields=["status", "id"], name="approval_status")]

    def __str__(self) -> str:
        return str(self.reference)
