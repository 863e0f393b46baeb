"""The engine's own rows: locked books, changes of trading status, workers' heartbeats, and dead letters."""

import secrets

from django.conf import settings
from django.db import models
from django.db.models import Index, UniqueConstraint

from base.storage.fields import AmountField, KeyField, choices_of
from core.types import CommandKind, MarketStatus
from markets.models import Market

TOKEN_BYTES = 16


def new_token() -> str:
    """16 random bytes in hex. Not a counter: after a failover or a restore the same number could come a second time."""
    return secrets.token_hex(TOKEN_BYTES)


class OrderBook(models.Model):
    """The row that a worker locks while it matches the market, so that no other worker does.

    `token` changes with every commit: a book in memory with the same token is the book of the stored resting orders.
    """

    market = models.OneToOneField(Market, on_delete=models.PROTECT, primary_key=True, related_name="+")
    token = KeyField(max_length=32, default=new_token)
    next_sequence = models.PositiveBigIntegerField(default=1)
    # The unfinished taker, and the command that it goes on with. It goes on first, although commands with smaller ids
    # may have been committed meanwhile, and it does not rest.
    unfinished_order_id = models.PositiveBigIntegerField(null=True)
    unfinished_command_id = models.PositiveBigIntegerField(null=True)
    # Whether triggered orders wait to fire: their commands go before all others.
    is_cascading = models.BooleanField(default=False, db_default=False)
    # The trading status at this place of the market's sequence. `Market.status`, which intake reads, may be newer.
    status = models.CharField(max_length=16, choices=choices_of(MarketStatus), default=MarketStatus.TRADING.value)
    # How many orders failed one after the other, without a success in between.
    failures = models.PositiveSmallIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "order_books"

    def __str__(self) -> str:
        return str(self.market_id)


class BookSnapshot(models.Model):
    """What rested in a large book after the event of this sequence, as the digests of its parts.

    A row and not a file, because the worker that needs it may run on another machine; and not in the locked row,
    because the worker writes that one with each batch.
    """

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    sequence = models.PositiveBigIntegerField()
    # How the orders are packed: a snapshot of another version of the program is not read.
    form = models.CharField(max_length=32)
    order_count = models.PositiveIntegerField()
    parts = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "book_snapshots"
        indexes = [Index(fields=["market", "id"], name="book_snapshot_market")]

    def __str__(self) -> str:
        return f"{self.market_id} after {self.sequence}"


class SnapshotPart(models.Model):
    """Resting orders of neighbouring levels. Snapshots that follow each other share the parts that did not change."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    digest = models.CharField(max_length=32)
    levels = models.BinaryField()
    ids = models.BinaryField()
    rows = models.BinaryField()

    class Meta:
        db_table = "book_snapshot_parts"
        constraints = [UniqueConstraint(fields=["market", "digest"], name="snapshot_part_digest")]

    def __str__(self) -> str:
        return f"{self.market_id} {self.digest}"


class StatusChange(models.Model):
    """A change of a market's trading status, with its place in the sequence: before the event of that number."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    status = models.CharField(max_length=16, choices=choices_of(MarketStatus))
    sequence = models.PositiveBigIntegerField()
    # An operator's command, or what made the engine halt the market.
    reason = models.CharField(max_length=200)
    # The price band by which the book was uncrossed for it.
    price_band = AmountField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "status_changes"
        indexes = [Index(fields=["market", "sequence"], name="status_change_sequence")]

    def __str__(self) -> str:
        return f"{self.market_id} {self.status} from {self.sequence}"


class WorkerHeartbeat(models.Model):
    """A worker that runs, and the markets that it serves; or beat. Each renews its row every few seconds."""

    # Celery's name of the worker. Two workers may have the same.
    name = models.CharField(max_length=255)
    # True for a worker of all markets, also of those that open later; `symbols` then names the ones that it leaves out.
    serves_all = models.BooleanField()
    symbols = models.JSONField(default=list)
    # Beat serves no market: it sends what is scheduled.
    is_beat = models.BooleanField(default=False, db_default=False)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "workers"
        verbose_name = "worker"

    def __str__(self) -> str:
        return str(self.name)


class Resolution(models.TextChoices):
    """What an operator did with a dead letter."""

    REQUEUED = "REQUEUED"
    RESOLVED = "RESOLVED"


class DeadLetter(models.Model):
    """A command that the engine could not apply, with its error. The row is kept after an operator has resolved it."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    kind = models.CharField(max_length=16, choices=choices_of(CommandKind))
    order_id = models.PositiveBigIntegerField(null=True, db_index=True)
    error = models.CharField(max_length=500)
    traceback = models.TextField()
    attempts = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField()
    resolution = models.CharField(max_length=16, choices=Resolution.choices, null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, db_constraint=False
    )
    # The order that was placed instead, if the dead letter was requeued.
    successor_id = models.PositiveBigIntegerField(null=True)

    class Meta:
        db_table = "dead_letters"
        indexes = [Index(fields=["resolution", "id"], name="dead_letter_open")]

    def __str__(self) -> str:
        return f"{self.kind} {self.order_id or self.market_id}: {self.error}"
