"""`POST /orders?wait=`: the answer waits for the outcome of its order, and holds no thread meanwhile.

The view stores the order as always, in a thread of REST, and notes in the request's scope that its client would wait.
The server of asynchronous requests then keeps the answer back. It looks for all orders that are waited for with one
query now and then, so that it depends neither on Redis nor on a message that may be lost. Under a server that knows no
scope, as gunicorn, the order is answered at once.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest
from pydantic_core import PydanticCustomError, core_schema
from rest_framework.request import Request

from base.servers.asgi import Application, Message, Receive, Scope, Send
from base.streams.threads import in_thread
from base.web.answers import envelope
from base.web.queries import Query
from base.web.rules import Rule
from base.web.values import parse_id
from core.types import Status
from orders.models import Order
from orders.query import as_of_order
from orders.services import orders_as_of
from orders.trails import show_order

logger = logging.getLogger(__name__)

LONGEST_MS = 2_000
# Of all places where requests wait one user has one of so many parts.
USERS_PART = 4
# Between two looks. An order takes longer than this on its way to the worker and back.
PAUSE_SECONDS = 0.02
# After a look that failed.
FAILED_PAUSE_SECONDS = 0.5
# Where the scope of a request that may wait has its place for what the view notes.
_PLACE = "exchange.wait"


def _read_wait(text: str) -> int:
    milliseconds = 0 if text == "0" else parse_id(text)
    if milliseconds is None or milliseconds > LONGEST_MS:
        raise PydanticCustomError("no_wait", "not a time to wait")
    return milliseconds


WAIT = Query(
    "wait",
    Rule(
        core_schema.no_info_plain_validator_function(_read_wait),
        {"no_wait": ("WAIT_OUT_OF_RANGE", f"must be between 0 and {LONGEST_MS}")},
        {"type": "integer", "minimum": 0, "maximum": LONGEST_MS},
        data={"minimum": 0, "maximum": LONGEST_MS},
    ),
    "For so many milliseconds the answer may wait for the outcome.",
    default=0,
)


class Shown(NamedTuple):
    """An answer: its status, and what its body is in JSON."""

    status: int
    body: Any


# The answer of an order, as it is now and with `newest_event`; None while its client goes on waiting.
Show = Callable[[Order], Shown | None]


@dataclass
class Place:
    """What the view notes: the order whose outcome its client waits for, how it is shown, and for how long to wait."""

    order_id: int | None = None
    user_id: int = 0
    show: Show | None = None
    seconds: float = 0.0

    def scope(self) -> dict[str, Any]:
        """The part of a scope in which the view finds it."""
        return {_PLACE: self}


def wait_for(request: Request, order: Order, milliseconds: int, show: Show | None = None) -> None:
    """Have the answer wait for the order's outcome, as far as the server can do that."""
    place: Place | None = request.META.get("asgi.scope", {}).get(_PLACE)
    if place is not None and milliseconds:
        place.order_id, place.user_id = order.id, order.user_id
        place.seconds, place.show = milliseconds / 1000, show or settled_answer


def wait_no_more(request: HttpRequest) -> None:
    """Leave the answer as it is, although the view would have had it wait."""
    place: Place | None = request.META.get("asgi.scope", {}).get(_PLACE)
    if place is not None:
        place.order_id = None


def settled_answer(order: Order) -> Shown | None:
    """The envelope of an order whose outcome is known."""
    if order.status == Status.PENDING:
        return None
    return Shown(200, {**envelope(show_order(order), "OK", 200), "asOf": as_of_order(order)})


# None of an answer that cannot be made.
_Outcome = asyncio.Future[Shown | None]


class Outcomes:
    """The orders that requests of this process wait for. Used from one event loop."""

    def __init__(self) -> None:
        self._awaited: dict[int, dict[_Outcome, Show]] = {}
        self._of_users: Counter[int] = Counter()
        self._task: asyncio.Task[None] | None = None

    def has_room(self, user_id: int) -> bool:
        """A user has a part of the places at most, or one could keep all others from waiting."""
        most: int = settings.WAIT_MAX
        return self._of_users.total() < most and self._of_users[user_id] < max(1, most // USERS_PART)

    def expect(self, order_id: int, user_id: int, show: Show) -> _Outcome:
        """The answer of the order once it is known, None if it cannot be made. Whoever waits no more calls `forget`."""
        self._of_users[user_id] += 1
        loop = asyncio.get_running_loop()
        outcome: _Outcome = loop.create_future()
        self._awaited.setdefault(order_id, {})[outcome] = show
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._look())
        return outcome

    def forget(self, order_id: int, user_id: int, outcome: _Outcome) -> None:
        self._of_users[user_id] -= 1
        if not self._of_users[user_id]:
            del self._of_users[user_id]
        awaited = self._awaited.get(order_id, {})
        awaited.pop(outcome, None)
        if not awaited:
            self._awaited.pop(order_id, None)

    async def _look(self) -> None:
        """As long as somebody waits."""
        is_failing = False
        while self._awaited:
            wanted = [(order_id, *each) for order_id, awaited in self._awaited.items() for each in awaited.items()]
            try:
                found = await in_thread(_settled, wanted)
            except Exception as error:
                if not is_failing:
                    logger.warning("the outcomes of orders cannot be read, those who wait are answered 202: %r", error)
                found, is_failing = [], True
            else:
                is_failing = False
            for outcome, answer in found:
                if not outcome.done():
                    outcome.set_result(answer)
            await asyncio.sleep(FAILED_PAUSE_SECONDS if is_failing else PAUSE_SECONDS)


def _settled(wanted: Sequence[tuple[int, _Outcome, Show]]) -> list[tuple[_Outcome, Shown | None]]:
    """The answers of those of the orders whose outcome is known; None in the place of one that cannot be made, because
    a defect of one answer must not keep all others waiting.
    """
    orders = {order.id: order for order in orders_as_of().filter(id__in={each[0] for each in wanted})}
    found: list[tuple[_Outcome, Shown | None]] = []
    for order_id, outcome, show in wanted:
        if order_id not in orders:
            continue
        try:
            answer = show(orders[order_id])
        except OperationalError:
            raise
        except Exception:
            logger.exception("the outcome of order %s cannot be shown, its client is answered without it", order_id)
            found.append((outcome, None))
        else:
            if answer is not None:
                found.append((outcome, answer))
    return found


@dataclass
class _KeptBack:
    """The messages of an answer that is not sent yet."""

    messages: list[Message] = field(default_factory=list)

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    def instead(self, answer: Shown) -> list[Message]:
        """Another answer with the headers of this one."""
        body = json.dumps(answer.body, separators=(",", ":")).encode()
        headers = [(name, value) for name, value in self.messages[0]["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        return [
            {"type": "http.response.start", "status": answer.status, "headers": headers},
            {"type": "http.response.body", "body": body},
        ]


class WaitingRequests:
    """Around the application that serves REST: answers wait where the view has noted it, and there is room."""

    def __init__(self, rest: Application) -> None:
        self._rest = rest
        self._outcomes = Outcomes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began_at = asyncio.get_running_loop().time()
        place, kept = Place(), _KeptBack()
        await self._rest({**scope, **place.scope()}, receive, kept.send)
        messages = kept.messages
        answer = await self.outcome(place, began_at, receive)
        for message in messages if answer is None else kept.instead(answer):
            await send(message)

    async def outcome(self, place: Place, began_at: float, receive: Receive) -> Shown | None:
        """What is answered in the place of the view's own answer, of a request that began at this instant of the loop.

        None where nothing is waited for or there is no room, and as below.
        """
        if place.order_id is None or place.show is None or not self._outcomes.has_room(place.user_id):
            return None
        outcome = self._outcomes.expect(place.order_id, place.user_id, place.show)
        try:
            return await _first(outcome, began_at + place.seconds, receive)
        finally:
            self._outcomes.forget(place.order_id, place.user_id, outcome)


async def _first(outcome: _Outcome, until: float, receive: Receive) -> Shown | None:
    """None where it is not known in time, or where the client has gone."""
    gone = asyncio.ensure_future(_until_gone(receive))
    waiting: set[asyncio.Future[Any]] = {outcome, gone}
    try:
        left = until - asyncio.get_running_loop().time()
        await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        return outcome.result() if outcome.done() else None
    finally:
        gone.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
