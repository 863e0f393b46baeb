"""Orders, and the events of each: its timeline."""

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint

from base.storage.fields import AmountField, KeyField, TurnoverField, choices_of
from core.money import plain
from core.types import OrderType, Phase, Reason, SelfTradePrevention, Side, Status, TimeInForce
from markets.models import Market


class Order(models.Model):
    """A user's instruction, and how far it was filled. The resting orders *are* the book.

    Intake stores the row as PENDING; from then on only the market's worker changes it, while it locks the book's row.
    `sequence` is the number of the order's first event and its time priority, because ids do not commit in order.
    `frozen` is the amount that is still frozen for the order: quote of a buy, base of a sell.
    `spend_limit` is the most that a MARKET BUY by quantity may spend: the funds available when it was first matched.
    `price_band` is the market's when the order was accepted; `protection_price` is the furthest price that it allows,
    stored for a taker that goes on in a second transaction.
    The fee rates are those that the order was accepted with, and so is `fee_in_quote`: a BUY pays its fees in quote.
    `priority` is the event that gave the order its place, if that is not its first. `tip` is what of an iceberg is
    visible. `prevented_quantity` and `prevented_notional` are what self-trade prevention took (none: null).
    `group_id` is that of the two orders of which one cancels the other.
    `placed_price` and `placed_quantity` are what an order was placed with that was plain until it was amended: they are
    the terms of its events before that, which have none of their own.
    `phase` shows whether the order may still trade, because PARTIALLY_FILLED orders may be open or closed.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    client_order_id = KeyField(max_length=64, null=True)
    # A digest of the request: a repeat of the same client order id has the same digest, a reuse has another.
    fingerprint = models.CharField(max_length=32)
    # The operator who placed it for the user.
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        db_constraint=False,
        db_index=False,
    )
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    side = models.CharField(max_length=4, choices=choices_of(Side))
    type = models.CharField(max_length=24, choices=choices_of(OrderType))
    time_in_force = models.CharField(max_length=4, choices=choices_of(TimeInForce))
    post_only = models.BooleanField(default=False)
    self_trade_prevention = models.CharField(max_length=16, choices=choices_of(SelfTradePrevention))
    price = AmountField(null=True)
    quantity = AmountField(null=True)
    quote_quantity = AmountField(null=True)
    filled_quantity = AmountField(default=Decimal(0))
    filled_notional = TurnoverField(default=Decimal(0))
    frozen = AmountField(default=Decimal(0))
    spend_limit = TurnoverField(null=True)
    price_band = AmountField(null=True)
    protection_price = AmountField(null=True)
    maker_fee_rate = AmountField(default=Decimal(0))
    taker_fee_rate = AmountField(default=Decimal(0))
    fee_in_quote = models.BooleanField(default=False, db_default=False)
    status = models.CharField(max_length=16, choices=choices_of(Status), default=Status.PENDING.value)
    reason = models.CharField(max_length=24, choices=choices_of(Reason), null=True)
    phase = models.CharField(max_length=8, choices=choices_of(Phase), default=Phase.TAKING.value)
    sequence = models.PositiveBigIntegerField(null=True)
    # What plain LIMIT and MARKET orders do not have. All of it may be null, so that they pay nothing for it.
    priority = models.PositiveBigIntegerField(null=True)
    stop_price = AmountField(null=True)
    trailing_offset = AmountField(null=True)
    triggered_at = models.DateTimeField(null=True)
    display_quantity = AmountField(null=True)
    tip = AmountField(null=True)
    expires_at = models.DateTimeField(null=True)
    group_id = models.PositiveBigIntegerField(null=True)
    prevented_quantity = AmountField(null=True)
    prevented_notional = TurnoverField(null=True)
    placed_price = AmountField(null=True)
    placed_quantity = AmountField(null=True)
    # The one resting order that it meets, of an order of the sandbox.
    meets_id = models.PositiveBigIntegerField(null=True)
    correlation_id = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "orders"
        permissions = [
            ("place_for_others", "Can place orders for others"),
            ("cancel_for_others", "Can cancel anybody's orders"),
        ]
        constraints = [
            UniqueConstraint(fields=["client_order_id", "user"], name="order_client_order_id"),
            CheckConstraint(condition=Q(filled_quantity__gte=Decimal(0)), name="order_filled_not_negative"),
            CheckConstraint(
                condition=Q(quantity__isnull=True) | Q(filled_quantity__lte=F("quantity")), name="order_not_overfilled"
            ),
            CheckConstraint(condition=Q(frozen__gte=Decimal(0)), name="order_frozen_not_negative"),
        ]
        indexes = [
            Index(fields=["user", "id"], name="order_user"),
            # A user's open orders, or those of one status, however many others there are.
            Index(fields=["user", "phase", "status"], name="order_user_phase"),
            Index(fields=["market", "phase", "side", "price"], name="order_book"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.side} {plain(self.quantity or self.quote_quantity)} {self.market_id}"

    @property
    def active(self) -> bool:
        """Whether it may still trade."""
        return bool(self.phase != Phase.CLOSED)


class OpenOrders(models.Model):
    """How many open orders a user has in a market: see `orders.open_orders`, which alone writes it."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    number = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "open_orders"
        verbose_name_plural = "open orders"
        constraints = [UniqueConstraint(fields=["market", "user"], name="open_orders_market_user")]

    def __str__(self) -> str:
        return f"{self.number} of user {self.user_id} in {self.market_id}"


class OrderExpiry(models.Model):
    """When a GTD order that is open is due; it has the order's id. See `orders.expiry`.

    `due_at` is null once the command that closes the order is stored.
    """

    id = models.PositiveBigIntegerField(primary_key=True)
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    due_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        db_table = "order_expiries"
        verbose_name_plural = "order expiries"

    def __str__(self) -> str:
        return f"{self.id} of {self.market_id} at {self.due_at}"


class Trail(models.Model):
    """Where the TRAILING_STOPs of a side stand: see `core.trailing`. An order's extreme is that of the last entry whose
    `from_sequence` is not above its own sequence.
    """

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    side = models.CharField(max_length=4, choices=choices_of(Side))
    from_sequence = models.PositiveBigIntegerField()
    extreme = AmountField()

    class Meta:
        db_table = "trails"
        constraints = [UniqueConstraint(fields=["market", "side", "from_sequence"], name="trail_from_sequence")]

    def __str__(self) -> str:
        return f"{self.market_id} {self.side} from {self.from_sequence}: {plain(self.extreme)}"


class DeadManSwitch(models.Model):
    """When all open orders of a user are cancelled, or those in a market, unless the user says otherwise before.

    See `orders.dead_man`. `symbol` is empty for all markets.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    symbol = KeyField(max_length=33, default="", blank=True)
    triggers_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "dead_man_switches"
        verbose_name_plural = "dead man's switches"
        constraints = [UniqueConstraint(fields=["user", "symbol"], name="dead_man_switch_user")]

    def __str__(self) -> str:
        return f"user {self.user_id} {self.symbol or 'all markets'} at {self.triggers_at}"


class OrderEvent(models.Model):
    """One step in an order's life, written in the transaction that made the step. Streams send it and catch up from it.

    `sequence` counts a market's events without gaps, in the order in which they were committed.
    `trade_sequence` is the trade of a fill.
    """

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    sequence = models.PositiveBigIntegerField()
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    status = models.CharField(max_length=16, choices=choices_of(Status))
    reason = models.CharField(max_length=24, choices=choices_of(Reason), null=True)
    active = models.BooleanField()
    filled_quantity = AmountField()
    filled_notional = TurnoverField()
    trade_sequence = models.PositiveBigIntegerField(null=True)
    # The terms of an extended order after the event, as `orders.terms_text` writes them; null of a plain order.
    terms = models.CharField(max_length=255, null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "order_events"
        constraints = [UniqueConstraint(fields=["market", "sequence"], name="event_market_sequence")]
        indexes = [Index(fields=["user", "market", "sequence"], name="event_user_place")]

    def __str__(self) -> str:
        return self.event_id

    @property
    def event_id(self) -> str:
        return f"{self.market_id}-{self.sequence}"
