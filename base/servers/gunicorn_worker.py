"""gunicorn's threads, which are given whole requests.

gunicorn's own worker gives a connection to a thread with its first byte, and the thread waits for the rest: as many
half-sent requests as there are threads stop everything. Here the worker's loop receives head and body, within
`REQUEST_SECONDS`, and the thread reads them from memory.
"""

import contextlib
import errno
import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ
from typing import Any

from django.conf import settings
from gunicorn import util
from gunicorn.errors import ConfigError
from gunicorn.workers.gthread import TConn, ThreadWorker

from base.servers.arrival import Arrival
from base.servers.connections import Connections, plain_answer
from base.servers.turns import Turn, Turns
from base.servers.waiting import Head, Refusal, read_head, refusal_of, sender_of
from base.web.errors import ExchangeError, HeadTooLarge, MalformedRequest, PathTooLong, RequestTimeout

RECEIVE_BYTES = 65_536
# A client that takes nothing for so long is cut off.
SEND_SECONDS = 30
# In a thread nothing is waited for, unless a reading here was wrong.
THREAD_SECONDS = 10
# A closed connection is read from so long, so that its client receives the last answer and not a reset.
LINGER_SECONDS = 2.0
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
NOTHING_THERE = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED)


# In what a client did wrong, by the status that gunicorn would answer in HTML; what is missing is read as 400.
_REFUSALS: dict[int, tuple[type[ExchangeError], str]] = {
    414: (PathTooLong, "the path and its query are too long"),
    431: (HeadTooLarge, "the head of the request is too large"),
    500: (ExchangeError, "something broke: the outcome is unknown"),
}


def _write_error(sock: socket.socket, status: int, reason: str, message: str) -> None:
    """In place of gunicorn's own, which writes a page that repeats what was sent."""
    kind, text = _REFUSALS.get(status, (MalformedRequest, "this is not HTTP as the server reads it"))
    util.write_nonblock(sock, plain_answer(kind(text)))


util.write_error = _write_error


class Connection(TConn):  # type: ignore[misc]
    """gunicorn's, which is closed by the worker's loop: gunicorn's own way would halt that loop for two seconds."""

    def __init__(self, closing: Callable[["Connection"], None], *where: Any) -> None:
        super().__init__(*where)
        self._closing = closing
        # Of the request that is at work.
        self.turn: Turn[Connection] | None = None

    def close(self, graceful: bool = False) -> None:
        self._closing(self)


class WholeRequests(ThreadWorker):  # type: ignore[misc]
    """Everything here runs in the worker's main thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # In the order in which their time is over.
        self._arriving: dict[Connection, tuple[Arrival, float]] = {}
        self._lingering: dict[Connection, float] = {}
        self._connections = Connections()
        self._turns: Turns[Connection] = Turns(self.cfg.threads)
        self._addresses: dict[Connection, str] = {}

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise ConfigError("this worker speaks no TLS: the proxy does")

    def accept(self, listener: socket.socket) -> None:
        try:
            client, where = listener.accept()
        except OSError as error:
            if error.errno not in NOTHING_THERE:
                raise
            return
        client.setblocking(False)
        connection = Connection(self._close, self.cfg, client, where, listener.getsockname())
        try:
            self._addresses[connection] = self._connections.enter(where[0] if isinstance(where, tuple) else "")
        except ExchangeError as refusal:
            _say(client, plain_answer(refusal))
            client.close()
            return
        self.nr_conns += 1
        _bound(client)
        self.enqueue_req(connection)

    def enqueue_req(self, conn: Connection) -> None:
        """The next request of the connection: what has come of it already, then what its client sends."""
        conn.sock.setblocking(False)
        self.poller.register(conn.sock, EVENT_READ, partial(self._on_readable, conn))
        self._arriving[conn] = _next_arrival()
        if conn.parser is not None and (read_ahead := conn.parser.unreader.take_buffered()):
            self._receive(conn, read_ahead)
        else:
            self._on_readable(conn, conn.sock)

    def murder_pending(self) -> None:
        """gunicorn calls this at least once a second: whose time is over is closed."""
        super().murder_pending()
        now = time.monotonic()
        while (first := next(iter(self._arriving.items()), None)) and first[1][1] <= now:
            self._is_late(first[0], first[1][0])
        while (closed := next(iter(self._lingering.items()), None)) and closed[1] <= now:
            self._gone(closed[0])
        if not self.alive:
            for conn in [conn for conn, (arrival, _) in self._arriving.items() if not arrival.is_begun]:
                self._end(conn)

    def _is_late(self, conn: Connection, arrival: Arrival) -> None:
        """Whoever sent nothing at all, as browsers do ahead of time, asked for no answer either."""
        if arrival.is_begun:
            self._refuse(conn, RequestTimeout(f"a request must have arrived within {settings.REQUEST_SECONDS} s"))
        else:
            self._end(conn)

    def _on_readable(self, conn: Connection, _: Any) -> None:
        try:
            data = conn.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._receive(conn, data)
        else:
            self._end(conn)

    def _receive(self, conn: Connection, data: bytes) -> None:
        arrival, _ = self._arriving[conn]
        try:
            arrival.receive(data)
        except ExchangeError as refusal:
            self._refuse(conn, refusal)
            return
        if arrival.is_whole:
            self._on_whole(conn, arrival)
        elif arrival.wants_continue:
            arrival.wants_continue = False
            _say(conn.sock, GO_ON)

    def _on_whole(self, conn: Connection, arrival: Arrival) -> None:
        """Refused at once, if its sender was told to wait; else it waits for a thread."""
        head = read_head(arrival.head)
        peer = conn.client[0] if isinstance(conn.client, tuple) else ""
        if head is not None and not arrival.has_more and (refusal := refusal_of(head, peer)) is not None:
            self._turns.came_too_soon(sender_of(head, peer))
            self._answer(conn, head, refusal)
            return
        self._leave_the_loop(conn)
        conn.init()
        conn.parser.unreader.unread(bytes(arrival.data))
        self._turns.wait(sender_of(head, peer), conn)
        self._serve_next()

    def _answer(self, conn: Connection, head: Head, refusal: Refusal) -> None:
        """The connection stays open, for a client that takes what it is answered."""
        is_last = not (head.is_kept and self.alive)
        text = plain_answer(refusal.error, refusal.headers, is_last=is_last)
        if _say(conn.sock, text) < len(text) or is_last:
            self._end(conn)
            return
        del self._arriving[conn]
        self._arriving[conn] = _next_arrival()

    def _serve_next(self) -> None:
        while (turn := self._turns.next()) is not None:
            turn.request.turn = turn
            super().enqueue_req(turn.request)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        assert conn.turn is not None
        self._turns.served(conn.turn)
        self._serve_next()
        super().finish_request(conn, fs)

    def _refuse(self, conn: Connection, refusal: ExchangeError) -> None:
        _say(conn.sock, plain_answer(refusal))
        self._end(conn)

    def _end(self, conn: Connection) -> None:
        self._leave_the_loop(conn)
        self.nr_conns -= 1
        conn.close()

    def _leave_the_loop(self, conn: Connection) -> None:
        del self._arriving[conn]
        self.poller.unregister(conn.sock)

    def _close(self, conn: Connection) -> None:
        """End what is sent, and read what the client still sends, because a reset would take its answer."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, EVENT_READ, partial(self._on_lingering, conn))
        except (OSError, ValueError, KeyError):
            self._gone(conn)
        else:
            self._lingering[conn] = time.monotonic() + LINGER_SECONDS

    def _on_lingering(self, conn: Connection, _: Any) -> None:
        try:
            if conn.sock.recv(RECEIVE_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._gone(conn)

    def _gone(self, conn: Connection) -> None:
        if self._lingering.pop(conn, None) is not None:
            self.poller.unregister(conn.sock)
        self._connections.leave(self._addresses.pop(conn, ""))
        conn.sock.close()


def _bound(client: socket.socket) -> None:
    """A time for whatever a thread does with the connection; gunicorn switches Python's own off."""
    for option, seconds in ((socket.SO_SNDTIMEO, SEND_SECONDS), (socket.SO_RCVTIMEO, THREAD_SECONDS)):
        client.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))


def _next_arrival() -> tuple[Arrival, float]:
    """And when its time is over."""
    return Arrival(settings.DATA_UPLOAD_MAX_MEMORY_SIZE), time.monotonic() + settings.REQUEST_SECONDS


def _say(client: socket.socket, text: bytes) -> int:
    """How much of it fitted: who does not even take this is not waited for."""
    with contextlib.suppress(OSError):
        return client.send(text)
    return 0
