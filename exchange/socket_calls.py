"""REST as WebSockets call it: in threads, through the same middleware and views as a request over HTTP."""

import asyncio
import functools
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

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
        answer = self.request(socket, method, path, text, {SIGNED_IN: (caller, None)})
        told: dict[str, Any] = {"replayed": True} if answer.headers.get("Idempotent-Replayed") else {}
        # What the sandbox did to it is a header over HTTP.
        if fault := answer.headers.get("X-Sandbox-Fault"):
            told["sandboxFault"] = fault
        return {**answer.body, **told}

    def request(self, socket: Socket, method: str, path: str, body: bytes, more: Mapping[str, Any]) -> "Answer":
        """What REST answers. `more` stands in the environment of the request."""
        peer, forwarded_for = socket.request.meter.origin
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "socket",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": peer,
            "HTTP_HOST": socket.request.headers.get("host", ""),
            "HTTP_X_FORWARDED_FOR": forwarded_for,
            "HTTP_X_FORWARDED_PROTO": socket.request.headers.get("x-forwarded-proto", ""),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
            **more,
        }
        head: list[Any] = []
        chunks = self._wsgi(environ, lambda status, fields, *_: head.extend((status, dict(fields))))
        text = b"".join(chunks)
        getattr(chunks, "close", lambda: None)()
        return Answer(int(head[0].partition(" ")[0]), head[1], json.loads(text))


class Answer(NamedTuple):
    """What REST answered; the body is parsed."""

    status: int
    headers: Mapping[str, str]
    body: Any


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
