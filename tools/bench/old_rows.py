"""The rows of 2026-11-28, kept as they were: the tables against which the drain of that day was measured.

A later change of the rows makes the floor itself faster or slower. The floor of these rows never changes, so it shows
what a machine can do, and lets figures of different days be compared. So nothing here follows the models of today.
"""

from decimal import Decimal

from django.db import models
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint

from base.storage.fields import AmountField, KeyField, TurnoverField

ORDER_FIELDS = (
    *("status", "reason", "phase", "filled_quantity", "filled_notional", "frozen", "spend_limit", "sequence"),
    *("updated_at", "closed_at"),
)
EVENT_FIELDS = (
    *("market_id", "sequence", "order_id", "user_id", "status", "reason", "active", "filled_quantity"),
    *("filled_notional", "trade_sequence", "created_at"),
)
TRADE_FIELDS = (
    *("market_id", "sequence", "buy_order_id", "sell_order_id", "buyer_id", "seller_id", "taker_side", "price"),
    *("quantity", "notional", "buyer_fee", "seller_fee", "created_at"),
)
LEDGER_FIELDS = ("account", "currency", "kind", "amount", "reference", "created_at")
BALANCE_FIELDS = ("available", "frozen", "updated_at")


class OldOrder(models.Model):
    """An order's row."""

    user_id = models.BigIntegerField()
    client_order_id = KeyField(max_length=64, null=True)
    fingerprint = models.CharField(max_length=32)
    market_id = KeyField(max_length=33)
    side = models.CharField(max_length=4)
    type = models.CharField(max_length=24)
    time_in_force = models.CharField(max_length=4)
    post_only = models.BooleanField()
    self_trade_prevention = models.CharField(max_length=16)
    price = AmountField(null=True)
    quantity = AmountField(null=True)
    quote_quantity = AmountField(null=True)
    filled_quantity = AmountField()
    filled_notional = TurnoverField()
    frozen = AmountField()
    spend_limit = TurnoverField(null=True)
    maker_fee_rate = AmountField()
    taker_fee_rate = AmountField()
    status = models.CharField(max_length=16)
    reason = models.CharField(max_length=24, null=True)
    phase = models.CharField(max_length=8)
    sequence = models.PositiveBigIntegerField(null=True)
    correlation_id = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        app_label, managed, db_table = "bench", False, "old_orders"
        constraints = [
            UniqueConstraint(fields=["client_order_id", "user_id"], name="old_client_order_id"),
            CheckConstraint(condition=Q(filled_quantity__gte=Decimal(0)), name="old_filled_not_negative"),
            CheckConstraint(
                condition=Q(quantity__isnull=True) | Q(filled_quantity__lte=F("quantity")), name="old_not_overfilled"
            ),
            CheckConstraint(condition=Q(frozen__gte=Decimal(0)), name="old_order_frozen"),
        ]
        indexes = [
            Index(fields=["user_id", "id"], name="old_order_user"),
            Index(fields=["market_id", "phase", "side", "price"], name="old_order_book"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class OldEvent(models.Model):
    """A step of an order."""

    market_id = KeyField(max_length=33)
    sequence = models.PositiveBigIntegerField()
    order_id = models.BigIntegerField(db_index=True)
    user_id = models.BigIntegerField()
    status = models.CharField(max_length=16)
    reason = models.CharField(max_length=24, null=True)
    active = models.BooleanField()
    filled_quantity = AmountField()
    filled_notional = TurnoverField()
    trade_sequence = models.PositiveBigIntegerField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        app_label, managed, db_table = "bench", False, "old_order_events"
        constraints = [UniqueConstraint(fields=["market_id", "sequence"], name="old_event_sequence")]
        indexes = [Index(fields=["user_id", "created_at"], name="old_event_user_time")]

    def __str__(self) -> str:
        return str(self.pk)


class OldTrade(models.Model):
    """A trade."""

    market_id = KeyField(max_length=33)
    sequence = models.PositiveBigIntegerField()
    buy_order_id = models.PositiveBigIntegerField(db_index=True)
    sell_order_id = models.PositiveBigIntegerField(db_index=True)
    buyer_id = models.PositiveBigIntegerField()
    seller_id = models.PositiveBigIntegerField()
    taker_side = models.CharField(max_length=4)
    price = AmountField()
    quantity = AmountField()
    notional = AmountField()
    buyer_fee = AmountField()
    seller_fee = AmountField()
    created_at = models.DateTimeField()

    class Meta:
        app_label, managed, db_table = "bench", False, "old_trades"
        constraints = [UniqueConstraint(fields=["market_id", "sequence"], name="old_trade_sequence")]

    def __str__(self) -> str:
        return str(self.pk)


class OldEntry(models.Model):
    """One of the two ledger entries of a move."""

    account = models.BigIntegerField()
    currency = KeyField(max_length=16)
    kind = models.CharField(max_length=16)
    amount = AmountField()
    reference = KeyField(max_length=80)
    created_at = models.DateTimeField()

    class Meta:
        app_label, managed, db_table = "bench", False, "old_ledger_entries"
        indexes = [Index(fields=["account", "currency", "id"], name="old_ledger_statement")]

    def __str__(self) -> str:
        return str(self.pk)


class OldBalance(models.Model):
    """What a user has of an asset."""

    user_id = models.BigIntegerField()
    currency = KeyField(max_length=16)
    available = AmountField()
    frozen = AmountField()
    updated_at = models.DateTimeField()

    class Meta:
        app_label, managed, db_table = "bench", False, "old_balances"
        constraints = [
            UniqueConstraint(fields=["user_id", "currency"], name="old_user_currency"),
            CheckConstraint(condition=Q(available__gte=Decimal(0)), name="old_available"),
            CheckConstraint(condition=Q(frozen__gte=Decimal(0)), name="old_frozen"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


MODELS = (OldOrder, OldEvent, OldTrade, OldEntry, OldBalance)
