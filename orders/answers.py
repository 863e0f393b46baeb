"""Orders as clients see them, over REST and in the events of the stream of a user's own orders."""

from typing import Annotated, Literal, NotRequired

from typing_extensions import TypeAliasType, TypedDict

from balances.answers import Balance
from base.web.openapi.refusals import ErrorCode, ErrorStatus, RefusalData
from base.web.rules import one_of
from base.web.values import Amount, Count, Id, Instant, SignedAmount, described, text_like
from core import types as core
from markets.answers import AssetCode, Sequence, Symbol, TradeId
from users.answers import Limits

CLIENT_ORDER_ID_PATTERN = r"[A-Za-z0-9._:-]{1,64}"
ClientOrderId = Annotated[
    str, text_like(CLIENT_ORDER_ID_PATTERN, "The client's own key, unique per user for ever.", "bot-1")
]
Side = Annotated[str, one_of(core.Side)]
OrderStatus = TypeAliasType("OrderStatus", Annotated[str, one_of(core.Status)])
Reason = TypeAliasType(
    "Reason", Annotated[str, one_of(core.Reason), described("Why an order was closed before all of it was filled.")]
)
Role = Annotated[Literal["MAKER", "TAKER"], described("MAKER was resting, TAKER arrived.")]


class OrderFields(TypedDict):
    """What an order asks for. Of a plain order it never changes."""

    orderId: Id
    clientOrderId: ClientOrderId | None
    userId: Id
    symbol: Symbol
    side: Side
    type: Annotated[str, one_of(core.OrderType)]
    timeInForce: Annotated[str, one_of(core.TimeInForce), described("Of a MARKET order: IOC.")]
    postOnly: bool
    price: Annotated[Amount | None, described("Null of a MARKET order.")]
    quantity: Annotated[Amount | None, described("Null of a MARKET BUY by budget.")]
    quoteQuantity: Annotated[Amount | None, described("The budget of a MARKET BUY.")]
    stopPrice: Annotated[
        Amount | None, described("The last price that triggers it; of a TRAILING_STOP where it stands now.")
    ]
    trailingOffset: Annotated[Amount | None, described("How far a TRAILING_STOP follows the last price.")]
    triggeredAt: Annotated[Instant | None, described("When its stop price was reached.")]
    displayQuantity: Annotated[Amount | None, described("How much of an iceberg the book shows at a time.")]
    expiresAt: Annotated[Instant | None, described("When a GTD order is closed.")]
    groupId: Annotated[Id | None, described("Of two orders of which one cancels the other.")]
    placedBy: Annotated[Id | None, described("The operator who placed it for its user; null: the user.")]
    correlationId: str
    createdAt: Instant


class Progress(TypedDict):
    """How far an order got."""

    filledQuantity: Amount
    remainingQuantity: Annotated[Amount | None, described("What was neither filled nor prevented.")]
    preventedQuantity: Annotated[Amount, described("What self-trade prevention took off it.")]
    filledQuote: Annotated[Amount, described("What its fills came to in quote, exactly.")]
    averagePrice: Annotated[Amount | None, described("filledQuote by filledQuantity, to 16 significant digits.")]


class _OrderState(OrderFields, Progress):
    """What an order and an event of its stream have in common."""

    status: OrderStatus
    reason: Reason | None
    active: Annotated[bool, described("Whether it can still trade.")]
    updatedAt: Instant
    closedAt: Instant | None


class Order(_OrderState):
    """An order's full state."""

    sequence: Annotated[Sequence | None, described("Its time priority; null until its worker took it up.")]


class AcceptedOrder(TypedDict):
    """Stored with its frozen funds; what becomes of it is an event."""

    orderId: Id
    clientOrderId: ClientOrderId | None
    status: Literal["PENDING"]
    message: str
    correlationId: str


class AcceptedGroup(TypedDict):
    """Two orders of which one cancels the other, stored with one reservation."""

    groupId: Id
    orders: Annotated[list[AcceptedOrder], described("The limit leg, and the stop leg.")]


class PlacedOrder(AcceptedOrder):
    """An order of a batch that was accepted; `replayed` if it had been stored before under its clientOrderId."""

    code: Literal[202]
    replayed: bool


class RefusedOrder(TypedDict):
    """An order of a batch that was refused, with what the single call's answer would have held."""

    code: ErrorStatus
    error: ErrorCode
    message: str
    data: RefusalData


BatchResult = TypeAliasType("BatchResult", PlacedOrder | RefusedOrder)


class PlacedOrders(TypedDict):
    """What became of a batch."""

    results: Annotated[list[BatchResult], described("One for each order, in the same order.")]


class ReplacingOrder(AcceptedOrder):
    """The new order, stored with what it needs beyond the old one's frozen funds."""

    replaces: Annotated[Id, described("The order that is cancelled for it.")]


class AcceptedAmend(TypedDict):
    """The amend is stored; the outcome is an event."""

    orderId: Id
    status: OrderStatus
    message: str


class AcceptedCancel(TypedDict):
    """The cancel is stored; the outcome is an event."""

    orderId: Id
    status: OrderStatus
    message: str


class CancelResult(TypedDict):
    """What became of one cancel of a batch, which is named as it was asked for; with `error` it was refused."""

    orderId: NotRequired[Id]
    clientOrderId: NotRequired[ClientOrderId]
    code: Literal[202, 404, 409]
    error: NotRequired[ErrorCode]
    message: str


class CancelResults(TypedDict):
    """What became of a batch of cancels."""

    results: Annotated[list[CancelResult], described("One for each, the ids first, then the keys, as they were sent.")]


class DeadManSwitch(TypedDict):
    """When all open orders are cancelled, or those of the market that was named."""

    triggersAt: Annotated[Instant | None, described("By the database's clock; null once it is disarmed.")]


class AcceptedCancels(TypedDict):
    """How many orders will be cancelled."""

    cancelled: Annotated[Count, described("So many cancels were accepted.")]


class Fill(TypedDict):
    """An order's half of a trade."""

    tradeId: TradeId
    orderId: Id
    symbol: Symbol
    side: Side
    role: Role
    price: Amount
    quantity: Amount
    fee: Annotated[SignedAmount, described("Below zero: a maker's rebate.")]
    feeCurrency: AssetCode
    createdAt: Instant


class OrderEvent(TypedDict):
    """One step of an order's timeline."""

    eventId: TradeId
    sequence: Sequence
    status: OrderStatus
    filledQuantity: Amount
    reason: Reason | None
    createdAt: Instant


class QueueLevel(TypedDict):
    """The price of a resting order in the book."""

    price: Amount
    quantity: Annotated[Amount, described("What is visible at the price, the order's own included.")]
    orderCount: Count
    ahead: Annotated[Amount, described("Of that, what would trade before the order.")]


class QueuePlace(TypedDict):
    """What is visible of that which would trade before a resting order."""

    ahead: Annotated[Amount, described("At better prices, and before it at its own.")]
    aheadOrders: Count
    level: QueueLevel
    capped: NotRequired[Annotated[bool, described("True where more stand there than are counted.")]]


class LastTrade(TypedDict):
    """With a fill: this order's half of the trade."""

    tradeId: TradeId
    price: Amount
    quantity: Amount
    role: Role
    fee: Annotated[SignedAmount, described("Below zero: a maker's rebate.")]
    feeCurrency: AssetCode


Position = Annotated[
    str,
    text_like(
        "[!-~]{1,4000}",
        "An opaque position over all markets. Sent back as Last-Event-ID, as it came, it replays what came after, at"
        " least once.",
        "BTC-USD-17,ETH-USD-4",
    ),
]


class OrderStatusUpdate(_OrderState):
    """The order's full state as of one step."""

    sequence: Annotated[Sequence, described("The event's.")]
    eventId: TradeId
    lastTrade: NotRequired[LastTrade]


class OrderStatusUpdateEvent(TypedDict):
    """The order's full state as of one step, so that to apply it twice is harmless."""

    event: Literal["order-status-update"]
    data: OrderStatusUpdate
    id: Position


class Connected(TypedDict):
    userId: Id


class ConnectedEvent(TypedDict):
    """The first. Without Last-Event-ID its id is the position behind the newest events."""

    event: Literal["connected"]
    data: Connected
    id: NotRequired[Position]


class OrdersReset(TypedDict):
    reason: Literal["TOO_MANY_MISSED", "UNKNOWN_EVENT"]


class OrdersResetEvent(TypedDict):
    """Events may have been missed: read REST again, and go on from its id."""

    event: Literal["stream-reset"]
    data: OrdersReset
    id: Position


class Account(TypedDict):
    """The caller's account as a whole."""

    userId: Id
    username: str
    balances: list[Balance]
    limits: Limits
    openOrders: Annotated[Count, described("Over all markets.")]


class Ticket(TypedDict):
    """Opens one stream."""

    ticket: str
    expiresIn: Count


class StreamStats(TypedDict):
    """How many users have how many streams open."""

    totalUsers: Count
    totalConnections: Count
