"""By what a client is known to the exchange: nothing, a token, a name and a password, or an API key."""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .calls.account import Tokens, renew, sign_in
from .calls.call import PREFIX, Call
from .errors import ClearbellError, NoAnswer, NotSignedIn, Refused
from .steps import Alone, Steps

try:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
except ImportError:  # pragma: no cover
    serialization = Ed25519PrivateKey = None  # type: ignore[assignment, misc]

# A token is renewed when so much of its life is over.
RENEW_AFTER = 0.7
# The clock was set back: what is so far ahead is not waited for.
LONGEST_AHEAD_MS = 1000
SOCKET_TARGET = f"{PREFIX}/ws"
Headers = Mapping[str, str]


class Ask(Protocol):
    """How a credential asks the exchange something, by nobody's name."""

    def __call__(self, call: Call[Tokens]) -> Steps[Tokens]: ...


class Credentials(Protocol):
    """What signs requests."""

    def headers(self, method: str, target: str, content: bytes, ask: Ask) -> Steps[Headers]:
        """The headers that name the user, for one attempt."""

    def socket_fields(self, ask: Ask) -> Steps[Mapping[str, Any]]:
        """The fields of `auth` of a WebSocket."""

    def was_refused(self, refusal: NotSignedIn, headers: Headers) -> bool:
        """Whether the same request may succeed when it is signed anew, after it was refused with these headers."""


def _at_once(value: Any) -> Steps[Any]:
    """No steps at all."""
    return value
    yield


@dataclass
class Nobody:
    """What anybody may ask."""

    def headers(self, method: str, target: str, content: bytes, ask: Ask) -> Steps[Headers]:
        return _at_once({})

    def socket_fields(self, ask: Ask) -> Steps[Mapping[str, Any]]:
        return _at_once({})

    def was_refused(self, refusal: NotSignedIn, headers: Headers) -> bool:
        return False


@dataclass
class AccessToken:
    """A token that somebody else got, and renews."""

    token: str

    def headers(self, method: str, target: str, content: bytes, ask: Ask) -> Steps[Headers]:
        return _at_once(_bearer(self.token))

    def socket_fields(self, ask: Ask) -> Steps[Mapping[str, Any]]:
        return _at_once({"token": self.token})

    def was_refused(self, refusal: NotSignedIn, headers: Headers) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class _Session:
    access: str
    refresh: str
    renew_at: float


class Password:
    """A name and a password. Signs in when it is needed, and renews its token before it ends, and when it has ended.

    A refresh token is good once, so one request at a time renews it, and the others wait for that.
    """

    def __init__(self, username: str, password: str) -> None:
        self.username = username
        self._password = password
        self._session: _Session | None = None

    def headers(self, method: str, target: str, content: bytes, ask: Ask) -> Steps[Headers]:
        session = yield from self._good(ask)
        return _bearer(session.access)

    def socket_fields(self, ask: Ask) -> Steps[Mapping[str, Any]]:
        session = yield from self._good(ask)
        return {"token": session.access}

    def was_refused(self, refusal: NotSignedIn, headers: Headers) -> bool:
        if refusal.code != "NOT_AUTHENTICATED":
            # A password in the body is wrong, and each attempt with it counts.
            return False
        session = self._session
        # Another request may have renewed it meanwhile: then there is nothing to forget.
        if session is not None and _bearer(session.access) == headers:
            is_over = refusal.data.get("reason") == "TOKEN_EXPIRED"
            self._session = _Session(session.access, session.refresh, 0.0) if is_over else None
        return True

    def _good(self, ask: Ask) -> Steps[_Session]:
        session = self._session
        if session is None or time.monotonic() >= session.renew_at:
            session = yield Alone(self._renewed(ask))
        return session

    def _renewed(self, ask: Ask) -> Steps[_Session]:
        session = self._session
        if session is not None and time.monotonic() < session.renew_at:
            return session
        tokens = None
        if session is not None:
            try:
                tokens = yield from ask(renew(session.refresh))
            except (NotSignedIn, NoAnswer):
                # It is over, or the answer with the next refresh token is lost.
                tokens = None
        if tokens is None:
            tokens = yield from ask(sign_in(self.username, self._password))
        self._session = _Session(
            tokens.access_token, tokens.refresh_token, time.monotonic() + RENEW_AFTER * tokens.expires_in
        )
        return self._session


class _Key:
    """An API key. The exchange's clock counts: where ours is off, it is asked for the difference."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self._ahead_ms = 0
        self._last_ms = 0
        self._lock = threading.Lock()

    def headers(self, method: str, target: str, content: bytes, ask: Ask) -> Steps[Headers]:
        timestamp = self._timestamp()
        signature = self._signature(f"{timestamp}{method}{target}".encode() + content)
        return _at_once({"X-API-Key": self.key_id, "X-Timestamp": timestamp, "X-Signature": signature})

    def socket_fields(self, ask: Ask) -> Steps[Mapping[str, Any]]:
        timestamp = self._timestamp()
        signature = self._signature(f"{timestamp}GET{SOCKET_TARGET}".encode())
        return _at_once({"apiKey": self.key_id, "timestamp": int(timestamp), "signature": signature})

    def was_refused(self, refusal: NotSignedIn, headers: Headers) -> bool:
        if refusal.code == "SIGNATURE_REPLAYED":
            # Two requests of one millisecond, or one that a proxy sent twice.
            return True
        server_time = refusal.data.get("serverTime")
        if refusal.code != "TIMESTAMP_OUT_OF_WINDOW" or not isinstance(server_time, int):
            return False
        self._ahead_ms = int(time.time() * 1000) - server_time
        return True

    def _timestamp(self) -> str:
        """Each is later than the one before: two equal requests in a millisecond would have the same signature."""
        with self._lock:
            now = int(time.time() * 1000)
            self._last_ms = max(now, self._last_ms + 1) if self._last_ms - now < LONGEST_AHEAD_MS else now
            return str(self._last_ms - self._ahead_ms)

    def _signature(self, signed: bytes) -> str:
        raise NotImplementedError


class HmacKey(_Key):
    """An API key whose requests are signed by its secret."""

    def __init__(self, key_id: str, secret: str) -> None:
        super().__init__(key_id)
        self._secret = secret.encode()

    def _signature(self, signed: bytes) -> str:
        return hmac.new(self._secret, signed, hashlib.sha256).hexdigest()


class Ed25519Key(_Key):
    """An API key whose requests are signed by a private key, of which the exchange knows the public half alone.

    `private_key` is a PEM, or its 32 bytes. Needs `pip install clearbell[ed25519]`.
    """

    def __init__(self, key_id: str, private_key: bytes | str) -> None:
        super().__init__(key_id)
        if serialization is None:
            raise ClearbellError("ED25519 needs the package cryptography: pip install clearbell[ed25519]")
        given = private_key.encode() if isinstance(private_key, str) else private_key
        key: Any = (
            Ed25519PrivateKey.from_private_bytes(given)
            if len(given) == 32
            else serialization.load_pem_private_key(given, None)
        )
        if not isinstance(key, Ed25519PrivateKey):
            raise ClearbellError("the private key is none of ED25519")
        self._private = key

    @property
    def public_key(self) -> str:
        """What `make_key` asks for."""
        raw = self._private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def _signature(self, signed: bytes) -> str:
        return base64.b64encode(self._private.sign(signed)).decode()


def headers_of(fields: Mapping[str, Any]) -> Headers:
    """By what `was_refused` knows which token the fields of `auth` had."""
    return _bearer(fields["token"]) if "token" in fields else {}


def _bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


__all__ = ["AccessToken", "Credentials", "Ed25519Key", "HmacKey", "Nobody", "Password", "Refused"]
