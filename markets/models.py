"""Assets, markets, and what was traded: trades and candles."""

from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint

from base.storage.fields import AmountField, KeyField, TurnoverField, choices_of
from core.kinds import asset_given
from core.money import DIGITS, MAX_AMOUNT
from core.types import FeeCurrency, MarketStatus, SelfTradePrevention, Side
from markets.fee_tier import FeeTier  # noqa: F401 - so that Django knows its rows

ASSET_PATTERN = r"[A-Z0-9]{1,16}"
SYMBOL_PATTERN = r"[A-Z0-9][A-Z0-9._-]{0,32}"
# How many open orders a market may allow each user.
MOST_OPEN_ORDERS = 1_000_000


class Asset(models.Model):
    """What a user can own. `scale` is the number of digits after the point in which it is counted."""

    code = KeyField(primary_key=True, max_length=16, validators=[RegexValidator(rf"^{ASSET_PATTERN}\Z")])
    scale = models.PositiveSmallIntegerField(default=DIGITS, validators=[MaxValueValidator(DIGITS)])
    # The sum of all balances and collected fees. Limited, so that no balance can overflow.
    supply = AmountField(default=Decimal(0), editable=False)

    class Meta:
        db_table = "assets"
        constraints = [
            CheckConstraint(
                condition=Q(supply__gte=Decimal(0)),
                name="asset_supply_not_negative",
                violation_error_message="The supply cannot be below zero.",
            ),
            CheckConstraint(
                condition=Q(supply__lte=MAX_AMOUNT),
                name="asset_supply_capped",
                violation_error_message=f"The supply cannot be above {MAX_AMOUNT}.",
            ),
            CheckConstraint(
                condition=Q(scale__lte=DIGITS),
                name="asset_scale_at_most_8",
                violation_error_message=f"An asset has at most {DIGITS} digits after the point.",
            ),
        ]

    def __str__(self) -> str:
        return str(self.code)


DEFINING_FIELDS = (
    *("base_id", "quote_id", "tick_size", "lot_size", "min_quantity", "max_quantity"),
    *("min_notional", "max_notional", "max_open_orders", "maker_fee_rate", "taker_fee_rate"),
)


class Market(models.Model):
    """A pair of assets that are traded against each other, with one book.

    Tick and lot have together no more digits than the quote asset's scale, so price x quantity is exact, and only fees
    are rounded. `price_band` is how far from the reference price a taker may trade, as a fraction of it; None: as far
    as its limit. `max_open_orders` is how many open orders each user may have. A negative `maker_fee_rate` is a rebate.
    `fee_currency`: QUOTE has buyers pay their fees in quote too, so that nobody is left with less than a lot.
    """

    symbol = KeyField(primary_key=True, max_length=33, validators=[RegexValidator(rf"^{SYMBOL_PATTERN}\Z")])
    base = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    quote = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    tick_size = AmountField()
    lot_size = AmountField()
    min_quantity = AmountField()
    max_quantity = AmountField(default=Decimal(1_000_000_000))
    min_notional = AmountField(default=Decimal(0))
    max_notional = AmountField(default=MAX_AMOUNT, db_default=MAX_AMOUNT)
    price_band = AmountField(null=True, blank=True)
    max_open_orders = models.PositiveIntegerField(default=500, db_default=500)
    maker_fee_rate = AmountField(default=Decimal(0))
    taker_fee_rate = AmountField(default=Decimal(0))
    fee_currency = models.CharField(
        max_length=8,
        choices=choices_of(FeeCurrency),
        default=FeeCurrency.RECEIVED.value,
        db_default=FeeCurrency.RECEIVED.value,
    )
    self_trade_prevention = models.CharField(
        max_length=16,
        choices=choices_of(SelfTradePrevention),
        default=SelfTradePrevention.EXPIRE_TAKER.value,
    )
    status = models.CharField(max_length=16, choices=choices_of(MarketStatus), default=MarketStatus.TRADING.value)
    # Left out of the public lists. Who knows its name reads it and trades in it as in any other.
    is_hidden = models.BooleanField("hidden", default=False, db_default=False)
    # The account of the sandbox that fills orders with an ordered fate here; null: there are none.
    counterparty_id = models.PositiveBigIntegerField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "markets"
        constraints = [
            CheckConstraint(
                condition=Q(tick_size__gt=Decimal(0)),
                name="market_tick_positive",
                violation_error_message="The tick size must be above zero.",
            ),
            CheckConstraint(
                condition=Q(lot_size__gt=Decimal(0)),
                name="market_lot_positive",
                violation_error_message="The lot size must be above zero.",
            ),
        ]

    def __str__(self) -> str:
        return str(self.symbol)

    @property
    def simulated_fates(self) -> bool:
        """Whether a clientOrderId may order its order's fate here. What a sandbox of before left says nothing."""
        return settings.SANDBOX and self.counterparty_id is not None

    def pays_with(self, side: str) -> str:
        """The asset that an order of this side pays with, and therefore reserves."""
        return asset_given(side, self.base_id, self.quote_id)

    def clean(self) -> None:
        """Raise ValidationError with all rules that the market's definition breaks, by field."""
        if any(getattr(self, field) is None for field in DEFINING_FIELDS):
            # A form has refused the missing fields already.
            return
        broken = market_errors(self)
        if broken:
            raise ValidationError(broken)


def market_errors(market: Market) -> dict[str, str]:
    """The rules that a market's definition breaks, by field."""
    return _range_errors(market) or _step_errors(market)


def _range_errors(market: Market) -> dict[str, str]:
    """The fields that are out of their range, each by itself."""
    errors: dict[str, str] = {}
    if market.base_id == market.quote_id:
        errors["quote"] = f"base and quote are both {market.quote_id}"
    for field in ("tick_size", "lot_size", "min_quantity", "max_quantity", "max_notional"):
        value = getattr(market, field)
        if not 0 < value <= MAX_AMOUNT:
            errors[field] = f"{field} {value} is not between 0 and {MAX_AMOUNT}"
    if not 0 <= market.min_notional <= MAX_AMOUNT:
        errors["min_notional"] = f"min_notional {market.min_notional} is not between 0 and {MAX_AMOUNT}"
    if not -1 < market.maker_fee_rate < 1:
        errors["maker_fee_rate"] = f"maker_fee_rate {market.maker_fee_rate} is not between -1 and 1"
    if not 0 <= market.taker_fee_rate < 1:
        errors["taker_fee_rate"] = f"taker_fee_rate {market.taker_fee_rate} is not between 0 and 1"
    if market.price_band is not None and not 0 < market.price_band < 1:
        errors["price_band"] = f"price_band {market.price_band} is not between 0 and 1"
    if not 1 <= market.max_open_orders <= MOST_OPEN_ORDERS:
        errors["max_open_orders"] = f"max_open_orders {market.max_open_orders} is not between 1 and {MOST_OPEN_ORDERS}"
    return errors


def _step_errors(market: Market) -> dict[str, str]:
    """What the fields owe to each other and to the scales of the assets."""
    errors: dict[str, str] = {}
    digits = decimal_places(market.tick_size) + decimal_places(market.lot_size)
    if digits > market.quote.scale:
        errors["lot_size"] = f"tick and lot have together {digits} digits, {market.quote_id} has {market.quote.scale}"
    if decimal_places(market.lot_size) > market.base.scale:
        errors["lot_size"] = f"lot_size {market.lot_size} is finer than {market.base_id}'s scale {market.base.scale}"
    for field in ("min_quantity", "max_quantity"):
        if getattr(market, field) % market.lot_size:
            errors[field] = f"{field} {getattr(market, field)} is not a multiple of the lot {market.lot_size}"
    if market.min_quantity > market.max_quantity:
        errors["min_quantity"] = f"min_quantity {market.min_quantity} exceeds max_quantity {market.max_quantity}"
    if market.min_notional > market.max_notional:
        errors["min_notional"] = f"min_notional {market.min_notional} exceeds max_notional {market.max_notional}"
    return errors


def decimal_places(value: Decimal) -> int:
    """The number of digits after the point that the value needs: 2 for 0.0100."""
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


class Trade(models.Model):
    """One meeting of a taker and a resting order, as it was settled. A trade never changes.

    `sequence` is that of the taker's fill event; with the symbol it is the public trade id. The seller's fee is in the
    quote asset, the buyer's in the base asset or, with `fee_in_quote`, in quote too. `rebate` is what the maker got of
    the taker's fee.
    """

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    sequence = models.PositiveBigIntegerField()
    # Plain ids and no foreign keys, because this package may not import orders, and an insert must not lock their rows.
    buy_order_id = models.PositiveBigIntegerField(db_index=True)
    sell_order_id = models.PositiveBigIntegerField(db_index=True)
    buyer_id = models.PositiveBigIntegerField()
    seller_id = models.PositiveBigIntegerField()
    taker_side = models.CharField(max_length=4, choices=choices_of(Side))
    price = AmountField()
    quantity = AmountField()
    # Price times quantity. Stored, because the product of the two integers would overflow on SQLite.
    notional = AmountField()
    buyer_fee = AmountField(default=Decimal(0))
    seller_fee = AmountField(default=Decimal(0))
    rebate = AmountField(default=Decimal(0), db_default=Decimal(0))
    fee_in_quote = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "trades"
        constraints = [UniqueConstraint(fields=["market", "sequence"], name="trade_market_sequence")]
        # An index ends with the key of the row, so each holds the fills of a user and a market in their order.
        indexes = [
            Index(fields=["buyer_id", "market"], name="trade_buyer"),
            Index(fields=["seller_id", "market"], name="trade_seller"),
        ]

    def __str__(self) -> str:
        return self.trade_id

    @property
    def trade_id(self) -> str:
        return f"{self.market_id}-{self.sequence}"


class Mark(models.Model):
    """The price of an asset in its main market, when a batch of another market's trades began: see `markets.marks`."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    sequence = models.PositiveBigIntegerField()
    price = AmountField()

    class Meta:
        db_table = "marks"
        constraints = [UniqueConstraint(fields=["market", "asset", "sequence"], name="mark_market_asset_sequence")]

    def __str__(self) -> str:
        return f"{self.asset_id} at {self.market_id}-{self.sequence}"


class Interval(models.IntegerChoices):
    """The length of a candle in seconds, with the name that clients use."""

    MINUTE = 60, "1m"
    FIVE_MINUTES = 300, "5m"
    QUARTER = 900, "15m"
    HOUR = 3600, "1h"
    FOUR_HOURS = 14_400, "4h"
    DAY = 86_400, "1d"


class Candle(models.Model):
    """The trades of one interval, summed up. The worker writes it in the transaction that stores the trades."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    interval = models.PositiveIntegerField(choices=Interval.choices)
    opens_at = models.DateTimeField()
    open = AmountField()
    high = AmountField()
    low = AmountField()
    close = AmountField()
    volume = TurnoverField()
    quote_volume = TurnoverField()
    trades = models.PositiveBigIntegerField()

    class Meta:
        db_table = "candles"
        constraints = [UniqueConstraint(fields=["market", "interval", "opens_at"], name="candle_market_interval_opens")]

    def __str__(self) -> str:
        return f"{self.market_id} {self.get_interval_display()} {self.opens_at:%Y-%m-%d %H:%M}"
