"""A socket of requests: who is signed in on it, whose events it follows, and calls of REST."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

from base.streams.signin import as_now
from base.streams.socket import Socket
from base.streams.threads import in_thread
from base.web.authentication import Caller
from base.web.errors import NotAuthenticated, TooManyRequests
from base.web.keys.use import named_key
from base.web.ratelimit.addresses import client_address
from base.web.ratelimit.meter import Meter
from base.web.ratelimit.windows import LocalWindow
from binance_api.errors import Refused, missing
from binance_api.listen_keys import close_listen_key, open_listen_key, renew_listen_key
from binance_api.signing import API_KEY, OF_SIGNING, SIGNATURE, read_signed, sign_in, socket_payload
from binance_api.streams.account import follow_account
from binance_api.streams.calls import API, CALLS, Answer, Call, Rest, socket_body
from binance_api.streams.events import now_ms
from binance_api.streams.session import REQUESTS_PER_SECOND

T = TypeVar("T")
Params = dict[str, Any]
LISTEN_KEY, SUBSCRIPTION, LIMITS_WANTED = "listenKey", "subscriptionId", "returnRateLimits"
# As which a sign-in is counted.
COUNTED_AS = "/api/v1/ws"
# Of one socket.
MOST_SUBSCRIPTIONS = 20
# What a request over a socket has beside the parameters of its call.
_OF_SOCKET = (*OF_SIGNING, API_KEY, LIMITS_WANTED)
NOT_SIGNED_IN = "Invalid API-key, IP, or permissions for action."


class Users(Protocol):
    """How many sockets each user has open."""

    def enter(self, user_id: int) -> None:
        """Raises TooManyConnections."""

    def leave(self, user_id: int) -> None: ...


class RequestSession:
    """What is asked for over one socket."""

    def __init__(self, rest: Rest, users: Users, socket: Socket) -> None:
        self._socket = socket
        self._rest = rest
        self._users = users
        self._caller: Caller | None = None
        self._opened_at, self._signed_in_at = now_ms(), 0
        self._local = LocalWindow()
        self._numbers = itertools.count()
        self._followed: set[int] = set()
        self._operations: dict[str, Callable[[Params], Awaitable[Any]]] = {
            "ping": self._ping,
            "time": self._time,
            "session.logon": self._log_on,
            "session.status": self._status,
            "session.logout": self._log_out,
            "userDataStream.subscribe": self._subscribe,
            "userDataStream.subscribe.signature": self._subscribe_signed,
            "userDataStream.unsubscribe": self._unsubscribe,
            "session.subscriptions": self._subscriptions,
            "userDataStream.start": partial(self._of_listen_key, _start),
            "userDataStream.ping": partial(self._of_listen_key, _renew),
            "userDataStream.stop": partial(self._of_listen_key, _stop),
        }

    @property
    def is_following(self) -> bool:
        return bool(self._socket.followed)

    async def begin(self) -> None:
        pass

    def answered(self) -> None:
        pass

    async def leave(self) -> None:
        if self._caller is not None:
            self._users.leave(self._caller.id)

    async def answer(self, op: str, fields: dict[str, Any]) -> Mapping[str, Any]:
        params = fields.pop("params", {})
        if fields or not isinstance(params, dict):
            raise Refused(-1135, "Invalid JSON Request")
        if op in CALLS:
            # Not broken off with the connection, because an order may be stored already.
            answer = await asyncio.shield(asyncio.ensure_future(self._call(CALLS[op], _texts(params))))
            return socket_body(answer)
        operation = self._operations.get(op)
        if operation is None:
            raise Refused(-1020, "This operation is not supported.")
        params.pop(LIMITS_WANTED, None)
        return {"status": 200, "result": await operation(params)}

    async def _call(self, call: Call, texts: dict[str, str]) -> Answer:
        """A call of REST, by whoever signed it, or else by the session's key."""
        path = API + call.path
        caller = None
        if call.is_signed:
            caller = await in_thread(self._caller_of, texts, call.verb, path)
        query = {name: text for name, text in texts.items() if name not in _OF_SOCKET}
        return await self._rest.ask(caller, self._socket, call.verb, path, query)

    def _caller_of(self, texts: dict[str, str], verb: str, path: str) -> Caller:
        """Raises Refused, and what the keys refuse. REST counts the request."""
        return self._signer(texts, verb, path) if SIGNATURE in texts else self._session_caller()

    async def _ping(self, params: Params) -> dict[str, Any]:
        self._count_here()
        _refuse_others(params)
        return {}

    async def _time(self, params: Params) -> dict[str, Any]:
        self._count_here()
        _refuse_others(params)
        return {"serverTime": now_ms()}

    async def _log_on(self, params: Params) -> dict[str, Any]:
        caller = await in_thread(self._counted_signer, params, opens_socket=True)
        if self._caller is None:
            self._users.enter(caller.id)
        elif self._caller.id != caller.id:
            raise Refused(-2015, "This connection is another account's: log out first.", 401)
        self._caller, self._signed_in_at = caller, now_ms()
        return self._session()

    async def _status(self, params: Params) -> dict[str, Any]:
        self._count_here()
        _refuse_others(params)
        return self._session()

    async def _log_out(self, params: Params) -> dict[str, Any]:
        """What it follows by the session's key is followed no more."""
        self._count_here()
        _refuse_others(params)
        if self._caller is not None:
            self._users.leave(self._caller.id)
            self._caller = None
            for number in list(self._followed):
                self._leave(number)
        return self._session()

    def _session(self) -> dict[str, Any]:
        key = None if self._caller is None or self._caller.key is None else self._caller.key
        return {
            "apiKey": None if key is None else key.key_id,
            "authorizedSince": None if key is None else self._signed_in_at,
            "connectedSince": self._opened_at,
            "returnRateLimits": False,
            "serverTime": now_ms(),
            "userDataStream": bool(self._followed),
        }

    async def _subscribe(self, params: Params) -> dict[str, int]:
        _refuse_others(params)
        caller = await in_thread(self._signed_in)
        number = await self._follow(caller)
        self._followed.add(number)
        return {SUBSCRIPTION: number}

    async def _subscribe_signed(self, params: Params) -> dict[str, int]:
        return {SUBSCRIPTION: await self._follow(await in_thread(self._counted_signer, params, opens_socket=False))}

    async def _follow(self, caller: Caller) -> int:
        if len(self._socket.followed) >= MOST_SUBSCRIPTIONS:
            raise Refused(-1130, f"At most {MOST_SUBSCRIPTIONS} subscriptions of one connection.")
        number = next(self._numbers)
        await follow_account(self._socket, str(number), caller, partial(_event_frame, number))
        return number

    async def _unsubscribe(self, params: Params) -> dict[str, Any]:
        """One subscription, or all of them."""
        self._count_here()
        number = params.pop(SUBSCRIPTION, None)
        _refuse_others(params)
        if number is not None and str(number) not in self._socket.followed:
            raise Refused(-1130, "There is no such subscription.")
        for name in [str(number)] if number is not None else list(self._socket.followed):
            self._leave(int(name))
        return {}

    def _leave(self, number: int) -> None:
        self._followed.discard(number)
        if str(number) in self._socket.followed:
            self._socket.leave_channel(str(number))

    async def _subscriptions(self, params: Params) -> list[dict[str, int]]:
        self._count_here()
        _refuse_others(params)
        return [{SUBSCRIPTION: int(name)} for name in self._socket.followed]

    async def _of_listen_key(self, do: Callable[..., dict[str, str]], params: Params) -> dict[str, str]:
        return await in_thread(self._do_with_key, do, _texts(params))

    def _do_with_key(self, do: Callable[..., dict[str, str]], texts: dict[str, str]) -> dict[str, str]:
        """By the name of a key, as over REST, or by that of the session."""
        key_id = texts.pop(API_KEY, None)
        if key_id is None:
            key = self._signed_in().key
            assert key is not None, "a session is opened by a key"
        else:
            self._count(None)
            key = named_key(key_id, client_address(*self._socket.request.meter.origin))
        listen_key = texts.pop(LISTEN_KEY, "")
        _refuse_others(texts)
        return do(key, listen_key)

    def _counted_signer(self, params: Params, *, opens_socket: bool) -> Caller:
        """Who signed the parameters, counted as one request. Raises Refused, TooManyRequests, what the keys refuse."""
        meter = Meter("GET", COUNTED_AS, *self._socket.request.meter.origin)
        try:
            caller = self._signer(_texts(params), "GET", COUNTED_AS, opens_socket=opens_socket)
            meter.count(caller)
            return caller
        finally:
            meter.count(None)

    def _signer(self, texts: dict[str, str], verb: str, path: str, *, opens_socket: bool = False) -> Caller:
        payload, address = socket_payload(texts), client_address(*self._socket.request.meter.origin)
        key_id = texts.get(API_KEY, "")
        signed = read_signed(key_id, texts, payload, address, method=verb, path=path, opens_socket=opens_socket)
        return sign_in(signed)

    def _signed_in(self) -> Caller:
        """Who is signed in; the request is counted. Raises Refused, TooManyRequests."""
        caller = self._session_caller()
        self._count(caller)
        return caller

    def _session_caller(self) -> Caller:
        """Who is signed in, as the account and the key are now. Raises Refused."""
        if self._caller is None:
            raise Refused(-2015, NOT_SIGNED_IN, 401)
        try:
            return as_now(self._caller)
        except NotAuthenticated as error:
            raise Refused(-2015, NOT_SIGNED_IN, 401) from error

    def _count(self, caller: Caller | None) -> None:
        Meter("GET", COUNTED_AS, *self._socket.request.meter.origin).count(caller)

    def _count_here(self) -> None:
        if not self._local.hit("", REQUESTS_PER_SECOND).is_let_in:
            limit = REQUESTS_PER_SECOND
            raise TooManyRequests(f"Too many requests: at most {limit} such requests a second", limit=limit)


def _start(key: Any, _: str) -> dict[str, str]:
    return {LISTEN_KEY: open_listen_key(key)}


def _renew(key: Any, listen_key: str) -> dict[str, str]:
    renew_listen_key(listen_key, key)
    return {}


def _stop(key: Any, listen_key: str) -> dict[str, str]:
    close_listen_key(listen_key, key)
    return {}


def _event_frame(number: int, text: str) -> str:
    return f'{{"subscriptionId":{number},"event":{text}}}'


def _texts(params: Params) -> dict[str, str]:
    """The parameters as they are signed. Raises Refused."""
    texts = {}
    for name, value in params.items():
        if isinstance(value, bool):
            texts[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            texts[name] = str(value)
        else:
            raise missing(name)
        if not (name + texts[name]).isascii():
            raise missing(name) if name.isascii() else Refused(-1130, "Names of parameters are ASCII.")
    return texts


def _refuse_others(params: Mapping[str, Any]) -> None:
    if params:
        raise Refused(-1101, f"Too many parameters; expected '0' and received '{len(params)}'.")
