"""Positions as clients see them."""

from typing import Annotated

from typing_extensions import TypedDict

from base.web.values import Amount, SignedAmount, described
from markets.answers import AssetCode


class Position(TypedDict):
    """What the caller owns of an asset, what it cost, and what it is worth."""

    asset: AssetCode
    quantity: Annotated[Amount, described("Available and frozen together.")]
    averageCost: Annotated[Amount | None, described("Of one; null where nothing is owned, or nothing has a price.")]
    costCurrency: Annotated[AssetCode, described("The quote asset of the asset's main market.")]
    markPrice: Annotated[Amount | None, described("The last price of the main market; null before its first trade.")]
    marketValue: Amount | None
    unrealizedPnl: SignedAmount | None
    realizedPnl: SignedAmount
    asOf: Annotated[dict[str, int], described("For each market of the asset: an event that this certainly includes.")]
