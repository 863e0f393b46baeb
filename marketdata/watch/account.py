"""How a request is signed in: by nobody, a token, a name with its password, or a key."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any

import httpx

from base.words import all_harmless

API = "/api/v1"


class RefusedError(Exception):
    """What the exchange answered, or that nothing answered: in words."""


class Account:
    """Nobody: what everybody may see."""

    def headers(self, path: str) -> Mapping[str, str]:
        """Those of a GET of the path, with its query as it is sent."""
        return {}

    def renew(self) -> bool:
        """After a 401: whether it is worth to ask again."""
        return False

    @property
    def is_signed_in(self) -> bool:
        return type(self) is not Account


class TokenAccount(Account):
    """By an access token, as it is for its time."""

    def __init__(self, token: str) -> None:
        self._token = token

    def headers(self, path: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


class PasswordAccount(TokenAccount):
    """By a name and its password, for as long as it is watched."""

    def __init__(self, http: httpx.Client, name: str, password: str) -> None:
        self._http, self._name, self._password = http, name, password
        super().__init__(self._sign_in())

    def renew(self) -> bool:
        self._token = self._sign_in()
        return True

    def _sign_in(self) -> str:
        """Raises RefusedError."""
        body = {"username": self._name, "password": self._password}
        token: str = answered(self._http.post(f"{API}/auth/token", json=body))["data"]["accessToken"]
        return token


class KeyAccount(Account):
    """By a key with the scope `read` that signs by HMAC: each request anew, because a signature is good once."""

    def __init__(self, key_id: str, secret: str) -> None:
        self._key_id, self._secret = key_id, secret

    def headers(self, path: str) -> Mapping[str, str]:
        timestamp = str(time.time_ns() // 1_000_000)
        signed = hmac.new(self._secret.encode(), f"{timestamp}GET{path}".encode(), hashlib.sha256)
        return {"X-API-Key": self._key_id, "X-Timestamp": timestamp, "X-Signature": signed.hexdigest()}


def answered(response: httpx.Response) -> Any:
    """The body of an answer that is none of an error, fit for a terminal. Raises RefusedError."""
    try:
        body = all_harmless(response.json())
    except ValueError:
        raise RefusedError(f"{response.status_code}, and no exchange's answer: is the address right?") from None
    if not isinstance(body, dict):
        raise RefusedError(f"{response.status_code}, and no exchange's answer: is the address right?")
    if response.is_error:
        raise RefusedError(f"{body.get('error')}: {body.get('message')}")
    return body
