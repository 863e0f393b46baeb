"""The stream of a user's own orders: who may open it, what it sends, and how a client catches up."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from base.streams import Message, publish
from base.streams.bookmark import Bookmark, read_bookmark
from base.streams.gap_detector import Position
from base.streams.hub import HasAll
from base.streams.messages import RESET, split_id
from base.streams.publisher import Write
from base.streams.request import StreamRequest
from base.streams.signin import Permit, account_named, sign_in
from base.streams.threads import Shared
from base.web.keys.scopes import READ
from base.web.queries import LAST_EVENT_ID, OLD_USER_ID, TICKET_PARAMETER
from markets.models import Trade
from orders import catch_up
from orders.models import OrderEvent
from orders.powers import VIEW_PERMISSION
from orders.representation import ORDER_STATUS_UPDATE, from_rows, order_channel

# What the query string of the stream may hold.
PARAMETERS = (TICKET_PARAMETER, LAST_EVENT_ID, OLD_USER_ID)


def publish_updates(updates: Iterable[Message], ahead: Sequence[Message] = (), writes: Sequence[Write] = ()) -> None:
    """Publish order updates to the open streams of their owners. The worker calls this after its commit.

    `ahead`: the batch's other messages, in the same round trip. They come first because the gap detector counts order
    events alone: a process that received the last order event of a batch has then received all of the batch.
    `writes`: what the cache keeps of the batch. They come before all messages, so that a client that has received a
    message finds there what belongs to it.
    """
    publish(chain(ahead, updates), writes)


class OrderEventLog:
    """The order events as the streams' event log: one log for each market."""

    def position(self) -> Position:
        return catch_up.current_position()

    def channels_between(self, log: str, first: int, last: int) -> list[str]:
        events = OrderEvent.objects.filter(market_id=log, sequence__range=(first, last))
        return [order_channel(user_id) for user_id in events.values_list("user_id", flat=True).distinct().order_by()]


_shared_position = Shared(catch_up.current_position)


class OrderFeed:
    """What one stream sends of a user's orders. Everything up to `_position` was sent, or came before the stream.

    `_received` goes beyond it where everything in between was received. `_bookmark` is what the client has.
    """

    def __init__(self, user_id: int, last_event_id: str | None, permit: Permit) -> None:
        self.user_id = user_id
        self.channels = frozenset({order_channel(user_id)})
        self.permit = permit
        self._last_event_id = last_event_id
        self._position = Position()
        self._received: dict[str, int] = {}
        self._bookmark = Bookmark({})

    def opening(self, since: float) -> list[Message]:
        """`connected`, then the events after the last one that the client received."""
        self._position = _shared_position.read(since)
        if self._last_event_id is None:
            return [self._connected(self._newest())]
        try:
            events = catch_up.missed_events(self.user_id, self._last_event_id)
        except (catch_up.UnknownEvent, catch_up.TooManyMissed) as reason:
            return [self._connected(None), self._reset(reason)]
        self._bookmark = self._bookmark_of(self._last_event_id)
        return [self._connected(None), *stored_updates(events)]

    def missed(self, since: float) -> list[Message]:
        newest = _shared_position.read(since)
        try:
            messages = stored_updates(catch_up.events_between(self.user_id, self._position, newest))
        except (catch_up.UnknownEvent, catch_up.TooManyMissed) as reason:
            self._position = newest
            messages = [self._reset(reason)]
        self._position = newest
        return messages

    def confirm(self, position: Position) -> None:
        if position.read_at > self._position.read_at:
            self._position = position

    def is_new(self, kind: str, data: str) -> bool:
        return True

    def bookmark(self, kind: str, message_id: str, has_all: HasAll | None) -> str:
        place = split_id(message_id)
        if kind != ORDER_STATUS_UPDATE or place is None:
            # Of a greeting or a reset: from here on the client has all that it needs.
            self._bookmark = self._bookmark_of(message_id)
            return message_id
        log, sequence = place
        settled = max(self._position.newest.get(log, 0), self._received.get(log, 0))
        if has_all is not None and (sequence <= settled or has_all(log, settled, sequence)):
            self._received[log] = max(settled, sequence)
            self._bookmark.move(log, sequence)
        return self._bookmark.text(log)

    def _connected(self, event_id: str | None) -> Message:
        """With an id, so that a client which is cut off before its first event can catch up from there."""
        return self._message("connected", {"userId": self.user_id}, event_id)

    def _reset(self, reason: Exception) -> Message:
        """With the id to go on from, because with the old one each reconnection would end in a reset again."""
        data = {"reason": "TOO_MANY_MISSED" if isinstance(reason, catch_up.TooManyMissed) else "UNKNOWN_EVENT"}
        return self._message(RESET, data, self._newest())

    def _newest(self) -> str:
        """The bookmark of a client that needs nothing from before."""
        return Bookmark(catch_up.newest_numbers(self.user_id), self._position.lineage).text()

    def _bookmark_of(self, text: str) -> Bookmark:
        return Bookmark(read_bookmark(text) or {}, self._position.lineage)

    def _message(self, kind: str, data: dict[str, Any], event_id: str | None) -> Message:
        return Message(order_channel(self.user_id), kind, data, event_id)


def stored_updates(events: Sequence[OrderEvent]) -> list[Message]:
    """The order updates of stored events."""
    trades: dict[tuple[str, int], Trade] = {}
    for symbol in {event.market_id for event in events}:
        numbers = [event.trade_sequence for event in events if event.market_id == symbol and event.trade_sequence]
        for trade in Trade.objects.filter(market_id=symbol, sequence__in=numbers):
            trades[symbol, trade.sequence] = trade
    return from_rows(events, trades)


def open_order_feed(request: StreamRequest) -> OrderFeed:
    """Sign the caller in and open the feed of the account's own orders. The client cannot choose a channel.

    Raises NotAuthenticated, TooManyRequests, ScopeRequired, NotYourAccount, PermissionRequired, UserNotFound.
    """
    user, permit = sign_in(request)
    request.meter.count(user)
    user.admit(READ)
    user_id = account_named(user, request.query.get("userId"), VIEW_PERMISSION)
    permit.open(order_channel(user_id))
    if user_id != user.pk:
        permit = replace(permit, power=VIEW_PERMISSION)
    return OrderFeed(user_id, request.last_event_id, permit)
