"""Read the market over REST, and follow its streams. One that ends is opened again, and what was missed is read."""

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
from httpx_sse import SSEError, connect_sse

from base.words import all_harmless
from marketdata.watch.account import API, Account, RefusedError, answered
from marketdata.watch.state import DEPTH, TICKER, Watched

TIMEOUT_SECONDS = 10
# The server sends a keep-alive every 15 s.
SILENCE_SECONDS = 40
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
TRADES_READ, ORDERS_READ = 50, 200
RESET, UPDATE = "stream-reset", "order-status-update"
FINAL = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND)


def connect(url: str) -> httpx.Client:
    """Connections to the exchange, whatever proxy the environment names for the world outside."""
    return httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False)


class Watcher:
    """Keeps what is known of a market as it is. Whoever draws holds the lock."""

    def __init__(self, http: httpx.Client, watched: Watched, account: Account) -> None:
        self.lock = threading.Lock()
        self.watched = watched
        self._http = http
        self._account = account
        self._stopped = threading.Event()

    def read(self) -> None:
        """Everything, once. Raises RefusedError."""
        symbol = self.watched.symbol
        try:
            book = self._get(f"/orderbook/{symbol}?limit=20", Account())
            ticker = self._get(f"/ticker/{symbol}", Account())
            self._read_trades()
            if self._account.is_signed_in:
                self._read_account()
                self._read_orders()
        except httpx.TransportError as error:
            message = f"no exchange answers at {self._http.base_url} ({error}): start one by `make demo`, or use --url"
            raise RefusedError(message) from error
        with self.lock:
            self.watched.take(DEPTH, book)
            self.watched.take(TICKER, ticker)

    def follow(self) -> None:
        """In the background, until it is stopped."""
        for follow in (self._follow_market, *([self._follow_orders] if self._account.is_signed_in else [])):
            threading.Thread(target=follow, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _follow_market(self) -> None:
        def take(kind: str, data: Any) -> None:
            if kind in ("open", RESET):
                # Depth and ticker are sent anew by the stream itself.
                self._read_trades()
            else:
                with self.lock:
                    self.watched.take(kind, data)

        self._keep_open("market", f"{API}/stream/market/{self.watched.symbol}", Account(), take)

    def _follow_orders(self) -> None:
        def take(kind: str, data: Any) -> None:
            if kind in ("open", RESET):
                self._read_orders()
            elif kind == UPDATE:
                with self.lock:
                    self.watched.take_order(data)

        self._keep_open("own orders", f"{API}/stream/order-status", self._account, take)

    def _keep_open(self, name: str, path: str, account: Account, take: Callable[[str, Any], None]) -> None:
        """What is read after the stream has opened has all that it does not send, so nothing is missed."""
        pause = FIRST_PAUSE
        while not self._stopped.is_set():
            try:
                opened = self._read_stream(name, path, account, take)
                words = "closed by the exchange"
            except RefusedError as error:
                self._note(name, str(error))
                return
            except (httpx.HTTPError, SSEError, ValueError) as error:
                opened, words = False, str(error) or type(error).__name__
            pause = FIRST_PAUSE if opened else min(pause * 2, LONGEST_PAUSE)
            self._note(name, f"{words}; connecting again")
            self._stopped.wait(pause)

    def _read_stream(self, name: str, path: str, account: Account, take: Callable[[str, Any], None]) -> bool:
        """Until it ends; whether it was open. Raises RefusedError where asking again is of no use."""
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=SILENCE_SECONDS)
        with connect_sse(self._http, "GET", path, headers=dict(account.headers(path)), timeout=timeout) as source:
            if source.response.status_code == httpx.codes.UNAUTHORIZED and account.renew():
                return True
            if source.response.is_error:
                source.response.read()
                if source.response.status_code in FINAL:
                    answered(source.response)
                return False
            take("open", None)
            self._note(name, "")
            for event in source.iter_sse():
                if self._stopped.is_set():
                    break
                if event.data:
                    take(event.event, all_harmless(json.loads(event.data)))
        return True

    def _note(self, name: str, words: str) -> None:
        with self.lock:
            self.watched.notes[name] = words

    def _read_trades(self) -> None:
        trades = self._get(f"/trades/{self.watched.symbol}?limit={TRADES_READ}", Account())
        with self.lock:
            self.watched.replace_trades(trades)

    def _read_account(self) -> None:
        self.watched.account = self._get("/users/me", self._account)["username"]

    def _read_orders(self) -> None:
        orders = self._get(f"/orders?symbol={self.watched.symbol}&active=true&limit={ORDERS_READ}", self._account)
        with self.lock:
            self.watched.replace_orders(orders)

    def _get(self, path: str, account: Account) -> Any:
        """The data of an answer. Raises RefusedError and httpx.TransportError."""
        target = API + path
        response = self._http.get(target, headers=dict(account.headers(target)))
        if response.status_code == httpx.codes.UNAUTHORIZED and account.renew():
            response = self._http.get(target, headers=dict(account.headers(target)))
        return answered(response)["data"]
