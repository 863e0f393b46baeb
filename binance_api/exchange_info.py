"""What a client reads first: the markets with their filters, and the limits of the API, as they are enforced."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Max

from base.web.ratelimit.meter import Limited
from base.web.ratelimit.windows import LONGEST_SECONDS
from binance_api.representation import amount
from binance_api.symbols import binance_name
from core.money import DIGITS, MAX_AMOUNT
from core.types import MarketStatus, SelfTradePrevention
from markets.fees import Rates, rates_of
from markets.models import Market
from markets.services import public_markets
from orders.market_rules import MOST_TIPS

SPOT = "SPOT"
ORDER_TYPES = (
    *("LIMIT", "LIMIT_MAKER", "MARKET"),
    *("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"),
)
_STATUSES = {
    MarketStatus.TRADING: "TRADING",
    MarketStatus.CANCEL_ONLY: "BREAK",
    MarketStatus.HALTED: "HALT",
    MarketStatus.AUCTION: "AUCTION_MATCH",
    MarketStatus.DELISTED: "END_OF_DAY",
}
STATUSES = tuple(_STATUSES.values())
# The windows of the order counts: their seconds, and how Binance writes them.
_ORDER_WINDOWS = ((10, "SECOND", 10), (86_400, "DAY", 1))
# The band of a market is around the last trade, so the average that Binance goes by is of no minutes.
_BAND_MINUTES = 0
# The furthest from the reference price that a price may be where nothing binds it.
_NO_BAND = Decimal(1_000_000)


def market_status(market: Market) -> str:
    return _STATUSES[MarketStatus(market.status)]


def rate_limits() -> list[dict[str, Any]]:
    """The limit of requests, which every call is counted by, for each account or address."""
    limit: int | None = settings.RATE_LIMIT
    if not limit:
        return []
    seconds = int(LONGEST_SECONDS)
    return [{"rateLimitType": "RAW_REQUESTS", "interval": "SECOND", "intervalNum": seconds, "limit": limit * seconds}]


def order_limits(caller: Limited, counts: Iterable[int]) -> list[dict[str, Any]]:
    """How many orders the caller may place in all: one with each request, as often as requests are let in."""
    limit = settings.RATE_LIMIT if caller.rate_limit is None else caller.rate_limit
    if not limit:
        return []
    return [
        {
            "rateLimitType": "ORDERS",
            "interval": interval,
            "intervalNum": number,
            "limit": limit * seconds,
            "count": count,
        }
        for (seconds, interval, number), count in zip(_ORDER_WINDOWS, counts, strict=False)
    ]


def symbol_info(market: Market) -> dict[str, Any]:
    return {
        "symbol": binance_name(market.symbol),
        "status": market_status(market),
        "baseAsset": market.base_id,
        "baseAssetPrecision": DIGITS,
        "quoteAsset": market.quote_id,
        "quotePrecision": DIGITS,
        "quoteAssetPrecision": DIGITS,
        "baseCommissionPrecision": market.base.scale,
        "quoteCommissionPrecision": market.quote.scale,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters(market),
        "permissions": [],
        "permissionSets": [[SPOT]],
        "defaultSelfTradePreventionMode": market.self_trade_prevention,
        "allowedSelfTradePreventionModes": [mode.value for mode in SelfTradePrevention],
    }


def filters(market: Market) -> list[dict[str, Any]]:
    """The rules of a market by their names there. A rule that it does not have is left out."""
    lots = {
        "minQty": amount(market.min_quantity),
        "maxQty": amount(market.max_quantity),
        "stepSize": amount(market.lot_size),
    }
    found: list[dict[str, Any]] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": amount(market.tick_size),
            "maxPrice": amount(MAX_AMOUNT // market.tick_size * market.tick_size),
            "tickSize": amount(market.tick_size),
        },
        {"filterType": "LOT_SIZE", **lots},
        {"filterType": "MARKET_LOT_SIZE", **lots},
        {"filterType": "ICEBERG_PARTS", "limit": MOST_TIPS},
        {
            "filterType": "NOTIONAL",
            "minNotional": amount(market.min_notional),
            "applyMinToMarket": True,
            "maxNotional": amount(market.max_notional),
            "applyMaxToMarket": True,
            "avgPriceMins": 0,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": market.max_open_orders},
    ]
    if market.price_band is not None:
        found.append(_band(market.price_band))
    return found


def _band(band: Decimal) -> dict[str, Any]:
    """It binds the side on which an order takes: a BUY from above, a SELL from below."""
    return {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": amount(1 + band),
        "bidMultiplierDown": amount(Decimal(0)),
        "askMultiplierUp": amount(_NO_BAND),
        "askMultiplierDown": amount(1 - band),
        "avgPriceMins": _BAND_MINUTES,
    }


def account_rates(user_id: int) -> Rates:
    """The highest rates that the user pays in any market that is listed."""
    highest = public_markets().order_by().aggregate(maker=Max("maker_fee_rate"), taker=Max("taker_fee_rate"))
    as_market = Market(maker_fee_rate=highest["maker"] or Decimal(0), taker_fee_rate=highest["taker"] or Decimal(0))
    return rates_of(user_id, as_market)


def commission_rates(user_id: int, market: Market) -> dict[str, str]:
    """Those of the user's new orders in the market: who buys and who sells pays nothing beside them."""
    rates = rates_of(user_id, market)
    return {"maker": amount(rates.maker), "taker": amount(rates.taker), "buyer": amount(None), "seller": amount(None)}
