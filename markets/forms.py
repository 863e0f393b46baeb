"""The forms of the operators who open and change markets."""

from decimal import Decimal
from typing import Annotated

from base.web.forms import Form
from base.web.rules import NOT_NEGATIVE, POSITIVE, one_of, text
from core.types import MarketStatus, SelfTradePrevention
from markets.models import ASSET_PATTERN, SYMBOL_PATTERN


class MarketChangeForm(Form):
    """What can be changed of a market: tick and lot, which its orders were checked against, cannot."""

    min_quantity: Annotated[Decimal | None, POSITIVE] = None
    max_quantity: Annotated[Decimal | None, POSITIVE] = None
    min_notional: Annotated[Decimal | None, NOT_NEGATIVE] = None
    maker_fee_rate: Annotated[Decimal | None, NOT_NEGATIVE] = None
    taker_fee_rate: Annotated[Decimal | None, NOT_NEGATIVE] = None
    self_trade_prevention: Annotated[str | None, one_of(SelfTradePrevention)] = None
    status: Annotated[str | None, one_of(MarketStatus)] = None


class NewMarketForm(MarketChangeForm):
    """A new market."""

    symbol: Annotated[str, text(SYMBOL_PATTERN, 33)]
    base: Annotated[str, text(ASSET_PATTERN, 16)]
    quote: Annotated[str, text(ASSET_PATTERN, 16)]
    tick_size: Annotated[Decimal, POSITIVE]
    lot_size: Annotated[Decimal, POSITIVE]
