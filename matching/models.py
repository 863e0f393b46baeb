"""The engine's own rows: the book that is locked, and the inbox of commands."""

import secrets

from django.db import models
from django.db.models import Index

from exchange.amounts import KeyField
from markets.models import Market


def new_token() -> str:
    """16 random bytes in hex. A counter would say "unchanged" after a failover or a restore; this never does."""
    return secrets.token_hex(16)


class OrderBook(models.Model):
    """The row whose lock makes a worker the only one to match its market.

    `token` changes with every commit: a book in memory that carries it is the book of the resting orders.
    """

    market = models.OneToOneField(Market, on_delete=models.PROTECT, primary_key=True, related_name="+")
    token = KeyField(max_length=32, default=new_token)
    next_sequence = models.PositiveBigIntegerField(default=1)
    # The taker that is on its way through the book: it goes on first, though commands with smaller ids may have been
    # committed meanwhile, and it does not rest.
    unfinished_order_id = models.PositiveBigIntegerField(null=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "order_books"

    def __str__(self) -> str:
        return str(self.market_id)


class CommandKind(models.TextChoices):
    """What a book can be asked to do."""

    NEW = "NEW"
    CANCEL = "CANCEL"


class Command(models.Model):
    """The inbox: stored with what it asks for, deleted in the transaction that applies it."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    kind = models.CharField(max_length=8, choices=CommandKind.choices)
    # A plain id: orders stand above the engine's models.
    order_id = models.PositiveBigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "commands"
        indexes = [Index(fields=["market", "id"], name="command_inbox")]

    def __str__(self) -> str:
        return f"{self.kind} {self.order_id}"
