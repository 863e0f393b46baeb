"""The events of an account over a WebSocket: its order updates as reports, and after them the balances that changed."""

from collections.abc import Callable
from typing import Any

import orjson
from django.db.models import Min

from balances.cache import read_balances
from balances.models import Balance
from base.streams.messages import RESET, data_text
from base.streams.open_stream import Outgoing
from base.streams.signin import Permit
from base.streams.socket import MustComeAgain, Socket
from base.streams.threads import in_thread
from base.web.authentication import Caller
from base.web.keys.scopes import READ
from binance_api.streams.reports import account_position, execution_reports, may_be_first
from binance_api.streams.source import MAY_HAVE_MISSED
from orders.feed import OrderFeed
from orders.models import Order, OrderEvent
from orders.representation import ORDER_STATUS_UPDATE


class AccountWriter:
    """`wrap` makes a frame of an event's text. `_known` are the balances that the client may know, by asset."""

    def __init__(self, user_id: int, wrap: Callable[[str], str]) -> None:
        self._user_id = user_id
        self._wrap = wrap
        self._known: dict[str, tuple[Any, Any]] = {}

    def begin(self) -> None:
        """Before the client is let in: what it reads over REST after that is no older. Reads the database."""
        self._known = self._amounts(self._owned())

    async def frames(self, messages: list[Outgoing]) -> list[str]:
        """Raises MustComeAgain after a gap that is too long to be filled: the client reads REST."""
        if any(message.type == RESET for message in messages):
            raise MustComeAgain(MAY_HAVE_MISSED)
        updates = [orjson.loads(message.data) for message in messages if message.type == ORDER_STATUS_UPDATE]
        return [self._wrap(data_text(event)) for event in await in_thread(self._events, updates)]

    def _events(self, updates: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The reports, and then what the account owns now: all that is in the reports was committed before."""
        if not updates:
            return []
        ids = {update["orderId"] for update in updates}
        modes = dict(Order.objects.filter(pk__in=ids).values_list("pk", "self_trade_prevention"))
        first = _first_of_their_orders(updates)
        reports = [
            report
            for each in updates
            for report in execution_reports(each, modes[each["orderId"]], is_first=each["eventId"] in first)
        ]
        owned = self._owned()
        before, self._known = self._known, self._amounts(owned)
        moved = [owned[code] for code, amounts in self._known.items() if before.get(code) != amounts]
        return [*reports, account_position(moved)] if moved else reports

    def _owned(self) -> dict[str, Balance]:
        return {row.currency_id: row for row in read_balances(self._user_id)}

    @staticmethod
    def _amounts(owned: dict[str, Balance]) -> dict[str, tuple[Any, Any]]:
        return {code: (row.available, row.frozen) for code, row in owned.items()}


def _first_of_their_orders(updates: list[dict[str, Any]]) -> set[str]:
    """The ids of those that may be the first event of their order and are."""
    able = [update for update in updates if may_be_first(update)]
    if not able:
        return set()
    events = OrderEvent.objects.filter(order_id__in={update["orderId"] for update in able})
    began = dict(events.values_list("order_id").annotate(Min("sequence")))
    return {update["eventId"] for update in able if began.get(update["orderId"]) == update["sequence"]}


async def follow_account(socket: Socket, name: str, caller: Caller, wrap: Callable[[str], str]) -> None:
    """Raises ScopeRequired, TooManyStreams."""
    caller.admit(READ)
    feed = OrderFeed(caller.id, None, Permit(caller.credential))
    writer = AccountWriter(caller.id, wrap)
    await in_thread(writer.begin)
    await socket.follow(name, feed, writer)
