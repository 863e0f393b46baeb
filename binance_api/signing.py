"""Requests that are signed as Binance's clients sign: by the parameters, over which the signature is one of them.

The keys are those of `/api/v1/keys`, with their scopes, addresses and expiry: only what is signed is another text. Over
REST it is the query string and the body one after the other, as they were sent, without the parameter `signature`;
over a WebSocket the parameters sorted by name and joined with `&`. A method and a path are not part of it. So that a
signature of a read is not good for a write, every signature is used up by its first request; a read that comes again is
answered all the same, because clients send the same one twice within a millisecond.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from base.web.authentication import Caller, signer
from base.web.keys.known import KEY_ID_LENGTH
from base.web.keys.signed import LONGEST_WINDOW, SignedRequest
from binance_api.errors import AHEAD, BAD_KEY, LATE, Refused, missing

KEY_HEADER = "X-MBX-APIKEY"
SIGNATURE, TIMESTAMP, WINDOW, API_KEY = "signature", "timestamp", "recvWindow", "apiKey"
# What a signed request has beside its own parameters.
OF_SIGNING = (TIMESTAMP, WINDOW, SIGNATURE)
DEFAULT_WINDOW = 5_000
# By so much a client's clock may be ahead, in milliseconds.
MOST_AHEAD = 1_000
# A time of so many digits is in microseconds, which Binance takes too.
_MICROSECONDS = 16
_WHOLE = re.compile(r"[0-9]{1,16}", re.ASCII)
_WINDOW = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?", re.ASCII)
_KEY = re.compile(rf"[A-Za-z0-9]{{{KEY_ID_LENGTH}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignedParameters(SignedRequest):
    """A request of which the parameters are signed: `payload` as it was signed."""

    payload: bytes = b""

    def check_time(self, now: float) -> None:
        """Raises Refused: -1021."""
        ahead = int(self.timestamp) - int(now * 1000)
        if ahead >= MOST_AHEAD:
            raise Refused(-1021, AHEAD)
        if -ahead > float(self.window):
            raise Refused(-1021, LATE)

    def _signed(self) -> bytes:
        return self.payload


def read_signed(
    key_id: str,
    parameters: Mapping[str, str],
    payload: bytes,
    address: str,
    *,
    method: str = "GET",
    path: str = "",
    opens_socket: bool = False,
) -> SignedParameters:
    """What a request says of itself. `path` is that of REST; `address` is where it comes from.

    A GET is a read. Raises Refused for a key that can be none, and for what is missing or no time.
    """
    if not _KEY.fullmatch(key_id):
        raise Refused(-2014, BAD_KEY, 401)
    for name in (TIMESTAMP, SIGNATURE):
        if not parameters.get(name):
            raise missing(name)
    timestamp, window = parameters[TIMESTAMP], parameters.get(WINDOW) or str(DEFAULT_WINDOW)
    if not _WHOLE.fullmatch(timestamp):
        raise Refused(-1100, "Illegal characters found in parameter 'timestamp'; legal range is '^[0-9]{1,20}$'.")
    if not _WINDOW.fullmatch(window):
        raise Refused(-1100, "Illegal characters found in parameter 'recvWindow'; legal range is '^[0-9]{1,5}$'.")
    if float(window) > LONGEST_WINDOW:
        raise Refused(-1131, f"recvWindow must be less than {LONGEST_WINDOW}")
    return SignedParameters(
        key_id,
        timestamp if len(timestamp) < _MICROSECONDS else timestamp[:-3],
        window,
        parameters[SIGNATURE],
        method,
        path.encode("latin-1", "replace"),
        b"",
        address,
        opens_socket,
        may_repeat=method == "GET" and not opens_socket,
        payload=payload,
    )


def sign_in(signed: SignedParameters) -> Caller:
    """Who signed. Raises Refused, and what `base.web.keys.use.key_of` raises, which the table puts in Binance's words.

    Whether a signature is one of Ed25519 or of HMAC goes by the kind of its key.
    """
    return signer(signed)


def rest_payload(query: bytes, body: bytes) -> bytes:
    """What is signed of a REST request: the query and the body as they were sent, without the signature."""
    return _without_signature(query) + _without_signature(body)


def socket_payload(parameters: Mapping[str, str]) -> bytes:
    """What is signed of a request over a WebSocket: its parameters, sorted by name."""
    names = sorted(name for name in parameters if name != SIGNATURE)
    return "&".join(f"{name}={parameters[name]}" for name in names).encode()


def _without_signature(text: bytes) -> bytes:
    return b"&".join(part for part in text.split(b"&") if not part.startswith(b"signature="))
