"""The subscription to Redis, kept up for as long as the process lives.

django-eventstream's own listener ends for good with the first lost connection or malformed message, and its process
receives nothing until a restart. This one subscribes again, and calls `subscribed` each time, because what was
published in between is lost.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django_eventstream.channelmanager import ChannelManagerBase
from django_eventstream.views import RedisListener
from redis.exceptions import ConnectionError as RedisConnectionError

from base.storage.redis import async_redis_client
from base.streams.messages import REDIS_CHANNEL, ReceivedMessage, decode
from base.telemetry.malformed import EVENTS, drop_malformed

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
# A connection that is silent for so long is tested by a ping, because a frozen server or a lost route closes nothing.
PING_SECONDS = 2.0
# After so many messages at once the streams get their turn, before their queues are full.
MESSAGES_PER_TURN = 64


class Subscription(RedisListener):  # type: ignore[misc]
    """Gives every published message to `receive`, and calls `subscribed` whenever it is subscribed anew."""

    def __init__(self, receive: Callable[[ReceivedMessage], None], subscribed: Callable[[], None]) -> None:
        # The parent's is not called: its client would belong to no event loop, and reconnect unnoticed.
        self._receive = receive
        self._subscribed = subscribed
        self.is_up = False
        self._tried = asyncio.Event()

    async def start(self) -> None:
        """Listen until cancelled."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self.listen()
            except Exception as error:
                was_up, self.is_up = self.is_up, False
                if was_up or not self._tried.is_set():
                    logger.warning("no subscription to Redis, the streams read the database instead: %r", error)
                pause = FIRST_PAUSE_SECONDS if was_up else min(pause * 2, LONGEST_PAUSE_SECONDS)
            self._tried.set()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnects, is no secret

    async def settled(self, timeout_seconds: float) -> None:
        """Wait for the outcome of the first attempt. Whether it is up now is in `is_up`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._tried.wait()
        except TimeoutError:
            pass

    async def listen(self) -> None:
        client = async_redis_client(settings.REDIS_URL)
        try:
            async with client.pubsub() as pubsub:
                await pubsub.subscribe(REDIS_CHANNEL)
                await self._read(pubsub)
        finally:
            await client.aclose()

    async def _read(self, pubsub: Any) -> None:
        is_asked = False
        in_turn = 0
        while True:
            message = await pubsub.get_message(timeout=PING_SECONDS)
            if message is None:
                if is_asked:
                    raise RedisConnectionError(f"no answer to a ping in {PING_SECONDS} s")
                await pubsub.ping()
            is_asked = message is None
            in_turn += self._handle(message) if message is not None else 1
            if in_turn >= MESSAGES_PER_TURN:
                in_turn = 0
                await asyncio.sleep(0)

    def _handle(self, message: dict[str, Any]) -> int:
        """Handle what Redis sent. Returns how many messages that was."""
        if message["type"] == "subscribe":
            # Only the confirmation of Redis counts: what is published from now on is received.
            self.is_up = True
            self._tried.set()
            self._subscribed()
            return 1
        bundle = decode(message["data"]) if message["type"] == "message" else []
        for received in bundle:
            self._receive_one(received)
        return max(len(bundle), 1)

    def _receive_one(self, received: ReceivedMessage) -> None:
        """What cannot be taken must not end the subscription, which is that of all streams."""
        try:
            self._receive(received)
        except Exception as error:
            drop_malformed(EVENTS, error)


class NobodyReads(ChannelManagerBase):  # type: ignore[misc]
    """Denies every channel. The package's own manager lets any client read any channel that it names in `?channel=`.

    Our streams do not ask it, because their channels follow from the user who is signed in.
    """

    def get_channels_for_request(self, request: Any, view_kwargs: Any) -> set[str]:
        return set()

    def can_read_channel(self, user: Any, channel: str) -> bool:
        return False

    def is_channel_reliable(self, channel: str) -> bool:
        return False
