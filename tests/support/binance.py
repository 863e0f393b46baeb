"""Requests to `/api/v3` as Binance's clients make them."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from tests.support.signing import Signer
from tests.support.world import Person

API = "/api/v3"
FORM = "application/x-www-form-urlencoded"


def now_ms(ahead: int = 0) -> int:
    return int(time.time() * 1000) + ahead


def read(path: str, **parameters: Any) -> Any:
    """What anybody reads."""
    return _parsed(Client(raise_request_exception=False).get(f"{API}/{path}", parameters))


def summary_of(response: Any) -> str:
    """The status, and of a refusal its code and its text: "400 -1121 Invalid symbol."."""
    body = response.body
    refusal = f" {body['code']} {body['msg']}" if isinstance(body, dict) and "code" in body else ""
    return f"{response.status_code}{refusal}"


@dataclass
class Bot:
    """A user's key, in the hands of a client."""

    key: Signer
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    @classmethod
    def of(cls, who: Person, *scopes: str, **more: Any) -> "Bot":
        return cls(Signer.of(who, *(scopes or ("read", "trade")), **more))

    def sign(self, text: str) -> str:
        if self.key.private is not None:
            return base64.b64encode(self.key.private.sign(text.encode())).decode()
        return hmac.new(self.key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def signed(self, parameters: dict[str, Any]) -> str:
        """The query or the form, signed."""
        text = urlencode({"timestamp": now_ms(), **parameters})
        return f"{text}&{urlencode({'signature': self.sign(text)})}"

    def call(self, method: str, path: str, **parameters: Any) -> Any:
        """A signed request: a POST sends a form, all else a query."""
        text = self.signed(parameters)
        query, body = ("", text) if method == "POST" else (f"?{text}", "")
        return self.send(method, path + query, body)

    def send(self, method: str, target: str, body: str = "") -> Any:
        headers = {"X-MBX-APIKEY": self.key.key_id}
        return _parsed(self.client.generic(method, f"{API}/{target}", body, FORM, headers=headers))

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.call("GET", path, **parameters)
        assert answer.status_code == 200, answer.body
        return answer.body

    def place(self, line: str, **more: Any) -> Any:
        """POST the order of a line: "buy 1 @ 100 ioc", "sell 2 market"."""
        return self.call("POST", "order", **order(line), **more)


def order(line: str, symbol: str = "BTCUSD") -> dict[str, str]:
    """The parameters of a line."""
    side, quantity, *rest = line.upper().split()
    fields = {"symbol": symbol, "side": side, "quantity": quantity}
    if rest[0] == "MARKET":
        return {**fields, "type": "MARKET"}
    if rest[2:] == ["MAKER"]:
        return {**fields, "type": "LIMIT_MAKER", "price": rest[1]}
    return {**fields, "type": "LIMIT", "price": rest[1], "timeInForce": (rest[2:] or ["GTC"])[0]}


def _parsed(response: Any) -> Any:
    response.body = json.loads(response.content) if response.content else None
    return response
