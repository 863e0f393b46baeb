"""REST as WebSockets call it: in threads, through the same middleware and views as a request over HTTP."""

import asyncio
import functools
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.conf import settings
from django.db import close_old_connections, connections

from base.streams.socket import Socket
from base.web.authentication import SIGNED_IN, Caller
from base.web.errors import TooManyConnections

T = TypeVar("T")
Envelope = Mapping[str, Any]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class SocketUsers:
    """How many sockets each user has, and the threads that call REST for them."""

    def __init__(self, wsgi: Wsgi) -> None:
        self._wsgi = wsgi
        self._users: Counter[int] = Counter()

    def enter(self, user_id: int) -> None:
        """Raises TooManyConnections."""
        limit = settings.STREAM_MAX_PER_USER
        if self._users[user_id] >= limit:
            raise TooManyConnections(f"{limit} WebSockets are open already (user)", limit=limit, scope="user")
        self._users[user_id] += 1

    def leave(self, user_id: int) -> None:
        self._users[user_id] -= 1
        if not self._users[user_id]:
            del self._users[user_id]

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(_threads(), _outside_requests, function, *arguments)

    def call(self, caller: Caller, socket: Socket, method: str, path: str, body: Mapping[str, Any] | None) -> Envelope:
        """The answer of REST, as if the caller had sent this request over HTTP."""
        text = b"" if body is None else json.dumps(body).encode()
        peer, forwarded_for = socket.request.meter.origin
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "socket",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(text)),
            "REMOTE_ADDR": peer,
            "HTTP_HOST": socket.request.headers.get("host", ""),
            "HTTP_X_FORWARDED_FOR": forwarded_for,
            "HTTP_X_FORWARDED_PROTO": socket.request.headers.get("x-forwarded-proto", ""),
            "wsgi.input": io.BytesIO(text),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
            SIGNED_IN: (caller, None),
        }
        headers: dict[str, str] = {}
        chunks = self._wsgi(environ, lambda _status, fields, *_: headers.update(fields))
        answer: dict[str, Any] = json.loads(b"".join(chunks))
        getattr(chunks, "close", lambda: None)()
        return {**answer, "replayed": True} if headers.get("Idempotent-Replayed") else answer


def _outside_requests(function: Callable[..., T], *arguments: Any) -> T:
    """Call it with no connection that is too old or that failed, which Django sees to within requests alone."""
    close_old_connections()
    try:
        return function(*arguments)
    except BaseException:
        connections.close_all()
        raise


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.SOCKET_THREADS, thread_name_prefix="socket-request")
