"""A socket of streams: those that its address names, and those that are subscribed to over it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from base.streams.messages import data_text
from base.streams.request import StreamRequest
from base.streams.socket import COME_AGAIN, Socket
from base.streams.threads import in_thread
from base.web.authentication import Caller
from base.web.errors import TooManyRequests
from base.web.ratelimit.addresses import client_address
from base.web.ratelimit.windows import LocalWindow
from binance_api.errors import Refused
from binance_api.listen_keys import LENGTH, user_of_listen_key
from binance_api.streams.account import follow_account
from binance_api.streams.events import combined
from binance_api.streams.names import NO_LISTEN_KEY, Stream, read_name
from binance_api.streams.outbox import Outbox
from binance_api.streams.reports import listen_key_expired
from binance_api.streams.sources import Sources
from binance_api.streams.stream_frames import INVALID_REQUEST

logger = logging.getLogger(__name__)

# Streams of one socket, and names in one request.
MOST_STREAMS = 200
REQUESTS_PER_SECOND = 10
# Connections and requests of one address that read the database, in each process: clients open a connection for each
# stream, all at once when they start.
ADDRESS_PER_SECOND = 30
# So many streams more are a request more, because what some of them show at once is read from the database.
STREAMS_OF_ONE = 10


# A listen key that is over is noticed after so long.
KEY_SECONDS = 60.0


_addresses = LocalWindow()


def count_of_address(address: str, streams: int = 0) -> None:
    """Count a connection or a request that follows so many streams. Raises TooManyRequests."""
    if not _addresses.hit(address, ADDRESS_PER_SECOND, 1 + streams // STREAMS_OF_ONE).is_let_in:
        limit = ADDRESS_PER_SECOND
        raise TooManyRequests(f"Too many requests: at most {limit} a second of one address", limit=limit)


class Account(NamedTuple):
    """The account that a listen key shows, which is the name of its stream."""

    name: str
    caller: Caller


Named = Stream | Account


def read_named(name: str, request: StreamRequest) -> Named:
    """What the name stands for, for who asks. Raises Refused."""
    is_key = len(name) == LENGTH and name.isalnum()
    return Account(name, user_of_listen_key(name, client_address(*request.meter.origin))) if is_key else read_name(name)


class _Followed:
    """One stream, as one socket follows it."""

    def __init__(self, session: "StreamSession", stream: Stream) -> None:
        self._session, self.stream = session, stream

    def send(self, text: str) -> None:
        self._session.outbox.put(self._session.written(self.stream.name, text))

    def show(self, text: str, *, is_final: bool = False) -> None:
        written = self._session.written(self.stream.name, text)
        self._session.outbox.show(self.stream.name, written, is_final=is_final)

    def cut(self, reason: str) -> None:
        self._session.socket.close(COME_AGAIN, reason)


class StreamSession:
    """What is followed over one socket. `is_combined`: each event is sent with the name of its stream."""

    def __init__(self, sources: Sources, named: list[Named], is_combined: bool, socket: Socket) -> None:
        self.socket = socket
        self.outbox = Outbox(socket)
        self._sources = sources
        self._named = named
        self._is_combined = is_combined
        self._followed: dict[str, _Followed] = {}
        self._keys: dict[str, asyncio.Task[None]] = {}
        self._requests = LocalWindow()
        self._operations: dict[str, Callable[[Any], Any]] = {
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "LIST_SUBSCRIPTIONS": self._list,
            "SET_PROPERTY": self._set_property,
            "GET_PROPERTY": self._get_property,
        }

    @property
    def is_following(self) -> bool:
        return bool(self._followed or self._keys)

    def written(self, name: str, text: str) -> str:
        return combined(name, text) if self._is_combined else text

    async def begin(self) -> None:
        self.outbox.hold()
        await self._follow(self._named)

    async def answer(self, op: str, fields: dict[str, Any]) -> Mapping[str, Any]:
        if not self._requests.hit("", REQUESTS_PER_SECOND).is_let_in:
            limit = REQUESTS_PER_SECOND
            raise TooManyRequests(f"Too many requests: at most {limit} a second of one connection", limit=limit)
        operation = self._operations.get(op)
        if operation is None:
            raise Refused(INVALID_REQUEST, "Invalid request: unknown variant of field `method`")
        params = fields.pop("params", [])
        if fields or not isinstance(params, list) or len(params) > MOST_STREAMS:
            raise Refused(INVALID_REQUEST, "Invalid request: `params` must be a list, and nothing else is read")
        self.outbox.hold()
        return {"result": await operation(params)}

    def answered(self) -> None:
        self.outbox.release()

    async def leave(self) -> None:
        self.outbox.close()
        for name in (*self._followed, *self._keys):
            self._leave(name)

    async def _subscribe(self, params: list[Any]) -> None:
        names = _names(params)
        await self._follow(await in_thread(self._read_names, [name for name in names if name not in self._known]))

    @property
    def _known(self) -> list[str]:
        return [*self._followed, *self._keys]

    async def _follow(self, streams: Sequence[Named]) -> None:
        """Raises Refused, ScopeRequired, TooManyStreams, and what the database raises; then nothing is followed."""
        if len(self._known) + len(streams) > MOST_STREAMS:
            raise Refused(INVALID_REQUEST, f"Invalid request: at most {MOST_STREAMS} streams of one connection")
        try:
            for stream in streams:
                if isinstance(stream, Account):
                    await self._follow_account(stream)
                else:
                    followed = self._followed[stream.name] = _Followed(self, stream)
                    await self._sources.follow(stream, followed)
        except BaseException:
            for stream in streams:
                self._leave(stream.name)
            raise

    async def _follow_account(self, account: Account) -> None:
        name = account.name
        await follow_account(self.socket, name, account.caller, partial(self.written, name))
        self._keys[name] = asyncio.get_running_loop().create_task(self._watch(name))

    async def _watch(self, key: str) -> None:
        """Send an event when the listen key is over."""
        while True:
            await asyncio.sleep(KEY_SECONDS)
            try:
                await in_thread(read_named, key, self.socket.request)
            except Refused as refusal:
                if refusal.number == NO_LISTEN_KEY:
                    break
            except Exception as error:
                logger.warning("whether a listen key is over is not known: %r", error)
        self.outbox.put(self.written(key, data_text(listen_key_expired(key))))
        self._leave(key)

    def _read_names(self, names: list[str]) -> list[Named]:
        """Raises Refused, TooManyRequests."""
        count_of_address(self.socket.request.address, len(names))
        return [read_named(name, self.socket.request) for name in names]

    async def _unsubscribe(self, params: list[Any]) -> None:
        for name in _names(params):
            self._leave(name)

    def _leave(self, name: str) -> None:
        followed, watch = self._followed.pop(name, None), self._keys.pop(name, None)
        if followed is not None:
            self._sources.leave(followed.stream, followed)
        if watch is not None:
            watch.cancel()
            if name in self.socket.followed:
                self.socket.leave_channel(name)

    async def _list(self, _: list[Any]) -> list[str]:
        return sorted(self._known)

    async def _set_property(self, params: list[Any]) -> None:
        if len(params) != 2 or params[0] != "combined" or not isinstance(params[1], bool):
            raise Refused(INVALID_REQUEST, "Invalid request: the property is `combined`, true or false")
        self._is_combined = params[1]

    async def _get_property(self, params: list[Any]) -> bool:
        if params != ["combined"]:
            raise Refused(INVALID_REQUEST, "Invalid request: the property is `combined`")
        return self._is_combined


def _names(params: list[Any]) -> list[str]:
    if not params or not all(isinstance(name, str) for name in params):
        raise Refused(INVALID_REQUEST, "Invalid request: `params` must name streams")
    return list(dict.fromkeys(params))
