"""Which rates a user's orders are accepted with: the market's, or those of the user's fee tier where they are lower.

Intake reads the tier from the process's memory for a few seconds. An old one does no harm: an order is charged by the
rates in its own row, and the tier follows from a volume that a schedule adds up every few minutes anyway.
"""

import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from cachetools import TTLCache, cached
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Model

from core.money import plain
from markets import answers
from markets.fee_tier import FeeStanding, FeeTier
from markets.models import Market

# How long a process may go by the tiers and by a user's tier as they were.
REMEMBERED_SECONDS = 10
REMEMBERED = 100_000


class Tier(NamedTuple):
    level: int
    # None: for its group alone.
    volume: Decimal | None
    group_id: int | None
    maker_fee_rate: Decimal
    taker_fee_rate: Decimal


class Rates(NamedTuple):
    maker: Decimal
    taker: Decimal


class Standing(NamedTuple):
    """A user's tier, if any, the next one that volume brings, and the volume of 30 days."""

    tier: Tier | None
    next: Tier | None
    volume: Decimal


def rates_of(user_id: int, market: Market) -> Rates:
    """The rates for the user's new orders."""
    return rates(market, known_tier(user_id) if known_tiers() else None)


def rates(market: Market, tier: Tier | None) -> Rates:
    """Those of a tier in the market, which never has anybody pay more."""
    if tier is None:
        return Rates(market.maker_fee_rate, market.taker_fee_rate)
    return Rates(
        min(market.maker_fee_rate, tier.maker_fee_rate),
        min(market.taker_fee_rate, tier.taker_fee_rate),
    )


def represent(market: Market, standing: Standing) -> answers.Fees:
    """A market's fees as the user sees them."""
    own, above = rates(market, standing.tier), standing.next
    shown: answers.FeeTier | None = None
    if above is not None and above.volume is not None:
        then = rates(market, above)
        shown = {
            "tier": above.level,
            "makerFeeRate": plain(then.maker),
            "takerFeeRate": plain(then.taker),
            "volume": plain(above.volume),
            "volumeLacking": plain(max(above.volume - standing.volume, Decimal(0))),
            "volumeCurrency": settings.FEE_VOLUME_ASSET,
        }
    return {
        "symbol": market.symbol,
        "makerFeeRate": plain(own.maker),
        "takerFeeRate": plain(own.taker),
        "feeCurrency": market.fee_currency,
        "tier": None if standing.tier is None else standing.tier.level,
        "nextTier": shown,
    }


def read_tiers() -> Sequence[Tier]:
    """All tiers, the lowest level first."""
    columns: Any = FeeTier.objects.order_by("level").values_list(*Tier._fields)
    return [Tier._make(row) for row in columns]


def read_standing(user_id: int, tiers: Sequence[Tier]) -> Standing:
    """The user's tier among these, as the rows are now."""
    volume = FeeStanding.objects.filter(user_id=user_id).values_list("volume", flat=True).first() or Decimal(0)
    groups = _groups_of(user_id) if any(tier.group_id is not None for tier in tiers) else set()
    own = None
    for tier in tiers:
        if tier.group_id in groups or (tier.volume is not None and volume >= tier.volume):
            own = tier
    level = 0 if own is None else own.level
    above = [tier for tier in tiers if tier.level > level and tier.volume is not None]
    return Standing(own, above[0] if above else None, volume)


@cached(TTLCache[Any, Sequence[Tier]](1, REMEMBERED_SECONDS), lock=threading.Lock())
def known_tiers() -> Sequence[Tier]:
    """The tiers as they were within the last seconds. An exchange without any asks for no user's."""
    return read_tiers()


@cached(TTLCache[Any, Tier | None](REMEMBERED, REMEMBERED_SECONDS), lock=threading.Lock())
def known_tier(user_id: int) -> Tier | None:
    """The user's tier as it was within the last seconds."""
    return read_standing(user_id, known_tiers()).tier


def forget_tiers() -> None:
    """For what this process reads next, and again after the commit."""
    for forget in (known_tiers.cache_clear, known_tier.cache_clear):
        forget()
        transaction.on_commit(forget)


def _groups_of(user_id: int) -> set[int | None]:
    members: type[Model] = get_user_model().groups.through
    return set(members._default_manager.filter(user_id=user_id).values_list("group_id", flat=True))
