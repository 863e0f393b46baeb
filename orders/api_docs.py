"""Orders, as the API's description tells of them."""

from typing import Any

from base.web.errors import (
    ClientOrderIdReused,
    InsufficientFunds,
    MarketBusy,
    MarketNotFound,
    MarketNotTrading,
    NotYourAccount,
    OrderClosed,
    OrderNotFound,
    UserNotFound,
)
from base.web.openapi.operations import OLD_USER_ID, Call, Query, Who, describe
from base.web.openapi.refusals import REFUSED_ITEM
from base.web.openapi.shapes import (
    AMOUNT,
    COUNT,
    FLAG,
    ID,
    INSTANT,
    TEXT,
    Schema,
    Shape,
    list_of,
    matching,
    nullable,
    record,
    word,
)
from core.types import OrderType, Reason, Side, Status, TimeInForce
from markets.api_docs import ASSET, SEQUENCE, SYMBOL, TRADE_ID
from orders.forms import CLIENT_ORDER_ID_PATTERN, BatchForm, OrderForm

TAG, STREAMS = "orders", "streams"
ORDER_PATH = {"order_id": ID}
KEY: Schema = matching(CLIENT_ORDER_ID_PATTERN, "The client's own key, unique per user for ever.", examples=["bot-1"])
STATUS = Shape("OrderStatus", word(*Status))
REASON = Shape("Reason", word(*Reason, text="Why an order was closed before all of it was filled."))
ROLE = word("MAKER", "TAKER", text="MAKER was resting, TAKER arrived.")
# The same over REST and in the events of the stream.
ORDER_FIELDS: dict[str, Any] = {
    "orderId": ID,
    "clientOrderId": nullable(KEY),
    "userId": ID,
    "symbol": SYMBOL,
    "side": word(*Side),
    "type": word(*OrderType),
    "timeInForce": word(*TimeInForce, text="Of a MARKET order: IOC."),
    "postOnly": FLAG,
    "price": nullable(AMOUNT, "Null of a MARKET order."),
    "quantity": nullable(AMOUNT, "Null of a MARKET BUY by budget."),
    "quoteQuantity": nullable(AMOUNT, "The budget of a MARKET BUY."),
    "filledQuantity": AMOUNT,
    "remainingQuantity": nullable(AMOUNT),
    "averagePrice": nullable(AMOUNT),
    "status": STATUS,
    "reason": nullable(REASON),
    "active": {**FLAG, "description": "Whether it can still trade."},
    "sequence": nullable(SEQUENCE, "Its time priority; null until its worker took it up. Of an event: the event's."),
    "correlationId": TEXT,
    "createdAt": INSTANT,
    "updatedAt": INSTANT,
    "closedAt": nullable(INSTANT),
}
ORDER = Shape("Order", record(ORDER_FIELDS))
_ACCEPTED: dict[str, Any] = {
    "orderId": ID,
    "clientOrderId": nullable(KEY),
    "status": word(Status.PENDING),
    "message": TEXT,
    "correlationId": TEXT,
}
ACCEPTED = Shape(
    "AcceptedOrder", record(_ACCEPTED, text="Stored with its frozen funds; what becomes of it is an event.")
)
RESULT = Shape(
    "BatchResult",
    {
        "oneOf": [
            Shape("PlacedOrder", record({"code": {"const": 202}, **_ACCEPTED, "replayed": FLAG})),
            REFUSED_ITEM,
        ]
    },
)
FILL = Shape(
    "Fill",
    record(
        {
            "tradeId": TRADE_ID,
            "orderId": ID,
            "symbol": SYMBOL,
            "side": word(*Side),
            "role": ROLE,
            "price": AMOUNT,
            "quantity": AMOUNT,
            "fee": AMOUNT,
            "feeCurrency": ASSET,
            "createdAt": INSTANT,
        },
        text="An order's half of a trade.",
    ),
)
STEP = Shape(
    "OrderEvent",
    record(
        {
            "eventId": TRADE_ID,
            "sequence": SEQUENCE,
            "status": STATUS,
            "filledQuantity": AMOUNT,
            "reason": nullable(REASON),
            "createdAt": INSTANT,
        },
        text="One step of an order's timeline.",
    ),
)
_LIMIT = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "30000", "quantity": "0.5"}
_BY_QUANTITY = {"symbol": "BTC-USD", "side": "BUY", "type": "MARKET", "quantity": "0.5"}
_BY_BUDGET = {"symbol": "BTC-USD", "side": "BUY", "type": "MARKET", "quoteQuantity": "500"}

PLACE_ORDER = describe(
    Call(
        id="placeOrder",
        tag=TAG,
        summary="Place an order",
        text=(
            "202 means that the order and its frozen funds are stored; what becomes of it is an event. `price` is for"
            " LIMIT and required there, `timeInForce` and `postOnly` are for LIMIT, `postOnly` for GTC alone;"
            " `quantity` is required but for a MARKET BUY that gives `quoteQuantity`, a budget, in its place. The same"
            " `clientOrderId` with the same body answers as the first time."
        ),
        body=OrderForm,
        examples={"limit": _LIMIT | {"clientOrderId": "bot-1"}, "market": _BY_QUANTITY, "a budget": _BY_BUDGET},
        data=ACCEPTED,
        status=202,
        replayable=True,
        refusals=(
            *("FIELD_NOT_ALLOWED", "MARKET_NOT_FOUND", "PRICE_OFF_TICK", "PRICE_TOO_LARGE", "QUANTITY_OFF_LOT"),
            *("QUANTITY_TOO_SMALL", "QUANTITY_TOO_LARGE", "NOTIONAL_TOO_SMALL", "NOTIONAL_TOO_LARGE"),
            *("QUOTE_QUANTITY_OFF_SCALE", InsufficientFunds, NotYourAccount, UserNotFound),
            *(MarketNotTrading, ClientOrderIdReused, MarketBusy),
        ),
    )
)
PLACE_ORDERS = describe(
    Call(
        id="placeOrders",
        tag=TAG,
        summary="Place up to 100 orders",
        text=(
            "Each is accepted or refused on its own, with its own code: also what the form of an order says is told of"
            " that order alone. The answer is 202 even if all are refused."
        ),
        body=BatchForm,
        examples={"two orders": {"orders": [_LIMIT, _BY_BUDGET]}},
        data=record({"results": list_of(RESULT, "One for each order, in the same order.")}),
        status=202,
    )
)
LIST_ORDERS = describe(
    Call(
        id="listOrders",
        tag=TAG,
        summary="Own orders, newest first",
        query=(
            Query("symbol", TEXT, "Those of this market."),
            Query("status", STATUS, "Those with this status.", ("INVALID_CHOICE",)),
            Query("active", word("true", "false"), "Those that can still trade, or cannot.", ("INVALID_CHOICE",)),
            OLD_USER_ID,
        ),
        data=list_of(ORDER),
        paged=True,
    )
)
CANCEL_ORDERS = describe(
    Call(
        id="cancelOrders",
        tag=TAG,
        summary="Cancel all own open orders",
        text="Each cancel is queued behind what came before it; the outcome is an event.",
        query=(Query("symbol", SYMBOL, "Those of this market.", (MarketNotFound, "FIELD_UNKNOWN")), OLD_USER_ID),
        data=record({"cancelled": {**COUNT, "description": "So many cancels were accepted."}}),
        status=202,
    )
)
READ_ORDER = describe(
    Call(id="readOrder", tag=TAG, summary="An order", path=ORDER_PATH, data=ORDER, refusals=(OrderNotFound,))
)
READ_ORDER_BY_KEY = describe(
    Call(
        id="readOrderByKey",
        tag=TAG,
        summary="An order by the client's own key",
        path={"client_order_id": KEY},
        query=(OLD_USER_ID,),
        data=ORDER,
        refusals=(OrderNotFound,),
    )
)
CANCEL_ORDER = describe(
    Call(
        id="cancelOrder",
        tag=TAG,
        summary="Cancel an order",
        text="The cancel is queued behind what came before it; the outcome is an event.",
        path=ORDER_PATH,
        query=(OLD_USER_ID,),
        data=Shape("AcceptedCancel", record({"orderId": ID, "status": STATUS, "message": TEXT})),
        status=202,
        refusals=(OrderNotFound, OrderClosed),
    )
)
READ_FILLS = describe(
    Call(
        id="readFills",
        tag=TAG,
        summary="An order's fills, oldest first",
        path=ORDER_PATH,
        data=list_of(FILL),
        paged=True,
        refusals=(OrderNotFound,),
    )
)
READ_TIMELINE = describe(
    Call(
        id="readTimeline",
        tag=TAG,
        summary="An order's timeline, oldest first",
        path=ORDER_PATH,
        data=list_of(STEP),
        paged=True,
        refusals=(OrderNotFound,),
    )
)
ISSUE_TICKET = describe(
    Call(
        id="issueTicket",
        tag=STREAMS,
        summary="A ticket for a browser's EventSource",
        text="It opens one stream of the caller's own orders, once, within 30 seconds.",
        data=Shape("Ticket", record({"ticket": TEXT, "expiresIn": COUNT})),
        status=201,
    )
)
READ_STREAM_STATS = describe(
    Call(
        id="readStreamStats",
        tag=STREAMS,
        summary="Who is connected",
        text="Over all processes; while Redis is away, in the process that answers.",
        who=Who.STAFF,
        data=Shape("StreamStats", record({"totalUsers": COUNT, "totalConnections": COUNT})),
    )
)
