"""A request takes a thread when it has arrived as a whole, and one that a server might read otherwise is refused."""

import random

import pytest

from base.servers.arrival import DISCARDED_BYTES, HEAD_BYTES, Arrival
from base.web.errors import ExchangeError

MOST = 100
POST = b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\n"


def arrived(*pieces: bytes) -> list[bool]:
    arrival = Arrival(MOST)
    whole = []
    for piece in pieces:
        arrival.receive(piece)
        whole.append(arrival.is_whole)
    return whole


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"\r", b"\n"], [False, False, False, True]),
        ([POST + b"content-LENGTH:  4\t\r\n\r\n", b"abc", b"d"], [False, False, True]),
        ([POST + b"Content-Length: 4\r\n\r\nab", b"cdGET /next"], [False, True]),
        ([POST + b"Content-Length: 0\r\n\r\n"], [True]),
        ([POST + b"X: Content-Length: 9\r\n\r\n"], [True]),
    ],
)
def test_a_request_is_whole_with_the_last_byte_of_its_body(pieces: list[bytes], expected: list[bool]) -> None:
    assert arrived(*pieces) == expected


def test_where_a_request_is_cut_changes_nothing() -> None:
    text = POST + b"Content-Length: 5\r\nA: b\r\n\r\nhello"
    dice = random.Random(1)
    for _ in range(50):
        cuts = sorted(dice.sample(range(1, len(text)), 4))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert arrived(*pieces) == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([POST + b"Transfer-Encoding: chunked\r\n\r\n"], "LENGTH_REQUIRED"),
        ([POST + b"Content-Length: 5\r\nTRANSFER-ENCODING: x\r\n\r\nhello"], "LENGTH_REQUIRED"),
        ([POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"], "MALFORMED_REQUEST"),
        ([POST + b"Content-Length: +5\r\n\r\nhello"], "MALFORMED_REQUEST"),
        ([POST + b"Content-Length: 5, 5\r\n\r\nhello"], "MALFORMED_REQUEST"),
        ([POST + b"Content-Length: 99999999999999999999\r\n\r\n"], "MALFORMED_REQUEST"),
        ([POST + b"Content-Length: 101\r\n\r\n", b"x" * 100, b"x"], "BODY_TOO_LARGE"),
        ([POST + b"Content-Length: %d\r\n\r\n" % (DISCARDED_BYTES + 1)], "BODY_TOO_LARGE"),
        ([POST, b"A: " + b"x" * HEAD_BYTES], "HEAD_TOO_LARGE"),
    ],
)
def test_what_is_refused_is_refused_with_its_last_piece(pieces: list[bytes], error: str) -> None:
    arrival = Arrival(MOST)
    for piece in pieces[:-1]:
        arrival.receive(piece)
        assert not arrival.is_whole
    with pytest.raises(ExchangeError) as refused:
        arrival.receive(pieces[-1])
    assert refused.value.error == error
    assert len(arrival.data) < len(POST) + 200 + HEAD_BYTES, "what is thrown away is not kept"


def test_who_waits_for_a_word_before_the_body_gets_it() -> None:
    arrival = Arrival(MOST)
    arrival.receive(POST + b"Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n")
    assert arrival.wants_continue
    whole = Arrival(MOST)
    whole.receive(POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
    assert not whole.wants_continue
