"""What a position cost, kept so that no request has to read the ledger from its beginning."""

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import UniqueConstraint

from base.storage.fields import AmountField, TurnoverField
from markets.models import Asset


class Position(models.Model):
    """A user's position in an asset after the ledger entry `entry_id`; `positions.services` brings it forward.

    `cost` and `realized` are in the quote asset of the asset's main market.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    entry_id = models.PositiveBigIntegerField(default=0)
    quantity = AmountField(default=Decimal(0))
    cost = TurnoverField(default=Decimal(0))
    realized = TurnoverField(default=Decimal(0))

    class Meta:
        db_table = "positions"
        constraints = [UniqueConstraint(fields=["user", "asset"], name="position_user_asset")]

    def __str__(self) -> str:
        return f"{self.asset_id} of user {self.user_id}"
