"""Refusals as Binance's clients receive them: `{"code": -1121, "msg": "Invalid symbol."}`. ONE table, from our codes.

Clients act on the code, and some of them on the text (ccxt tells a lack of funds from other refusals by it). So a rule
of ours that Binance has too is named in Binance's words; a rule that it does not have in our own, under the code
of its kind.
"""

from dataclasses import dataclass, field
from typing import Any

from rest_framework.response import Response

from base.telemetry.access import bind_log_fields
from base.web.answers import as_refusal
from base.web.errors import ExchangeError, InvalidField, ValidationFailed

# A refusal's own words, where the text of a row is this.
OWN_WORDS = ""


class Refused(Exception):
    """A refusal in Binance's words. `more` stands beside `code` and `msg` in the answer."""

    def __init__(self, number: int, words: str, status: int = 400, **more: Any) -> None:
        super().__init__(words)
        self.number, self.words, self.status, self.more = number, words, status, more


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of one of our codes: Binance's code, its text, the status. An empty text is the refusal's own."""

    number: int
    words: str = OWN_WORDS
    status: int = 400


def _filter(name: str) -> Row:
    return Row(-1013, f"Filter failure: {name}")


_UNAUTHORIZED = Row(-2015, "Invalid API-key, IP, or permissions for action.", 401)
NO_FUNDS = "Account has insufficient balance for requested action."
NO_ORDER = "Order does not exist."
UNKNOWN_ORDER = "Unknown order sent."
DUPLICATE = "Duplicate order sent."
CLOSED_MARKET = "Market is closed."
WOULD_TAKE = "Order would immediately match and take."
WOULD_TRIGGER = "Order would trigger immediately."
CROSSING = "The relationship of the prices for the orders is not correct."
DISABLED = "This action is disabled on this account."
BAD_KEY = "API-key format invalid."
BAD_SIGNATURE = "Signature for this request is not valid."
LATE = "Timestamp for this request is outside of the recvWindow."
AHEAD = "Timestamp for this request was 1000ms ahead of the server's time."

# By our code. Whatever is not named goes by its status: see `_by_status`.
TABLE: dict[str, Row] = {
    # Who asks.
    "NOT_AUTHENTICATED": Row(-2014, BAD_KEY, 401),
    "KEY_UNKNOWN": _UNAUTHORIZED,
    "KEY_EXPIRED": _UNAUTHORIZED,
    "ADDRESS_NOT_ALLOWED": _UNAUTHORIZED,
    "SCOPE_REQUIRED": _UNAUTHORIZED,
    "SIGNATURE_INVALID": Row(-1022, BAD_SIGNATURE),
    "SIGNATURE_REPLAYED": Row(-1022, BAD_SIGNATURE),
    "TIMESTAMP_OUT_OF_WINDOW": Row(-1021, LATE),
    "ACCOUNT_BLOCKED": Row(-2010, DISABLED),
    # What a market asks of an order.
    "MARKET_NOT_FOUND": Row(-1121, "Invalid symbol."),
    "MARKET_NOT_TRADING": Row(-2010, CLOSED_MARKET),
    "MARKET_DELISTED": Row(-2010, CLOSED_MARKET),
    "NOT_IN_AUCTION": Row(-2010, CLOSED_MARKET),
    "PRICE_OFF_TICK": _filter("PRICE_FILTER"),
    "PRICE_TOO_LARGE": _filter("PRICE_FILTER"),
    "PRICE_OUT_OF_BAND": _filter("PERCENT_PRICE_BY_SIDE"),
    "QUANTITY_OFF_LOT": _filter("LOT_SIZE"),
    "QUANTITY_TOO_SMALL": _filter("LOT_SIZE"),
    "QUANTITY_TOO_LARGE": _filter("LOT_SIZE"),
    "NOTIONAL_TOO_SMALL": _filter("NOTIONAL"),
    "NOTIONAL_TOO_LARGE": _filter("NOTIONAL"),
    "DISPLAY_QUANTITY_TOO_SMALL": _filter("ICEBERG_PARTS"),
    "DISPLAY_QUANTITY_TOO_LARGE": Row(-2010, "IcebergQty exceeds QTY."),
    "TOO_MANY_OPEN_ORDERS": _filter("MAX_NUM_ORDERS"),
    "QUOTE_QUANTITY_OFF_SCALE": Row(-1111, "Parameter 'quoteOrderQty' has too much precision."),
    "INSUFFICIENT_FUNDS": Row(-2010, NO_FUNDS),
    "CLIENT_ORDER_ID_REUSED": Row(-2010, DUPLICATE),
    "OCO_PRICES_CROSS": Row(-2010, CROSSING),
    "LIMIT_EXCEEDED": Row(-2010),
    "SANDBOX_REJECT": Row(-2010),
    "SANDBOX_FATE_IMPOSSIBLE": Row(-2010),
    "FIELD_NOT_ALLOWED": Row(-1128),
    "FIELD_REQUIRED": Row(-1102),
    # Orders that are there.
    "ORDER_NOT_FOUND": Row(-2013, NO_ORDER),
    "ORDER_CLOSED": Row(-2011, UNKNOWN_ORDER),
    "IN_GROUP": Row(-2011),
    "OTHER_SYMBOL": Row(-2011, UNKNOWN_ORDER),
    # How much may be asked for.
    "TOO_MANY_REQUESTS": Row(-1003, status=429),
    "TOO_MANY_WAITING": Row(-1015, status=429),
    "MARKET_BUSY": Row(
        -1008, "Server is currently overloaded with other requests. Please try again in a few minutes.", 503
    ),
    "BATCHES_BUSY": Row(
        -1008, "Server is currently overloaded with other requests. Please try again in a few minutes.", 503
    ),
    "UNAVAILABLE": Row(
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        503,
    ),
    # Requests that are none.
    "MALFORMED_REQUEST": Row(-1101, "Too many parameters sent for this endpoint."),
    "MALFORMED_BODY": Row(-1102, "Mandatory parameter was not sent, was empty/null, or malformed."),
    "BODY_TOO_LARGE": Row(-1101, "Too many parameters sent for this endpoint.", 413),
    "NOT_FOUND": Row(-1020, "This operation is not supported.", 404),
    "METHOD_NOT_ALLOWED": Row(-1020, "This operation is not supported.", 405),
    "INTERNAL_ERROR": Row(-1000, "An unknown error occurred while processing the request.", 500),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A refusal as it is answered."""

    number: int
    words: str
    status: int
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        return {"code": self.number, "msg": self.words, **self.more}


def answer_of(error: ExchangeError | Refused) -> Answer:
    """The refusal in Binance's words. Of several broken rules the first counts, because Binance names one."""
    if isinstance(error, Refused):
        return Answer(error.number, error.words, error.status, error.more)
    name, words = error.error, error.message
    if isinstance(error, ValidationFailed):
        first = error.data["errors"][0]
        name, words = first["error"], first["message"]
    row = TABLE.get(name) or _by_status(error)
    return Answer(row.number, row.words or words, row.status)


def missing(name: str) -> Refused:
    """A parameter that is needed and was not sent, is empty, or is no such value."""
    return Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def _by_status(error: ExchangeError) -> Row:
    """What the table does not name, in its own words."""
    if isinstance(error, InvalidField | ValidationFailed) or error.status < 401:
        return Row(-1130)
    return Row(-1000, status=error.status)


def answer_refusal(error: Exception, _context: Any) -> Response | None:
    """The exception handler of these views. Anything that is not a refusal goes on as the defect it is."""
    refusal = error if isinstance(error, Refused) else as_refusal(error)
    if refusal is None:
        return None
    answer = answer_of(refusal)
    bind_log_fields(error=str(answer.number))
    return Response(answer.body, status=answer.status, headers=retry_headers(refusal))


def retry_headers(refusal: ExchangeError | Refused) -> dict[str, str]:
    """When the client may come again."""
    seconds = refusal.retry_after_seconds if isinstance(refusal, ExchangeError) else None
    return {} if seconds is None else {"Retry-After": str(seconds)}
