"""What ccxt has to know before the first call: addresses, what there is, the calls of the API, and refusals."""

from typing import Any

from ccxt.base import errors
from ccxt.base.decimal_to_precision import TICK_SIZE
from ccxt.base.types import Entry

# The calls of docs/api.md that a trader makes, by who may make them. Each is a method of ccxt's implicit API too:
# `exchange.private_post_orders_oco({...})`.
CALLS: dict[str, dict[str, list[str]]] = {
    "public": {
        "GET": [
            *("info", "time", "markets", "markets/{symbol}", "assets", "ticker", "ticker/{symbol}"),
            *("orderbook/{symbol}", "trades/{symbol}", "klines/{symbol}"),
        ],
    },
    "private": {
        "GET": [
            *("account", "balances", "fees", "fills", "positions", "orders", "orders/{orderId}"),
            *("orders/client/{clientOrderId}", "orders/{orderId}/trades", "orders/{orderId}/events"),
            *("orders/{orderId}/queue", "balances/{userId}/{currency}/ledger"),
        ],
        "POST": [
            *("orders", "orders/batch", "orders/preview", "orders/oco", "orders/batch-cancel"),
            *("orders/cancel-all-after", "orders/{orderId}/replace"),
        ],
        "PATCH": ["orders/{orderId}"],
        "DELETE": ["orders", "orders/{orderId}", "orders/client/{clientOrderId}"],
    },
}
# Of these the wait goes into the query, in front of the body.
WAITS = ("orders",)
TIMEFRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w", "1M")
HAS = {
    "CORS": None,
    "spot": True,
    "margin": False,
    "swap": False,
    "future": False,
    "option": False,
    **dict.fromkeys(
        (
            *("cancelAllOrders", "cancelAllOrdersAfter", "cancelOrder", "cancelOrders", "createMarketBuyOrderWithCost"),
            *("createOrder", "createOrders", "createPostOnlyOrder", "createStopLimitOrder", "createStopLossOrder"),
            *("createStopMarketOrder", "createStopOrder", "createTakeProfitOrder", "createTrailingAmountOrder"),
            *("createTriggerOrder", "editOrder", "fetchBalance", "fetchBidsAsks", "fetchClosedOrders"),
            *("fetchCurrencies", "fetchMarkets", "fetchMyTrades", "fetchOHLCV", "fetchOpenOrders", "fetchOrder"),
            *("fetchOrderBook", "fetchOrderTrades", "fetchOrders", "fetchTicker", "fetchTickers", "fetchTime"),
            *("fetchTrades", "fetchTradingFee", "fetchTradingFees"),
        ),
        True,
    ),
}
EXACT = {
    error: kind
    for kind, codes in {
        errors.AuthenticationError: "NOT_AUTHENTICATED KEY_UNKNOWN KEY_EXPIRED SIGNATURE_INVALID SIGNATURE_REPLAYED",
        errors.InvalidNonce: "TIMESTAMP_OUT_OF_WINDOW",
        errors.PermissionDenied: "SCOPE_REQUIRED ADDRESS_NOT_ALLOWED NOT_YOUR_ACCOUNT STAFF_ONLY PERMISSION_REQUIRED",
        errors.AccountSuspended: "ACCOUNT_BLOCKED",
        errors.InsufficientFunds: "INSUFFICIENT_FUNDS",
        errors.BadSymbol: "MARKET_NOT_FOUND",
        errors.OrderNotFound: "ORDER_NOT_FOUND ORDER_CLOSED",
        errors.DuplicateOrderId: "CLIENT_ORDER_ID_REUSED",
        errors.MarketClosed: "MARKET_NOT_TRADING MARKET_DELISTED NOT_IN_AUCTION",
        errors.RateLimitExceeded: "TOO_MANY_REQUESTS TOO_MANY_WAITING",
        errors.ExchangeNotAvailable: "MARKET_BUSY BATCHES_BUSY UNAVAILABLE INTERNAL_ERROR",
        errors.InvalidOrder: (
            "PRICE_OUT_OF_BAND PRICE_TOO_LARGE PRICE_OFF_TICK QUANTITY_OFF_LOT QUANTITY_TOO_SMALL QUANTITY_TOO_LARGE"
            " QUOTE_QUANTITY_OFF_SCALE NOTIONAL_TOO_SMALL NOTIONAL_TOO_LARGE DISPLAY_QUANTITY_TOO_SMALL OTHER_SYMBOL"
            " DISPLAY_QUANTITY_TOO_LARGE EXPIRY_TOO_SOON LIMIT_EXCEEDED TOO_MANY_OPEN_ORDERS OCO_PRICES_CROSS IN_GROUP"
            " NOTHING_TO_AMEND QUANTITY_BELOW_FILLED ORDER_NOT_RESTING MUST_BE_POSITIVE FIELD_NOT_ALLOWED"
        ),
    }.items()
    for error in codes.split()
}


def entries() -> dict[str, Entry]:
    """The methods of the implicit API, by both spellings of their names."""
    found = {}
    for access, methods in CALLS.items():
        for method, paths in methods.items():
            for path in paths:
                words = [word for part in path.replace("{", "").replace("}", "").split("/") for word in part.split("-")]
                entry = Entry(path, access, method, {"cost": 1})
                found["_".join((access, method.lower(), *(word.lower() for word in words)))] = entry
                found[access + method.capitalize() + "".join(word[0].upper() + word[1:] for word in words)] = entry
    return found


def description(url: str) -> dict[str, Any]:
    return {
        "id": "clearbell",
        "name": "Clearbell",
        "countries": [],
        "version": "v1",
        # Ten requests a second, cancels apart from them.
        "rateLimit": 100,
        "certified": False,
        "pro": False,
        "has": HAS,
        "timeframes": {name: name for name in TIMEFRAMES},
        "urls": {"api": {"rest": url}, "www": url, "doc": f"{url}/swagger-ui.html"},
        "requiredCredentials": {"apiKey": True, "secret": True},
        "precisionMode": TICK_SIZE,
        "exceptions": {"exact": EXACT},
        "options": {
            # How long a new order waits for its outcome, in milliseconds; None: it is answered as PENDING.
            "wait": 1_000,
            "recvWindow": 5_000,
            # Of lists from a time on so many pages are read at most.
            "maxPages": 20,
            "createMarketBuyOrderRequiresPrice": False,
        },
    }
