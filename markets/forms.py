"""The forms of the operators who open and change markets."""

from decimal import Decimal
from typing import Annotated

from base.web.forms import Form
from base.web.rules import DecimalText, OneOf, Text
from core.types import MarketStatus, SelfTradePrevention
from markets.models import ASSET_PATTERN, SYMBOL_PATTERN


class MarketChangeForm(Form):
    """What can be changed of a market: tick and lot, which its orders were checked against, cannot."""

    min_quantity: Annotated[Decimal | None, DecimalText()] = None
    max_quantity: Annotated[Decimal | None, DecimalText()] = None
    min_notional: Annotated[Decimal | None, DecimalText(zero=True)] = None
    maker_fee_rate: Annotated[Decimal | None, DecimalText(zero=True)] = None
    taker_fee_rate: Annotated[Decimal | None, DecimalText(zero=True)] = None
    self_trade_prevention: Annotated[str | None, OneOf(SelfTradePrevention)] = None
    status: Annotated[str | None, OneOf(MarketStatus)] = None


class NewMarketForm(MarketChangeForm):
    """A new market."""

    symbol: Annotated[str, Text(SYMBOL_PATTERN, 33)]
    base: Annotated[str, Text(ASSET_PATTERN, 16)]
    quote: Annotated[str, Text(ASSET_PATTERN, 16)]
    tick_size: Annotated[Decimal, DecimalText()]
    lot_size: Annotated[Decimal, DecimalText()]
