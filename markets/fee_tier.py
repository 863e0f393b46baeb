"""The rows of fee tiers: the tiers, what users traded day by day, and how far each market's trades were counted."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint

from base.storage.fields import AmountField, KeyField, TurnoverField

MOST_TIERS = 100


class FeeTier(models.Model):
    """Rates for users who trade much, or who are in a group. Of the tiers that a user has the highest level counts.

    `volume` is what to trade in 30 days, in FEE_VOLUME_ASSET. The rates hold in all markets whose own are not lower.
    """

    level = models.PositiveSmallIntegerField(
        unique=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_TIERS)],
        help_text="Of several tiers that a user has, the one with the highest level counts.",
    )
    volume = TurnoverField(null=True, blank=True, help_text="To be traded in 30 days. Empty: for the group alone.")
    group = models.ForeignKey(
        Group,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        help_text="Its members have the tier whatever they trade.",
    )
    maker_fee_rate = AmountField(help_text="Below zero: a rebate out of the taker's fee.")
    taker_fee_rate = AmountField()

    class Meta:
        db_table = "fee_tiers"
        constraints = [
            CheckConstraint(
                condition=Q(volume__isnull=False) | Q(group__isnull=False),
                name="fee_tier_is_for_somebody",
                violation_error_message="A tier needs a volume to be traded, or a group whose members have it.",
            )
        ]

    def __str__(self) -> str:
        return f"fee tier {self.level}"

    def clean(self) -> None:
        """Raise ValidationError with all rules that the tier breaks, by field."""
        broken = _broken(self)
        if broken:
            raise ValidationError(broken)


def _broken(tier: FeeTier) -> dict[str, str]:
    errors = {}
    if tier.maker_fee_rate is not None and not -1 < tier.maker_fee_rate < 1:
        errors["maker_fee_rate"] = "must be between -1 and 1"
    if tier.taker_fee_rate is not None and not 0 <= tier.taker_fee_rate < 1:
        errors["taker_fee_rate"] = "must be 0 or more, and below 1"
    if tier.volume is None:
        return errors if tier.group_id is not None else {**errors, "volume": "is needed without a group"}
    if tier.volume <= 0:
        return {**errors, "volume": "must be above zero"}
    if tier.level is None:
        return errors
    others = FeeTier.objects.exclude(pk=tier.pk).exclude(volume=None)
    below = [other.level for other in others if other.level < tier.level and other.volume >= tier.volume]
    above = [other.level for other in others if other.level > tier.level and other.volume <= tier.volume]
    if below or above:
        errors["volume"] = f"must be above those of lower levels, and below those of higher ones: see {below + above}"
    return errors


class TradedVolume(models.Model):
    """What a user traded on one day, in one reference asset. Days are counted from 1970, in UTC."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    asset = KeyField(max_length=16)
    day = models.PositiveIntegerField()
    volume = TurnoverField()

    class Meta:
        db_table = "traded_volumes"
        default_permissions = ()
        constraints = [UniqueConstraint(fields=["user", "asset", "day"], name="traded_volume_user_asset_day")]
        indexes = [Index(fields=["day"], name="traded_volume_day")]

    def __str__(self) -> str:
        return f"{self.volume} {self.asset} of user {self.user_id} on day {self.day}"


class FeeStanding(models.Model):
    """What a user has traded in 30 days, as it was last added up. `due_day`: when to add it up again; 0: at once."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, primary_key=True, related_name="+", db_constraint=False
    )
    volume = TurnoverField(default=Decimal(0))
    due_day = models.PositiveIntegerField(default=0, db_index=True)

    class Meta:
        db_table = "fee_standings"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"volume of user {self.user_id}"


class VolumeCursor(models.Model):
    """The last trade of a market that was counted."""

    market: Any = models.OneToOneField(
        "markets.Market", on_delete=models.PROTECT, primary_key=True, related_name="+", db_constraint=False
    )
    sequence = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "volume_cursors"
        default_permissions = ()

    def __str__(self) -> str:
        return f"trades of {self.market_id} up to {self.sequence}"
