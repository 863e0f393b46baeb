"""A user of the REST API for programs that wait for each answer."""

from dataclasses import dataclass
from typing import Any, Self

import httpx

TIMEOUT_SECONDS = 20
# Passwords are hashed at a low priority: a busy machine asks to try again.
BUSY, TRIES = "SIGN_INS_BUSY", 6
PASSWORD = "correct horse"  # noqa: S105


@dataclass
class Trader:
    """A client as any other: its address, its name and its token."""

    http: httpx.Client
    user_id: int
    username: str
    token: str

    @classmethod
    def register(cls, url: str, username: str) -> Self:
        body = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
        answer = _post(url, "/users", body)
        assert answer.status_code == 201, answer.text
        return cls.sign_in(url, username, answer.json()["data"]["userId"])

    @classmethod
    def sign_in(cls, url: str, username: str, user_id: int) -> Self:
        answer = _post(url, "/auth/token", {"username": username, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return cls.with_token(url, user_id, username, answer.json()["data"]["accessToken"])

    @classmethod
    def with_token(cls, url: str, user_id: int, username: str, token: str) -> Self:
        http = connect(url)
        http.headers["Authorization"] = f"Bearer {token}"
        return cls(http, user_id, username, token)

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.http.request(method, path, json=body)

    def get(self, path: str) -> Any:
        """The data of the answer, which must be 200."""
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


def connect(url: str) -> httpx.Client:
    """A connection of its own, whatever proxy the environment names for the world outside."""
    return httpx.Client(base_url=f"{url}/api/v1", timeout=TIMEOUT_SECONDS, trust_env=False)


def _post(url: str, path: str, body: Any) -> httpx.Response:
    """The answer, the last of several where the exchange was too busy to hash a password."""
    for _ in range(TRIES - 1):
        answer = connect(url).post(path, json=body)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or answer.json().get("error") != BUSY:
            return answer
    return connect(url).post(path, json=body)
