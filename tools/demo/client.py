"""A user of the REST API, as any program would be one."""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tools.demo.tally import Tally

PREFIX = "/api/v1"
TIMEOUT_SECONDS = 10
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
# A token is renewed when so much of its life is over.
RENEW_AFTER = 0.7


class RefusedError(Exception):
    """The exchange refused: `code` names the rule."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code


@dataclass
class _Token:
    access: str
    refresh: str
    renew_at: float


def connect(address: str) -> httpx.AsyncClient:
    """Connections to the exchange, whatever proxy the user's environment names for the world outside."""
    # Closed before the server closes them, which would look like a request that was cut off.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=2)
    return httpx.AsyncClient(base_url=address, timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False)


class Client:
    """One user's access: signs in, renews the token before it ends, and repeats what may not have arrived."""

    def __init__(self, http: httpx.AsyncClient, username: str, password: str, tally: Tally) -> None:
        self.http = http
        self.username = username
        self._password = password
        self._tally = tally
        self._token: _Token | None = None
        self._signing_in = asyncio.Lock()

    async def get(self, path: str, **params: str) -> Any:
        return await self.request("GET", path, params=params)

    async def request(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None
    ) -> Any:
        """The answer's data. Raises RefusedError.

        An error of the server or no answer means unknown, never failed: the request is repeated until there is an
        answer. That is safe for orders because of their clientOrderId.
        """
        response = await self._authorized(method, path, body, params)
        if response.status_code == 401:
            # The token was good when it was sent; the server may have been given another key since.
            self._token = None
            response = await self._authorized(method, path, body, params)
        return _data(response)

    async def authorization(self) -> dict[str, str]:
        """The header that names the user."""
        async with self._signing_in:
            if self._token is None or time.monotonic() > self._token.renew_at:
                self._token = await self._renewed(self._token) or await self._signed_in()
            return {"Authorization": f"Bearer {self._token.access}"}

    def forget_token(self) -> None:
        self._token = None

    async def _authorized(
        self, method: str, path: str, body: Mapping[str, Any] | None, params: Mapping[str, str] | None
    ) -> httpx.Response:
        return await self._answer(method, path, json=body, params=params, headers=await self.authorization())

    async def _signed_in(self) -> _Token:
        body = {"username": self.username, "password": self._password}
        return _token(_data(await self._answer("POST", "/auth/token", json=body)))

    async def _renewed(self, token: _Token | None) -> _Token | None:
        if token is None:
            return None
        response = await self._answer("POST", "/auth/token/refresh", json={"refreshToken": token.refresh})
        if response.status_code == 401:
            return None
        return _token({"refreshToken": token.refresh, **_data(response)})

    async def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The first answer that settles the matter."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                response = await self.http.request(method, PREFIX + path, **options)
            except httpx.TransportError:
                wait = pause
            else:
                if response.status_code < 500 and response.status_code != 429:
                    return response
                wait = max(_retry_after(response), pause)
                if response.status_code == 429:
                    self._tally.throttled += 1
                    await asyncio.sleep(wait)
                    continue
            self._tally.repeated += 1
            # Uneven, so that those who were cut off together do not come back together.
            await asyncio.sleep(wait * random.uniform(0.7, 1.3))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _data(response: httpx.Response) -> Any:
    body = response.json()
    if response.status_code >= 400:
        raise RefusedError(response.status_code, body.get("error", "UNKNOWN"), body.get("message", ""))
    return body["data"]


def _token(data: Mapping[str, Any]) -> _Token:
    return _Token(data["accessToken"], data["refreshToken"], time.monotonic() + RENEW_AFTER * data["expiresIn"])


def _retry_after(response: httpx.Response) -> float:
    try:
        return float(response.headers.get("Retry-After", 0))
    except ValueError:
        return 0.0
