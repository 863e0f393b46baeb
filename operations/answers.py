"""What operators are answered over REST."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from base.web.values import Count, Instant, described
from marketdata.answers import TradeOfFeed
from markets.answers import Sequence
from orders.answers import OrderStatusUpdate


class KillSwitch(TypedDict):
    """What the kill switch did."""

    cancelled: Annotated[Count, described("The open orders for which a cancel was stored.")]
    blocked: Annotated[bool, described("Whether new orders of the account are refused now.")]


class CacheStats(TypedDict):
    """What one cache did and holds."""

    hits: Annotated[Count, described("Reads that it answered; of ids, those that were never issued.")]
    misses: Annotated[Count, described("Reads that went to the database.")]
    invalidations: Annotated[Count, described("Entries that writers made worthless.")]
    entries: Annotated[Count | None, described("Null where that is not known.")]
    oldestSeconds: Annotated[
        Annotated[float, Field(ge=0)] | None, described("The age of the oldest entry; null where that is not known.")
    ]


class OrderEntry(TypedDict):
    """One step of an order, of the feed for other systems."""

    id: Sequence
    event: Literal["order-status-update"]
    data: OrderStatusUpdate


class TradeEntry(TypedDict):
    """One trade, of the feed for other systems."""

    id: Sequence
    event: Literal["trade"]
    data: TradeOfFeed


class Info(TypedDict):
    """Which exchange answers."""

    name: str
    version: str
    commit: Annotated[str | None, described("Of the source; null where it is not known.")]
    startedAt: Annotated[Instant, described("When the process that answers began.")]
    mcpAllowed: Annotated[bool, described("Whether programs that send X-MCP-Client are served.")]
