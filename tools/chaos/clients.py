"""Clients that keep the contract: whatever was not answered is asked again under the same key until it is."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Self

import httpx

from clients.python.clearbell import Call, NoAnswer, NotFound, Refused, Trouble
from clients.python.clearbell.calls.call import raw
from tools.chaos.flow import BATCH_SIZES, LEGS, Flow, leg_of
from tools.rig.trader import Trader

TIMEOUT_SECONDS = 5
PAUSE_BEFORE_REPEAT_SECONDS = 0.1
# How long the last request of a client may go on after everything runs again.
LAST_ANSWER_SECONDS = 120
# What a correct exchange may answer besides: the order was closed or filled before the request came, the last trade has
# moved, the moment has passed while the exchange did not answer, or the market is in an auction.
_CLOSED = {(409, "ORDER_CLOSED"), (409, "IN_GROUP"), (400, "QUANTITY_BELOW_FILLED"), (400, "NOTHING_TO_AMEND")}
_MOVED = {"PRICE_OUT_OF_BAND", "OCO_PRICES_CROSS", "EXPIRY_TOO_SOON"}
_IN_AUCTION = {"NOT_IN_AUCTION"}
EXPECTED = _CLOSED | {(400, code) for code in _MOVED} | {(409, code) for code in _IN_AUCTION}
BUSY = "MARKET_BUSY"
# Where the workers have been dead for so long that the client's own orders have filled its share of the inbox.
BEHIND = "TOO_MANY_WAITING"


class Client:
    """One user's program, in a thread of its own. The orders that were accepted stay in `accepted`, by key."""

    def __init__(self, trader: Trader, number: int, seed: int, pause: float, batch_sizes: range = BATCH_SIZES) -> None:
        self.trader = trader
        self.random = Random(f"{seed}-client-{number}")
        self.flow = Flow(self.random, f"c{number}", batch_sizes)
        self.pause = pause
        self.accepted: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        # By status and code, or by the error where there was no answer at all.
        self.troubles: Counter[str] = Counter()
        self.mistakes: list[str] = []
        # When each was accepted, by the monotonic clock.
        self.accepted_at: dict[str, float] = {}
        # Refused at last, or never answered: perhaps stored by an earlier request.
        self.unknown: set[str] = set()
        # What was asked again at least once.
        self.unanswered: set[str] = set()
        # Where orders may be lost though they were accepted: the ids of those that were placed again.
        self.forgives = False
        self.placed_again: list[int] = []
        self.paused = threading.Event()
        self._stop = threading.Event()
        self.give_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name=f"client-{number}")
        trader.http.timeout = httpx.Timeout(TIMEOUT_SECONDS)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.give_up_at = time.monotonic() + LAST_ANSWER_SECONDS
        self._stop.set()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if not self.paused.is_set():
                    self._ask(*self.flow.call())
                self._stop.wait(self.random.uniform(0, 2 * self.pause))
        except Exception as error:
            self.mistakes.append(f"the client ended: {error!r}")

    def _ask(self, method: str, path: str, body: Any) -> None:
        self._note(method, path, body, self.repeat_until_answered(method, path, body))
        # As if the answer had been lost: the key makes it the same order.
        if method == "POST" and self.random.random() < 0.05:
            self.counts["repeats"] += 1
            self._note(method, path, body, self.repeat_until_answered(method, path, body))

    def repeat_until_answered(self, method: str, path: str, body: Any) -> Any:
        """The data of the answer, or the refusal; None, and a mistake, if all ran again for long without an answer."""
        waiting = _Waiting(self, _keys(body))
        try:
            return self.trader.client.send(Call(method, path, raw, body=body), waiting)
        except NoAnswer:
            return waiting.give_up(f"{method} {path}")
        except Refused as refusal:
            return waiting.give_up(f"{method} {path}") if waiting.is_over else refusal

    def _note(self, method: str, path: str, body: Any, answer: Any) -> None:
        if answer is None:
            return
        if isinstance(answer, Refused):
            self._judge(f"{method} {path} {body}", answer)
        elif method == "DELETE" or path.startswith("/orders/batch-cancel"):
            self.counts["cancels"] += 1
        elif method == "PATCH":
            self.counts["amends"] += 1
        elif path == "/orders/cancel-all-after":
            self.counts["timers"] += 1
        elif path == "/orders/oco":
            for leg in answer["orders"]:
                self._accept(leg_of(body, leg["clientOrderId"]), leg)
        elif path == "/orders/batch":
            for order, result in zip(body["orders"], answer["results"], strict=True):
                self._accept(order, result)
        else:
            self._accept(body, answer)

    def _judge(self, what: str, refusal: Refused) -> None:
        is_lost = self.forgives and isinstance(refusal, NotFound)
        if not ({(refusal.status, code) for code in refusal.codes} <= EXPECTED or is_lost):
            self.mistakes.append(f"{what}: {refusal.status} {refusal} {refusal.data}")

    def _accept(self, order: dict[str, Any], result: dict[str, Any]) -> None:
        if (error := result.get("error")) in (BUSY, BEHIND):
            # Both workers were dead for half a minute: nothing was stored, and the client lets it be.
            self.troubles[f"{error} in a batch"] += 1
            self.unknown |= {order["clientOrderId"]} & self.unanswered
            return
        if error and Refused.of(result["code"], result).codes <= _MOVED | _IN_AUCTION:
            return
        if error:
            self.mistakes.append(f"{order}: {result}")
            return
        key, order_id = order["clientOrderId"], result["orderId"]
        if result.get("clientOrderId", key) != key:
            self.mistakes.append(f"asked under {key}, answered {result}")
        known = self.accepted.setdefault(key, order_id)
        self.accepted_at.setdefault(key, time.monotonic())
        if known != order_id and self.forgives:
            self.placed_again.append(known)
            self.accepted[key] = order_id
        elif known != order_id:
            self.mistakes.append(f"{key} was order {known}, and is {order_id} when asked again")
        else:
            self.flow.remember(order_id, order)


class _Waiting:
    """A request that is repeated until it is answered, and counts why."""

    def __init__(self, client: Client, keys: set[str]) -> None:
        self._client, self._keys = client, keys
        self._trouble = ""
        # Everything ran again for long, and there was still no answer.
        self.is_over = False

    def patience(self) -> Self:
        return self

    def pause(self, trouble: Trouble) -> float | None:
        if trouble.is_throttled and trouble.refusal is not None and trouble.refusal.code != BEHIND:
            # No limit is on: that is an answer, and a mistake.
            return None
        self._trouble = _name(trouble)
        self._client.troubles[self._trouble] += 1
        self._client.unanswered |= self._keys
        self.is_over = time.monotonic() > self._client.give_up_at
        if self.is_over:
            return None
        self._client.counts["repeats"] += 1
        return PAUSE_BEFORE_REPEAT_SECONDS

    def give_up(self, what: str) -> None:
        self._client.mistakes.append(f"{what} was never answered: {self._trouble}")
        self._client.unknown |= self._keys


def _name(trouble: Trouble) -> str:
    """A status and a code, or the error where there was no answer at all."""
    if trouble.refusal is not None:
        return f"{trouble.refusal.status} {trouble.refusal.code}"
    return trouble.cause.partition(":")[0]


def _keys(body: Any) -> set[str]:
    """The client's keys of the orders in a body."""
    orders = (body or {}).get("orders", [body or {}])
    keys = {order["clientOrderId"] for order in orders if "clientOrderId" in order}
    return keys | {f"{key}{leg}" for key in keys for leg in LEGS}


@contextmanager
def trading(clients: list[Client]) -> Iterator[None]:
    """All of them at work within the `with`, which ends when each has its last answer."""
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.stop()
        for client in clients:
            client.join()


def total(clients: list[Client], name: str) -> int:
    return sum(client.counts[name] for client in clients)


def placed(clients: list[Client]) -> int:
    return sum(len(client.accepted) for client in clients)
