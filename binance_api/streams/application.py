"""The ASGI application of Binance's WebSockets: `/ws`, `/stream` and `/ws-api/v3`."""

from functools import partial
from urllib.parse import parse_qsl

from base.servers.asgi import Receive, Scope, Send
from base.streams.handshake import SocketApplication, SocketPlaces
from base.streams.hub import Hub
from base.streams.request import StreamRequest
from base.web.errors import InvalidField, NotAuthenticated
from binance_api.errors import Refused
from binance_api.streams import api_frames, stream_frames
from binance_api.streams.api_session import LIMITS_WANTED, RequestSession, Users
from binance_api.streams.calls import Rest
from binance_api.streams.names import NO_LISTEN_KEY
from binance_api.streams.session import MOST_STREAMS, Named, StreamSession, count_of_address, read_named
from binance_api.streams.sources import Sources

RAW, COMBINED, REQUESTS = "/ws", "/stream", "/ws-api/v3"
# As on Binance: some clients do not subscribe anew to their account's events when they have connected again.
LONGEST_SECONDS = 86_400
# That times are in milliseconds, which they always are, may be asked for.
TIME_UNIT, STREAMS = "timeUnit", "streams"


def is_socket_path(path: str) -> bool:
    return path in (RAW, COMBINED, REQUESTS) or path.startswith((RAW + "/", COMBINED + "/"))


class BinanceSockets:
    """Used from one event loop."""

    def __init__(self, hub: Hub, places: SocketPlaces, rest: Rest, users: Users) -> None:
        self._hub = hub
        self._places = places
        self._sources = Sources(hub)
        self._requests = SocketApplication(
            hub,
            partial(RequestSession, rest, users),
            places,
            frames=api_frames,
            counts=False,
            longest=LONGEST_SECONDS,
            parameters=(TIME_UNIT, LIMITS_WANTED),
            check=_count,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == REQUESTS:
            await self._requests(scope, receive, send)
            return
        is_combined = scope["path"].startswith(COMBINED)
        wanted = _Wanted(_names(scope))
        application = SocketApplication(
            self._hub,
            partial(StreamSession, self._sources, wanted.found, is_combined),
            self._places,
            frames=stream_frames,
            counts=False,
            longest=LONGEST_SECONDS,
            parameters=(STREAMS, TIME_UNIT) if is_combined else (TIME_UNIT,),
            check=wanted.read,
        )
        await application(scope, receive, send)


class _Wanted:
    """The streams that an address names."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.found: list[Named] = []

    def read(self, request: StreamRequest) -> None:
        """Raises TooManyRequests, InvalidField, and NotAuthenticated for a listen key that is none."""
        if len(self._names) > MOST_STREAMS:
            raise InvalidField(STREAMS, "LIST_TOO_LONG", f"at most {MOST_STREAMS} streams of one connection")
        count_of_address(request.address, len(self._names))
        try:
            self.found += [read_named(name, request) for name in dict.fromkeys(self._names)]
        except Refused as refusal:
            if refusal.number == NO_LISTEN_KEY:
                raise NotAuthenticated(refusal.words) from refusal
            raise InvalidField(STREAMS, "STREAM_UNKNOWN", refusal.words) from refusal


def _count(request: StreamRequest) -> None:
    count_of_address(request.address)


def _names(scope: Scope) -> list[str]:
    """What the path or the query names. A number is a name that clients give to a connection of their own (ccxt)."""
    if scope["path"].startswith(COMBINED):
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        named = query.get(STREAMS, "")
    else:
        named = scope["path"].removeprefix(RAW)
    return [name for name in named.split("/") if name and not name.isdecimal()]
