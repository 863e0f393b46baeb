"""A request that is signed by a key: what its headers say, and whether it was signed by the key's owner.

What is signed is `timestamp + method + path with query + body`: the text of X-Timestamp, the method in capitals, the
path with its query as they stand in the request line, and the bytes of the body. Nothing stands between the parts. So
that no byte of one part can pass for another's, a path with a brace in it is refused, which no client sends (it is
written %7B), and so is a body that does not begin with one: the bodies of this API are JSON objects.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from base.web.keys.errors import SignatureInvalid, TimestampOutOfWindow

KEY, TIMESTAMP, WINDOW, SIGNATURE = "x-api-key", "x-timestamp", "x-recv-window", "x-signature"
HEADERS = (KEY, TIMESTAMP, WINDOW, SIGNATURE)
DEFAULT_WINDOW, LONGEST_WINDOW = 5_000, 60_000
# A client's clock may be ahead by so much.
MOST_AHEAD = 5_000
# Of the headers no more is read: a longer one is none.
LONGEST = 200
# Whatever may stand in a request line, but for braces.
_TARGET = re.compile(rb"/[!-z|~]*")
_BODY = re.compile(rb"[ \t\r\n]*\{")
_UNQUOTED = "/:@!$&'()*+,;=-._~"


class Algorithm(StrEnum):
    """How a key signs."""

    HMAC = "HMAC"
    ED25519 = "ED25519"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a request says of itself. `timestamp` is the text that was signed, `address` where it comes from.

    `opens_socket`: it signs in a WebSocket, over which the key then does whatever it may. `may_repeat`: its signature
    may have been used before, because it only reads.
    """

    key_id: str
    timestamp: str
    window: str
    signature: str
    method: str
    target: bytes
    body: bytes
    address: str
    opens_socket: bool = False
    may_repeat: bool = False

    @classmethod
    def read(cls, headers: Mapping[str, str], method: str, target: bytes, body: bytes, address: str) -> "SignedRequest":
        """`headers` by their names in small letters; of one that came twice both values, with a comma between."""
        key_id, timestamp, window, signature = (headers.get(name, "").strip() for name in HEADERS)
        return cls(key_id, timestamp, window or str(DEFAULT_WINDOW), signature, method, target, body, address)

    @property
    def digest(self) -> str:
        """Of all that is signed, and of the key: two signatures of the same request are one."""
        return hashlib.sha256(b"%s\n%s" % (self.key_id.encode("latin-1", "replace"), self._signed())).hexdigest()

    def check_time(self, now: float) -> None:
        """Raises TimestampOutOfWindow. `now` is in seconds since 1970."""
        server = int(now * 1000)
        window, signed_at = _whole(self.window), _whole(self.timestamp)
        if window is None or not 0 < window <= LONGEST_WINDOW:
            raise TimestampOutOfWindow(f"X-Recv-Window must be 1 to {LONGEST_WINDOW}", serverTime=server)
        if signed_at is None:
            raise TimestampOutOfWindow("X-Timestamp must be milliseconds since 1970", serverTime=server)
        ahead = signed_at - server
        if not -window <= ahead <= min(window, MOST_AHEAD):
            words = f"{ahead} ms ahead of" if ahead > 0 else f"{-ahead} ms behind"
            raise TimestampOutOfWindow(f"X-Timestamp is {words} the server's clock", serverTime=server)

    def check_signature(self, algorithm: Algorithm, secret: bytes) -> None:
        """Raises SignatureInvalid. `secret` is that of an HMAC, or a public key of Ed25519."""
        try:
            check = _hmac if algorithm is Algorithm.HMAC else _ed25519
            check(secret, self.signature[: LONGEST + 1], self._signed())
        except (ValueError, InvalidSignature) as error:
            raise SignatureInvalid(
                "X-Signature does not sign timestamp + method + path with query + body by this key"
            ) from error

    def _signed(self) -> bytes:
        """Raises SignatureInvalid for what could be taken for another request."""
        if not _TARGET.fullmatch(self.target):
            raise SignatureInvalid("a path that is signed is percent-encoded, its braces too")
        if self.body and not _BODY.match(self.body):
            raise SignatureInvalid("a body that is signed is a JSON object")
        return b"%s%s%s%s" % (self.timestamp.encode("latin-1", "replace"), self.method.encode(), self.target, self.body)


def request_target(environ: Mapping[str, Any]) -> bytes:
    """The path with its query as the client wrote them, from what each of the servers keeps of the request line."""
    if (scope := environ.get("asgi.scope")) is not None:
        return scope_target(scope)
    if raw := environ.get("RAW_URI"):
        return str(raw).encode("latin-1", "replace")
    path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"), safe=_UNQUOTED)
    query = environ.get("QUERY_STRING", "")
    return f"{path}?{query}".encode("latin-1", "replace") if query else path.encode()


def scope_target(scope: Mapping[str, Any]) -> bytes:
    """The same, of an ASGI scope."""
    path: bytes = scope.get("raw_path") or quote(scope["path"], safe=_UNQUOTED).encode()
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path


def _hmac(secret: bytes, signature: str, signed: bytes) -> None:
    given = bytes.fromhex(signature) if re.fullmatch("[0-9a-fA-F]{64}", signature) else b""
    if not hmac.compare_digest(given, hmac.digest(secret, signed, "sha256")):
        raise InvalidSignature


def _ed25519(public_key: bytes, signature: str, signed: bytes) -> None:
    try:
        given = base64.b64decode(signature, validate=True)
    except binascii.Error as error:
        raise InvalidSignature from error
    Ed25519PublicKey.from_public_bytes(public_key).verify(given, signed)


def _whole(text: str) -> int | None:
    """A number in plain digits, and not one too many."""
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else None
