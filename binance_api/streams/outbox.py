"""What waits to be sent to one socket that follows streams."""

import asyncio
import logging
from collections import deque

from django.conf import settings

from base.streams.socket import COME_AGAIN, REFUSED, Socket

logger = logging.getLogger(__name__)

TOO_SLOW = "too slow: more waits for this connection than is kept"


class _Waiting:
    """A frame; its text is renewed where a newer one takes its place."""

    __slots__ = ("key", "text")

    def __init__(self, key: str, text: str) -> None:
        self.key, self.text = key, text


class Outbox:
    """Frames in their order, sent by a task of their own.

    A socket that takes them too slowly is closed, because what it missed is nowhere kept for it: its client connects
    again and reads REST.
    """

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._frames: deque[_Waiting] = deque()
        self._newest: dict[str, _Waiting] = {}
        self._is_woken = asyncio.Event()
        self._may_send = asyncio.Event()
        self._may_send.set()
        self._task: asyncio.Task[None] | None = None

    def put(self, text: str) -> None:
        """Send a frame after all that waits."""
        self._append(_Waiting("", text))

    def show(self, key: str, text: str, *, is_final: bool = False) -> None:
        """Send a frame in the place of the one with the key that still waits. Nothing takes that of a final one."""
        frame = self._newest.get(key)
        if frame is None:
            self._newest[key] = frame = _Waiting(key, text)
            self._append(frame)
        frame.text = text
        if is_final:
            frame.key = ""
            del self._newest[key]

    def _append(self, frame: _Waiting) -> None:
        if len(self._frames) >= settings.STREAM_MAX_PENDING:
            self._socket.close(REFUSED, TOO_SLOW)
            return
        self._frames.append(frame)
        self._is_woken.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def hold(self) -> None:
        """Send nothing while a request is answered, so that its answer comes first."""
        self._may_send.clear()

    def release(self) -> None:
        self._may_send.set()

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                await self._is_woken.wait()
                await self._may_send.wait()
                frame = self._frames.popleft()
                self._newest.pop(frame.key, None)
                if not self._frames:
                    self._is_woken.clear()
                await self._socket.send(frame.text)
        except (TimeoutError, OSError):
            self._socket.close(REFUSED, "takes nothing")
        except Exception:
            logger.exception("a WebSocket could not be sent what it follows")
            self._socket.close(COME_AGAIN, "come again")
