"""An exchange that answers what the test wrote down, and a transport that takes no time."""

import json
from collections.abc import Iterable
from typing import Any

from clients.python.clearbell.calls.call import Reply
from clients.python.clearbell.errors import ClearbellError
from clients.python.clearbell.retry import Cut
from clients.python.clearbell.steps import Alone, Deliver, Frame, OpenEvents, Pause, Receive, Request, Send, Step, Steps

ORDER: dict[str, Any] = {
    "orderId": 7,
    "clientOrderId": "k",
    "userId": 1,
    "symbol": "BTC-USD",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "postOnly": False,
    "price": "100.10",
    "quantity": "2",
    "quoteQuantity": None,
    "filledQuantity": "0",
    "remainingQuantity": "2",
    "preventedQuantity": "0",
    "filledQuote": "0",
    "averagePrice": None,
    "status": "OPEN",
    "reason": None,
    "active": True,
    "sequence": 1,
    "placedBy": None,
    "stopPrice": None,
    "trailingOffset": None,
    "triggeredAt": None,
    "displayQuantity": None,
    "expiresAt": None,
    "groupId": None,
    "correlationId": "c",
    "createdAt": "2026-01-01T00:00:00.000000Z",
    "updatedAt": "2026-01-01T00:00:01.000000Z",
    "closedAt": None,
}
ACCEPTED = {"orderId": 7, "clientOrderId": "k", "status": "PENDING", "message": "", "correlationId": "c"}


def done(data: Any, status: int = 200, **beside: Any) -> Reply:
    return Reply(status, {}, json.dumps({"code": status, "data": data, **beside}).encode())


def refused(status: int, code: str, **data: Any) -> Reply:
    body = {"code": status, "error": code, "message": "no", "data": data}
    return Reply(status, {}, json.dumps(body).encode())


def frame(event: str, data: Any, position: str = "") -> Frame:
    return Frame(event, position, json.dumps(data))


def trade(number: int) -> dict[str, Any]:
    """A line of the tape."""
    ids = {"tradeId": f"BTC-USD-{number}", "sequence": number, "createdAt": "2026-01-01T00:00:00Z"}
    return {**ids, "price": "100", "quantity": "1", "takerSide": "BUY"}


class _Over(Exception):
    """There is no answer left."""


class Fake:
    """Takes steps as a transport does. `answers` are replies, frames, or Cut, in the order in which they are due."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[Request] = []
        self.pauses: list[float] = []
        self.delivered: list[Any] = []

    def run(self, steps: Steps[Any]) -> Any:
        """To the end of the steps, or of the answers."""
        answer: Any = None
        while True:
            is_error = isinstance(answer, Cut | ClearbellError)
            try:
                step = steps.throw(answer) if is_error else steps.send(answer)
            except StopIteration as end:
                return end.value
            try:
                answer = self._take(step)
            except ClearbellError as error:
                answer = error
            except _Over:
                return None

    def targets(self) -> Iterable[str]:
        return [f"{request.method} {request.target.removeprefix('/api/v1')}" for request in self.sent]

    def _take(self, step: Step) -> Any:
        match step:
            case Send(request) | OpenEvents(request):
                self.sent.append(request)
                return self._next()
            case Receive():
                return self._next()
            case Pause(seconds):
                self.pauses.append(seconds)
            case Alone(inner):
                return self.run(inner)
            case Deliver(event):
                self.delivered.append(event)
        return None

    def _next(self) -> Any:
        if not self.answers:
            raise _Over
        return self.answers.pop(0)
