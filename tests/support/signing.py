"""Requests that are signed by an API key, as a client of another make would sign them."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rest_framework.test import APIClient

from tests.support.contract import check_answer
from tests.support.world import Person

API = "/api/v1"
# What comes over HTTP as a header comes over the socket as a field.
FIELDS = {"X-API-Key": "apiKey", "X-Timestamp": "timestamp", "X-Recv-Window": "recvWindow", "X-Signature": "signature"}


def now_ms(ahead: int = 0) -> str:
    return str(int(time.time() * 1000) + ahead)


@dataclass
class Signer:
    """An owner's key. Where there is no `private` key, `secret` is that of an HMAC."""

    key_id: str
    secret: str = ""
    private: Ed25519PrivateKey | None = None
    client: APIClient = field(default_factory=lambda: APIClient(raise_request_exception=False))

    @classmethod
    def of(cls, who: Person, *scopes: str, **more: Any) -> "Signer":
        """A key that its owner makes over REST."""
        private = Ed25519PrivateKey.generate() if more.get("algorithm") == "ED25519" else None
        if private is not None:
            raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            more["publicKey"] = base64.b64encode(raw).decode()
        made = who.call("POST", "/keys", {"label": "bot", "scopes": list(scopes), **more})
        assert made.status_code == 201, made.body
        return cls(made.body["data"]["keyId"], made.body["data"]["secret"] or "", private)

    def sign(self, timestamp: str, method: str, target: str, body: bytes = b"") -> str:
        return self.sign_text(f"{timestamp}{method}{target}".encode() + body)

    def sign_text(self, signed: bytes) -> str:
        if self.private is not None:
            return base64.b64encode(self.private.sign(signed)).decode()
        return hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()

    def headers(
        self, method: str, target: str, body: bytes = b"", timestamp: str = "", **changed: str
    ) -> dict[str, str]:
        """Those of a signed request; `changed` by their names, with underscores."""
        stamp = timestamp or now_ms()
        signature = self.sign(stamp, method, target, body)
        made = {"X-API-Key": self.key_id, "X-Timestamp": stamp, "X-Signature": signature}
        return {**made, **{name.replace("_", "-"): value for name, value in changed.items()}}

    def call(self, method: str, path: str, body: Any = None, **changed: str) -> Any:
        """Send a signed request to /api/v1. Returns the response, with its parsed `.body`, as `Person.call` does."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send(method, path, data, self.headers(method, API + path, data, **changed))

    def send(self, method: str, path: str, data: bytes, headers: dict[str, str], **environ: str) -> Any:
        response = self.client.generic(method, API + path, data, "application/json", headers=headers, **environ)
        response.body = json.loads(response.content) if response.content else None
        if response.content:
            check_answer(method, API + path, response.status_code, response["Content-Type"], response.body)
        return response

    def told(self, method: str, path: str, body: Any = None, **changed: str) -> str:
        return told(self.call(method, path, body, **changed))

    def with_secret(self, secret: str) -> "Signer":
        return replace(self, secret=secret)


def told(response: Any) -> str:
    """The status, and the code of a refusal: "401 KEY_UNKNOWN"."""
    error = (response.body or {}).get("error")
    return f"{response.status_code} {error}" if error else str(response.status_code)
