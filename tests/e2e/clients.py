"""A program of a user's own, which does what the contract asks of it when an answer does not come."""

import itertools
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Self

import httpx

PASSWORD = "exchange-demo"
GIVE_UP_SECONDS = 30
Params = dict[str, str | int] | None


class User:
    """Signed in over REST. What was not answered is repeated, orders under the same clientOrderId."""

    def __init__(self, address: str, name: str) -> None:
        limits = httpx.Limits(keepalive_expiry=1)
        self.http = httpx.Client(base_url=f"{address}/api/v1", timeout=5, limits=limits, trust_env=False)
        self.repeated = 0
        token = self.request("POST", "/auth/token", {"username": name, "password": PASSWORD})["accessToken"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str, **params: str | int) -> Any:
        return self.request("GET", path, params=params)

    def request(self, method: str, path: str, body: object = None, params: Params = None) -> Any:
        response = self.response(method, path, body, params)
        assert response.is_success, response.text
        return response.json()["data"]

    def response(self, method: str, path: str, body: object = None, params: Params = None) -> httpx.Response:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                response = self.http.request(method, path, json=body, params=params)
                if response.status_code < 500:
                    return response
                trouble = response.text
            except httpx.TransportError as error:
                trouble = repr(error)
            assert time.monotonic() < deadline, f"{method} {path} not answered: {trouble}"
            self.repeated += 1
            time.sleep(0.2)


class Placing:
    """Places LIMIT orders one after the other; `accepted` holds what was answered, by clientOrderId."""

    def __init__(self, user: User, symbol: str, side: str, seconds_between: float = 0.2) -> None:
        self.user = user
        self.accepted: dict[str, int] = {}
        self.errors: list[BaseException] = []
        self._order = {"symbol": symbol, "side": side, "type": "LIMIT"}
        self._pause = seconds_between
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
        assert self.errors == []

    def _run(self) -> None:
        try:
            for number in itertools.count():
                if self._stop.is_set():
                    return
                self._place(number)
                time.sleep(self._pause)
        except BaseException as error:
            self.errors.append(error)

    def _place(self, number: int) -> None:
        # The prices of both sides overlap: some orders meet at once, some rest until a later one comes.
        price = Decimal(100) + Decimal(number % 7 - 3) / 10
        key = f"own-{uuid.uuid4().hex}"
        order = {**self._order, "price": str(price), "quantity": str(1 + number % 3), "clientOrderId": key}
        # Every fifth is sent again, as if its answer had been lost: still one order.
        for _ in range(2 if number % 5 == 0 else 1):
            response = self.user.response("POST", "/orders", order)
            assert response.status_code == 202, response.text
            order_id = response.json()["data"]["orderId"]
            assert self.accepted.setdefault(key, order_id) == order_id
