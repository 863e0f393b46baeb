"""Markets as clients see them, and the values that name something of a market."""

from typing import Annotated

from pydantic import Field, WithJsonSchema, WrapValidator
from typing_extensions import TypedDict

from base.web.rules import one_of
from base.web.values import Amount, Answer, Count, Instant, SignedAmount, described, text_like
from core.types import FeeCurrency, MarketStatus, SelfTradePrevention
from markets.models import ASSET_PATTERN, SYMBOL_PATTERN

Symbol = Annotated[str, text_like(SYMBOL_PATTERN, "The symbol of a market.", "BTC-USD")]
AssetCode = Annotated[str, text_like(ASSET_PATTERN, "The code of an asset.", "BTC")]
TradeId = Annotated[str, text_like(rf"{SYMBOL_PATTERN}-[0-9]+", "Symbol and sequence.", "BTC-USD-17")]
Sequence = Annotated[
    int,
    WithJsonSchema(
        {
            "type": "integer",
            "minimum": 0,
            "format": "int64",
            "description": "The market's own number; it only rises.",
        }
    ),
]


class Asset(Answer):
    """What a user can own."""

    code: AssetCode
    scale: Annotated[Count, described("The digits after the point in which it is counted.")]
    supply: Annotated[Amount, described("What was deposited, less what was withdrawn.")]


class FeeTier(TypedDict):
    """A level of fees, and how much one has to trade for it."""

    tier: Count
    makerFeeRate: SignedAmount
    takerFeeRate: Amount
    volume: Annotated[Amount, described("To be traded in 30 days.")]
    volumeLacking: Annotated[Amount, described("What is lacking of that.")]
    volumeCurrency: Annotated[AssetCode, described("The asset in which all volumes are counted.")]


class Fees(TypedDict):
    """What the caller pays in a market."""

    symbol: Symbol
    makerFeeRate: Annotated[SignedAmount, described("Below zero: a rebate of the taker's fee.")]
    takerFeeRate: Amount
    feeCurrency: Annotated[str, one_of(FeeCurrency)]
    tier: Annotated[Count | None, described("Null: the market's own rates.")]
    nextTier: Annotated[FeeTier | None, described("The next that volume brings. Null: there is none.")]


class Market(Answer):
    """What is traded, in which steps, at which fees."""

    symbol: Symbol
    base: AssetCode = Field(validation_alias="base_id")
    quote: AssetCode = Field(validation_alias="quote_id")
    tick_size: Amount
    lot_size: Amount
    min_quantity: Amount
    max_quantity: Amount
    min_notional: Amount
    max_notional: Amount
    price_band: Annotated[
        Amount | None,
        WrapValidator(lambda value, read: None if value is None else read(value)),
        described(
            "How far from the reference price a taker may trade, as a fraction of it; null: as far as its limit."
        ),
    ]
    max_open_orders: Annotated[Count, described("How many open orders a user may have in the market.")]
    maker_fee_rate: Annotated[SignedAmount, described("Below zero: the maker gets a rebate of the taker's fee.")]
    taker_fee_rate: Amount
    fee_currency: Annotated[
        str, one_of(FeeCurrency), described("QUOTE: buyers pay in the quote asset too, and not in what they receive.")
    ]
    self_trade_prevention: Annotated[str, one_of(SelfTradePrevention)]
    status: Annotated[str, one_of(MarketStatus)]
    simulated_fates: Annotated[
        bool,
        described("In a sandbox: whether a clientOrderId may order the fate of its order: sim-fill, sim-reject..."),
    ]


class ServerTime(TypedDict):
    serverTime: Instant
