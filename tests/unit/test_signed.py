"""What a signature covers, whatever server handed the request on."""

from pathlib import Path
from typing import Any

import pytest

from base.web.keys.errors import SignatureInvalid
from base.web.keys.signed import Algorithm, SignedRequest, request_target
from tests.support.signing import Signer

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api.md"
WRITTEN = "/api/v1/orders/client/a%3ab?symbol=BTC%2DUSD&x=%7B%7d"


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"RAW_URI": WRITTEN, "PATH_INFO": "/api/v1/orders/client/a:b"}, WRITTEN),
        (
            {
                "asgi.scope": {
                    "raw_path": WRITTEN.partition("?")[0].encode(),
                    "query_string": WRITTEN.partition("?")[2].encode(),
                },
                "PATH_INFO": "/api/v1/orders/client/a:b",
            },
            WRITTEN,
        ),
        ({"asgi.scope": {"raw_path": b"/api/v1/orders", "query_string": b""}}, "/api/v1/orders"),
        # A server that keeps nothing of the request line: as it would have been written by most.
        ({"asgi.scope": {"path": "/a b", "query_string": b"c=d"}}, "/a%20b?c=d"),
        ({"PATH_INFO": "/api/v1/orders/client/a:b c", "QUERY_STRING": "x=%7B"}, "/api/v1/orders/client/a:b%20c?x=%7B"),
    ],
    ids=["gunicorn", "uvicorn", "no query", "another ASGI server", "another WSGI server"],
)
def test_the_path_is_that_of_the_request_line(environ: dict[str, Any], target: str) -> None:
    assert request_target(environ) == target.encode()


def signed_request(signature: str, target: str, body: bytes) -> SignedRequest:
    headers = {"x-api-key": "k", "x-timestamp": "1767225600000", "x-signature": signature}
    return SignedRequest.read(headers, "POST", target.encode("latin-1"), body, "127.0.0.1")


def test_the_documented_signature() -> None:
    secret, body = (
        "0123456789abcdef" * 4,
        b'{"symbol":"BTC-USD","side":"BUY","type":"LIMIT","price":"100","quantity":"1"}',
    )
    signature = Signer("k", secret).sign("1767225600000", "POST", "/api/v1/orders", body)
    text = DOCUMENT.read_text()
    assert all(f"`{part}`" in text for part in (secret, signature, body.decode()))
    signed_request(signature, "/api/v1/orders", body).check_signature(Algorithm.HMAC, secret.encode())


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/orders?a={", b"}"),
        ("/orders?a=", b'x{"b":1}'),
        ("/orders?a=\xe9", b""),
        ("http://here/orders", b""),
        ("", b"{}"),
    ],
)
def test_what_could_be_taken_for_another_request_is_not_signed(target: str, body: bytes) -> None:
    """Though the signature is right by the letter."""
    signature = Signer("k", "s").sign("1767225600000", "POST", target, body)
    with pytest.raises(SignatureInvalid):
        signed_request(signature, target, body).check_signature(Algorithm.HMAC, b"s")


def test_a_signature_of_ed25519_in_other_forms_is_none() -> None:
    for signature in ("", "AAAA", "=" * 88, "A" * 200, "0" * 64):
        with pytest.raises(SignatureInvalid):
            signed_request(signature, "/orders", b"").check_signature(Algorithm.ED25519, bytes(32))
