"""The API described for machines: OpenAPI 3.1, made once in each process when somebody first asks for it.

A view's method declares its call; what goes in and comes out is derived from forms and from the types of answers.
"""

from typing import Any

OPTIONS: dict[str, Any] = {
    "TITLE": "Clearbell",
    "DESCRIPTION": (
        "Orders over REST, matched by one worker per market, followed by server-sent events. Every JSON answer under"
        " `/api/v1` has the same envelope. A refusal's `error` names the rule; a 5xx means unknown, never failed:"
        " repeat with the same key. A method that is not described here is answered 405 `METHOD_NOT_ALLOWED`."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "CAMELIZE_NAMES": True,
    # In the order in which somebody new meets them.
    "TAGS": [
        {"name": "tokens", "description": "Sign in, and out. The token of a sign-in goes with every other call."},
        {"name": "markets", "description": "What everybody may see: markets, order books, trades, candles, tickers."},
        {"name": "orders", "description": "Place, preview, change, cancel and read own orders and fills."},
        {"name": "balances", "description": "What one has, what it cost, and each movement of it."},
        {"name": "streams", "description": "What happens, as it happens: own orders, and each market."},
        {"name": "users", "description": "Register; one's own account, its password and its limits."},
        {"name": "keys", "description": "Keys by which programs sign, in place of a token."},
        {"name": "sandbox", "description": "In a demo: order faults for one's own requests and streams."},
        {"name": "class", "description": "A class: its round, its leaderboard and its news."},
        {"name": "operations", "description": "For operators: whether the exchange works, and what it counts."},
    ],
    "POSTPROCESSING_HOOKS": ["exchange.contract.complete"],
}
