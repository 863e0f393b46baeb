"""A user of the REST API for programs that wait for each answer."""

from dataclasses import dataclass
from typing import Any, Self

import httpx

TIMEOUT_SECONDS = 20
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
        answer = connect(url).post("/users", json=body)
        assert answer.status_code == 201, answer.text
        return cls.sign_in(url, username, answer.json()["data"]["userId"])

    @classmethod
    def sign_in(cls, url: str, username: str, user_id: int) -> Self:
        answer = connect(url).post("/auth/token", json={"username": username, "password": PASSWORD})
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
