"""The forms of the operators who open and change markets."""

from base.web.forms import Choice, DecimalText, Form, Text
from core.types import MarketStatus, SelfTradePrevention
from markets.models import ASSET_PATTERN, SYMBOL_PATTERN


class _Limits(Form):
    min_quantity = DecimalText(required=False)
    max_quantity = DecimalText(required=False)
    min_notional = DecimalText(required=False, zero=True)
    maker_fee_rate = DecimalText(required=False, zero=True)
    taker_fee_rate = DecimalText(required=False, zero=True)
    self_trade_prevention = Choice([mode.value for mode in SelfTradePrevention], required=False)
    status = Choice(list(MarketStatus), required=False)


class NewMarketForm(_Limits):
    """POST /markets."""

    symbol = Text(pattern=SYMBOL_PATTERN, limit=33)
    base = Text(pattern=ASSET_PATTERN, limit=16)
    quote = Text(pattern=ASSET_PATTERN, limit=16)
    tick_size = DecimalText()
    lot_size = DecimalText()


class MarketChangeForm(_Limits):
    """PATCH /markets/{symbol}: what orders were checked against, tick and lot, never changes."""
