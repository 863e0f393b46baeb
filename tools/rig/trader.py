"""A user for programs that wait for each answer, by the Python client; or of one attempt, whatever it is answered."""

from dataclasses import dataclass
from typing import Any, Self

import httpx

from clients.python.clearbell import AccessToken, Client
from clients.python.clearbell.calls import account
from clients.python.clearbell.calls.call import get, raw

TIMEOUT_SECONDS = 20
PASSWORD = "correct horse"  # noqa: S105


@dataclass
class Trader:
    """A client as any other: its connection, its name and its token."""

    http: httpx.Client
    user_id: int
    username: str
    token: str

    @classmethod
    def register(cls, url: str, username: str) -> Self:
        with _nobody(url) as client:
            user = client.register(username, f"{username}@example.com", PASSWORD)
        return cls.sign_in(url, username, user.user_id)

    @classmethod
    def sign_in(cls, url: str, username: str, user_id: int) -> Self:
        with _nobody(url) as client:
            tokens = client.send(account.sign_in(username, PASSWORD))
        return cls.with_token(url, user_id, username, tokens.access_token)

    @classmethod
    def with_token(cls, url: str, user_id: int, username: str, token: str) -> Self:
        http = connect(url)
        http.headers["Authorization"] = f"Bearer {token}"
        return cls(http, user_id, username, token)

    @property
    def client(self) -> Client:
        """The same user with all that the Python client does: it repeats, and raises what is refused."""
        return Client(str(self.http.base_url).partition("/api/")[0], AccessToken(self.token), http=self.http)

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """The answer to one attempt, whatever it is."""
        return self.http.request(method, path, json=body)

    def get(self, path: str) -> Any:
        """The data of the answer. Raises Refused and NoAnswer."""
        return self.client.send(get(path, raw))


def connect(url: str) -> httpx.Client:
    """A connection of its own, whatever proxy the environment names for the world outside."""
    return httpx.Client(base_url=f"{url}/api/v1", timeout=TIMEOUT_SECONDS, trust_env=False)


def _nobody(url: str) -> Client:
    return Client(url, timeout=TIMEOUT_SECONDS, trust_env=False)
