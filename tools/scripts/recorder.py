"""One LIMIT order recorded call by call, in a process that Django has set up: tools.scripts.trace calls `record`."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from types import CodeType, FrameType
from typing import Any

import uvicorn
from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken

from balances.services import transfer
from exchange.asgi import application
from markets.services import create_market
from matching.drain import drain
from tools.rig.events import ORDER_STATUS, Event, EventThread
from tools.rig.process import HOST, ROOT, wait_for
from tools.rig.servers import free_port
from tools.scripts.trace import INTAKE, MATCHING, PUBLISHING, STREAM
from users.models import User

NOT_OURS = ("tests", "tools", "clients", ".venv")
SERVER_THREAD = "stream-server"
SYMBOL, UPDATE = "BTC-USD", "order-status-update"
# One for all: it loads the middleware once.
CLIENT = Client()
GENERATOR_FLAGS = 0x20 | 0x80 | 0x200


@dataclass
class Recorder:
    """The calls of the project's functions, each as its phase, file and name.

    A comprehension, a lambda, and a generator that goes on are no calls: a reader who follows the order stays where
    they are written.
    """

    calls: list[tuple[str, str, str]] = field(default_factory=list)
    phase: str = ""
    _begun: list[FrameType] = field(default_factory=list)
    _files: dict[CodeType, str] = field(default_factory=dict)

    def profile(self, frame: FrameType, event: str, _: Any) -> None:
        if self.phase and event == "call" and (file := self._file(frame.f_code)):
            if frame.f_code.co_flags & GENERATOR_FLAGS:
                if frame in self._begun:
                    return
                self._begun.append(frame)
            self.calls.append((self._phase(), file, frame.f_code.co_qualname))

    def _phase(self) -> str:
        thread = threading.current_thread()
        if thread is threading.main_thread():
            return self.phase
        return STREAM if thread.name.startswith("stream") else PUBLISHING

    def _file(self, code: CodeType) -> str:
        """The project's file in which the code is; an empty text for all other code."""
        if code not in self._files:
            inside = code.co_filename.startswith(f"{ROOT}/") and not code.co_name.startswith("<")
            file = code.co_filename.removeprefix(f"{ROOT}/") if inside else ""
            self._files[code] = "" if file.startswith(NOT_OURS) else file
        return self._files[code]


def record() -> None:
    """Print the calls of one order as JSON: a buy that meets a resting sell."""
    recorder = Recorder()
    # Also of the threads that start from here on: the server's, and the engine's second one.
    threading.setprofile(recorder.profile)
    create_market(symbol=SYMBOL, base="BTC", quote="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.0001"))
    alice, bob = _trader("alice", "USD"), _trader("bob", "BTC")
    events: list[Event] = []
    with _serving() as port, EventThread(f"http://{HOST}:{port}", ORDER_STATUS, events.append, token=alice):
        wait_for(lambda: any(event.kind == "connected" for event in events))
        _place(bob, "SELL", "5")
        drain(SYMBOL)
        # The first one loads what every later one finds loaded.
        _follow(Recorder(), alice, events)
        sys.setprofile(recorder.profile)
        _follow(recorder, alice, events)
        sys.setprofile(None)
    print(json.dumps(recorder.calls))


def _follow(recorder: Recorder, token: str, events: list[Event]) -> None:
    recorder.phase = INTAKE
    order_id = _place(token, "BUY", "1")
    recorder.phase = MATCHING
    drain(SYMBOL)
    wait_for(lambda: any(event.kind == UPDATE and event.data["orderId"] == order_id for event in events))
    recorder.phase = ""


def _place(token: str, side: str, quantity: str) -> int:
    order = {"symbol": SYMBOL, "side": side, "type": "LIMIT", "price": "100", "quantity": quantity}
    headers = {"Authorization": f"Bearer {token}"}
    answer = CLIENT.post("/api/v1/orders", order, content_type="application/json", headers=headers)
    assert answer.status_code == HTTPStatus.ACCEPTED, answer.content
    order_id: int = answer.json()["data"]["orderId"]
    return order_id


def _trader(name: str, currency: str) -> str:
    """A user with money; their access token."""
    user = User.objects.create(username=name, email=f"{name}@example.com", password="!")  # noqa: S106
    transfer(
        user_id=user.pk,
        currency=currency,
        amount=Decimal(10_000),
        reason="opening balance",
        reference=f"opening:{name}",
        operator_id=None,
    )
    return str(AccessToken.for_user(user))


@contextmanager
def _serving() -> Iterator[int]:
    """The streams in a thread of this process; their port."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application, HOST, port, log_level="warning", proxy_headers=False))
    thread = threading.Thread(target=server.run, name=SERVER_THREAD)
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield port
    finally:
        server.should_exit = True
        thread.join()
