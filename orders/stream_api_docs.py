"""The stream of a user's own orders, as the API's description tells of it."""

from typing import Any

from base.streams.messages import RESET
from base.web.errors import NotAuthenticated, NotYourAccount, UserNotFound
from base.web.openapi.operations import BEARER, OLD_USER_ID, SESSION, TICKET, Event, Query, parameter, stream
from base.web.openapi.shapes import AMOUNT, ID, TEXT, Schema, record, word
from markets.api_docs import SEQUENCE, TRADE_ID
from orders.api_docs import ORDER_FIELDS, ROLE
from orders.representation import ORDER_STATUS_UPDATE

CONNECTED = "connected"
_ANY_ID: Schema = {"type": "string", "description": "Where to go on from; empty to forget the one that the client has."}
_LAST_TRADE = record(
    {"tradeId": TRADE_ID, "price": AMOUNT, "quantity": AMOUNT, "role": ROLE, "fee": AMOUNT},
    text="With a fill: this order's half of the trade.",
)
_UPDATE: dict[str, Any] = {**ORDER_FIELDS, "sequence": SEQUENCE, "eventId": TRADE_ID, "lastTrade": _LAST_TRADE}

EVENTS = {
    CONNECTED: Event(
        name=CONNECTED,
        text="The first. Without Last-Event-ID its id is that of the newest event, if there is any.",
        data=record({"userId": ID}),
        id=TRADE_ID,
    ).shape("ConnectedEvent"),
    ORDER_STATUS_UPDATE: Event(
        name=ORDER_STATUS_UPDATE,
        text=(
            "The order's full state as of one step, so that to apply it twice is harmless. Its id, `eventId`, is"
            " `SYMBOL-SEQUENCE`: sent back as Last-Event-ID it replays what came after, at least once."
        ),
        data=record(_UPDATE, optional=("lastTrade",)),
        id=TRADE_ID,
        always_with_id=True,
    ).shape("OrderStatusUpdateEvent"),
    RESET: Event(
        name=RESET,
        text="Events may have been missed: read REST again. Its id is the one to go on from.",
        data=record({"reason": word("TOO_MANY_MISSED", "UNKNOWN_EVENT")}),
        id=_ANY_ID,
        always_with_id=True,
    ).shape("OrdersResetEvent"),
}
_LAST_EVENT_ID = "The id of the event that was seen last; what came after it is sent first."
ORDER_STATUS_STREAM = stream(
    name="streamOrderStatus",
    summary="The caller's own orders, as they change",
    text=(
        "Signed in by `Authorization`, by the session cookie, or in a browser by a ticket. A keep-alive comment comes"
        " every 15 seconds; the stream ends after a while, and the client comes again with Last-Event-ID."
    ),
    security=[{BEARER: []}, {TICKET: []}, {SESSION: []}],
    parameters=[
        {"in": "header", "name": "Last-Event-ID", "schema": TEXT, "description": _LAST_EVENT_ID},
        parameter(Query("lastEventId", TEXT, f"As the header, for pages that cannot set it. {_LAST_EVENT_ID}")),
        parameter(OLD_USER_ID),
    ],
    events=list(EVENTS.values()),
    refusals=(NotAuthenticated, NotYourAccount, UserNotFound),
)
