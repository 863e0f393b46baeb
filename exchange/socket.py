"""What the operations of a WebSocket do. An order is placed and cancelled by the call of REST, in a thread."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from base.streams.frames import ChannelWriter
from base.streams.open_stream import lifetime
from base.streams.signin import Permit, as_now, sign_in
from base.streams.socket import MOST_CHANNELS, REFUSED, Socket
from base.streams.threads import in_thread
from base.web.authentication import Caller
from base.web.errors import (
    AlreadySignedIn,
    InvalidField,
    NotAuthenticated,
    TooManyRequests,
    timestamp,
)
from base.web.forms import Form, printable
from base.web.keys.scopes import READ
from base.web.ratelimit.addresses import client_network
from base.web.ratelimit.meter import Meter
from base.web.ratelimit.windows import LocalWindow
from base.web.values import parse_id
from exchange.socket_calls import Envelope, SocketUsers
from exchange.socket_forms import AuthForm, CancelForm, DisconnectForm, NothingForm, SubscribeForm, UnsubscribeForm
from marketdata.feed import DEPTH, TICKER, TRADES, open_market
from orders.accounts import cancel_named_for
from orders.feed import OrderFeed
from orders.oco import LIMIT_SUFFIX, STOP_SUFFIX
from orders.services import active_among
from users.acts import Actor

logger = logging.getLogger(__name__)

PATH = "/api/v1/ws"
ORDERS = "orders"
# What places orders, and by which call.
PLACES = {"order.place": "/api/v1/orders", "order.oco": "/api/v1/orders/oco"}
# Of the operations that are no call of REST and read nothing.
LOCAL_PER_SECOND = 10
# How many orders are remembered before those that are closed are forgotten.
REMEMBERED_ORDERS = 1000
# The pauses between the attempts to cancel the orders of a socket that is gone.
CANCEL_AGAIN_SECONDS = (1, 2, 4, 8, 15, 30)


class OrderSession:
    """One socket: who is signed in, and the orders that were placed over it."""

    def __init__(self, sockets: SocketUsers, socket: Socket) -> None:
        self._socket = socket
        self._sockets = sockets
        self._caller: Caller | None = None
        self._local = LocalWindow()
        self._cancels = False
        # By owner, because staff place orders for others too; and keys of orders that are perhaps stored.
        self._orders: dict[int, list[int]] = defaultdict(list)
        self._keys: dict[int, list[str]] = defaultdict(list)
        self._forget_at = REMEMBERED_ORDERS
        self._placing: asyncio.Future[Envelope] | None = None
        self._operations: dict[str, tuple[type[Form], Callable[[Any], Awaitable[Envelope]]]] = {
            "auth": (AuthForm, self._authenticate),
            "subscribe": (SubscribeForm, self._subscribe),
            "unsubscribe": (UnsubscribeForm, self._unsubscribe),
            "cancel-on-disconnect": (DisconnectForm, self._cancel_on_disconnect),
            "ping": (NothingForm, self._ping),
        }

    @property
    def is_following(self) -> bool:
        return bool(self._socket.followed)

    async def begin(self) -> None:
        pass

    def answered(self) -> None:
        pass

    async def answer(self, op: str, fields: dict[str, Any]) -> Envelope:
        if op in PLACES:
            # Not broken off with the connection, because the order may be stored already.
            self._placing = asyncio.ensure_future(self._place(PLACES[op], _params(fields)))
            return await asyncio.shield(self._placing)
        if op == "order.amend":
            return await self._amend(_params(fields))
        if op == "order.cancel":
            return await self._cancel(CancelForm.read(_params(fields)))
        if op not in self._operations:
            raise InvalidField("op", "OPERATION_UNKNOWN", f"there is no operation {printable(op)}")
        form, operation = self._operations[op]
        return await operation(form.read(fields))

    async def leave(self) -> None:
        """Cancel the orders of the socket, if that was asked for, however long the database is away."""
        if self._caller is None:
            return
        self._sockets.leave(self._caller.id)
        if self._placing is not None:
            await asyncio.wait({self._placing})
        if not self._cancels or not (self._orders or self._keys):
            return
        actor = Actor(self._caller.id, client_network(*self._socket.request.meter.origin), "the connection ended")
        for pause in (*CANCEL_AGAIN_SECONDS, 0):
            try:
                number = await self._sockets.in_thread(self._cancel_placed, actor)
                logger.info("a WebSocket of user %d is gone: %d of its orders are cancelled", self._caller.id, number)
                return
            except Exception as error:
                logger.warning("the orders of a WebSocket that is gone are not cancelled yet: %r", error)
                await asyncio.sleep(pause)
        logger.error("the orders of a WebSocket of user %d that is gone were not cancelled", self._caller.id)

    def _cancel_placed(self, actor: Actor) -> int:
        owners = sorted({*self._orders, *self._keys})
        return sum(cancel_named_for(owner, self._orders[owner], self._keys[owner], actor) for owner in owners)

    async def _authenticate(self, form: AuthForm) -> Envelope:
        if sum(way is not None for way in (form.token, form.ticket, form.api_key)) != 1:
            raise InvalidField("token", "FIELD_REQUIRED", "token is required, or ticket or apiKey in its place")
        caller = await in_thread(self._sign_in, form)
        if self._caller is None:
            self._sockets.enter(caller.id)
        elif self._caller.id != caller.id:
            raise AlreadySignedIn("this connection is another user's, open one more")
        self._caller = caller
        seconds = lifetime()
        self._socket.stay(seconds)
        return _envelope({"userId": caller.id, "expiresIn": int(seconds)})

    def _sign_in(self, form: AuthForm) -> Caller:
        meter = self._meter()
        try:
            request = self._socket.request.signing(token=form.token, ticket=form.ticket, key=form.signed)
            caller, _ = sign_in(request)
            meter.count(caller)
            return caller
        finally:
            meter.count(None)

    async def _subscribe(self, form: SubscribeForm) -> Envelope:
        names = _channels(form.channels)
        await in_thread(self._count)
        wanted = [name for name in names if name not in self._socket.followed]
        if len(self._socket.followed) + len(wanted) > MOST_CHANNELS:
            raise InvalidField("channels", "LIST_TOO_LONG", f"at most {MOST_CHANNELS} channels of one connection")
        opened = [await self._open(name, form.last_event_id) for name in wanted]
        begun: list[str] = []
        try:
            for name, follow in zip(wanted, opened, strict=True):
                await follow()
                begun.append(name)
        except BaseException:
            for name in begun:
                self._socket.leave_channel(name)
            raise
        return _envelope({"channels": sorted(self._socket.followed)})

    async def _open(self, name: str, last_event_id: str | None) -> Callable[[], Awaitable[None]]:
        """How the channel is followed. Raises NotAuthenticated, InvalidField, MarketNotFound."""
        if name == ORDERS:
            caller = self._signed_in()
            caller.admit(READ)
            feed = OrderFeed(caller.id, last_event_id, Permit(caller.credential))
            return partial(self._socket.follow, name, feed, ChannelWriter(name))
        kind, _, symbol = name.partition(":")
        if kind not in (DEPTH, TRADES, TICKER) or not symbol:
            known = ", ".join((ORDERS, *(f"{kind}:SYMBOL" for kind in (DEPTH, TRADES, TICKER))))
            raise InvalidField("channels", "CHANNEL_UNKNOWN", f"there is no channel {printable(name)}, but {known}")
        market = await in_thread(open_market, symbol)
        return partial(self._socket.follow, name, market, ChannelWriter(name, (kind,)))

    async def _unsubscribe(self, form: UnsubscribeForm) -> Envelope:
        self._count_here()
        for name in _channels(form.channels):
            if name in self._socket.followed:
                self._socket.leave_channel(name)
        return _envelope({"channels": sorted(self._socket.followed)})

    async def _place(self, path: str, params: dict[str, Any]) -> Envelope:
        """Both legs of a group are remembered, because the stop leg rests alone once it is triggered."""
        answer = await self._call("POST", path, params)
        owner_id = parse_id(str(params.get("userId"))) or self._signed_in().id
        if answer["code"] < 400:
            # A repeat placed nothing: its order is remembered already, or was placed elsewhere.
            if not answer.get("replayed"):
                data = answer["data"]
                self._orders[owner_id] += [each["orderId"] for each in data.get("orders", [data])]
        elif answer["code"] >= 500 and isinstance(params.get("clientOrderId"), str):
            # Perhaps it is stored all the same.
            suffixes = (LIMIT_SUFFIX, STOP_SUFFIX) if path == PLACES["order.oco"] else ("",)
            self._keys[owner_id] += [(params["clientOrderId"] + suffix)[:64] for suffix in suffixes]
        if self._remembered >= self._forget_at:
            await self._forget_closed()
        return answer

    @property
    def _remembered(self) -> int:
        return sum(map(len, self._orders.values()))

    async def _forget_closed(self) -> None:
        """If that fails, the next order tries it again: the order that was just placed is accepted all the same."""
        try:
            for owner_id, order_ids in self._orders.items():
                self._orders[owner_id] = await self._sockets.in_thread(active_among, owner_id, order_ids)
        except Exception as error:
            logger.warning("the closed orders of a WebSocket are not forgotten yet: %r", error)
        else:
            self._forget_at = 2 * self._remembered + REMEMBERED_ORDERS

    async def _cancel(self, form: CancelForm) -> Envelope:
        return await self._call("DELETE", f"/api/v1/orders/{form.order_id}", None)

    async def _amend(self, params: dict[str, Any]) -> Envelope:
        """The fields are those of REST, and the order's id."""
        order_id = CancelForm.read({"orderId": params.pop("orderId")} if "orderId" in params else {}).order_id
        return await self._call("PATCH", f"/api/v1/orders/{order_id}", params)

    async def _cancel_on_disconnect(self, form: DisconnectForm) -> Envelope:
        self._signed_in()
        self._count_here()
        self._cancels = form.enabled
        return _envelope({"enabled": form.enabled})

    async def _ping(self, _: NothingForm) -> Envelope:
        self._count_here()
        return _envelope({"serverTime": timestamp()})

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Envelope:
        caller = self._signed_in()
        try:
            return await self._sockets.in_thread(self._call_as, caller, method, path, body)
        except NotAuthenticated:
            self._socket.close(REFUSED, "signed out")
            raise

    def _call_as(self, caller: Caller, method: str, path: str, body: dict[str, Any] | None) -> Envelope:
        return self._sockets.call(as_now(caller), self._socket, method, path, body)

    def _count_here(self) -> None:
        if not self._local.hit("", LOCAL_PER_SECOND).is_let_in:
            raise TooManyRequests(f"more than {LOCAL_PER_SECOND} such operations a second", limit=LOCAL_PER_SECOND)

    def _count(self) -> None:
        """Count a request of the caller, or of the address where nobody is signed in. Raises TooManyRequests."""
        self._meter().count(None if self._caller is None else as_now(self._caller))

    def _meter(self) -> Meter:
        return Meter("GET", PATH, *self._socket.request.meter.origin)

    def _signed_in(self) -> Caller:
        if self._caller is None:
            raise NotAuthenticated("sign in first: op auth")
        return self._caller


def _params(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of an order. Raises InvalidField."""
    params = fields.pop("params", None)
    for name in fields:
        raise InvalidField(printable(name), "FIELD_UNKNOWN", f"{printable(name)} is not a field here")
    if not isinstance(params, dict):
        raise InvalidField("params", "OBJECT_REQUIRED", "params must be an object")
    return params


def _channels(named: list[str] | None) -> list[str]:
    if not named:
        raise InvalidField("channels", "LIST_EMPTY", "channels must name a channel")
    return list(dict.fromkeys(named))


def _envelope(data: Any) -> Envelope:
    return {"code": 200, "message": "OK", "data": data, "timestamp": timestamp()}
