"""The inbox: commands that wait for their market's worker."""

from decimal import Decimal

from django.db import models
from django.db.models import Index

from base.storage.fields import AmountField, choices_of
from core.types import CommandKind


class Command(models.Model):
    """The inbox: stored with what it asks for, deleted in the transaction that applies it."""

    market = models.ForeignKey(
        "markets.Market", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    kind = models.CharField(max_length=16, choices=choices_of(CommandKind))
    # A plain id: orders stand above commands. None where the whole market is meant.
    order_id = models.PositiveBigIntegerField(null=True)
    # What else the command says, amounts in units; and what was frozen for it.
    data = models.JSONField(null=True)
    reserved = AmountField(default=Decimal(0), db_default=Decimal(0))
    created_at = models.DateTimeField()

    class Meta:
        db_table = "commands"
        indexes = [
            Index(fields=["market", "id"], name="command_inbox"),
            # Whether an order has a cancel waiting, however much else waits.
            Index(fields=["order_id"], name="command_order"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.order_id or self.market_id}"


class HeldCommand(models.Model):
    """A NEW command that the sandbox keeps out of the inbox until it is due; it has its order's id. See
    `commands.held`.
    """

    id = models.PositiveBigIntegerField(primary_key=True)
    market = models.ForeignKey(
        "markets.Market", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    due_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "held_commands"
