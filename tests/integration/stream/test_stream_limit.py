"""Opening a stream is a request like any other: counted for its caller, and refused when it is one too many."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from base.streams import issue_ticket
from base.web.accounts import Credential
from base.web.ratelimit import meter
from base.web.ratelimit.windows import LocalWindow
from exchange.asgi import MARKET_PATH, ORDER_STATUS_PATH
from tests.integration.stream.cast import Cast, connect
from tests.integration.stream.client import StreamClient

pytestmark = pytest.mark.django_db(transaction=True)
MARKET = f"{MARKET_PATH}BTC-USD"


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two requests a second, and the second never ends."""
    monkeypatch.setattr(meter, "_window", LocalWindow(lambda: 0.0))
    with override_settings(RATE_LIMIT=2):
        yield


def told(client: StreamClient) -> str:
    """Status, limit and what is left: "200 2 1"."""
    with client:
        assert client.headers["x-ratelimit-reset"].isdecimal()
        limits = [client.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining")]
    return " ".join([str(client.status), *limits])


def test_a_stream_is_one_request_of_its_user(cast: Cast, port: int) -> None:
    assert told(connect(port, cast.alice)) == "200 2 1"
    assert told(connect(port, cast.alice, "/api/v1/orders")) == "200 2 0"
    with connect(port, cast.alice) as refused:
        body = refused.body()
    assert told(refused) == "429 2 0"
    assert refused.headers["retry-after"] == "1"
    assert (body["error"], body["data"]["bucket"]) == ("TOO_MANY_REQUESTS", "requests")
    assert told(connect(port, cast.bob)) == "200 2 1"


def test_a_ticket_counts_for_its_owner(cast: Cast, port: int) -> None:
    for left in (1, 0):
        path = f"{ORDER_STATUS_PATH}?ticket={issue_ticket(Credential(cast.alice.pk))}"
        assert told(connect(port, path=path)) == f"200 2 {left}"
    assert told(connect(port, cast.alice)) == "429 2 0"
    assert told(connect(port, path=MARKET)) == "200 2 1"


def test_a_refusal_counts_for_whom_it_concerns(cast: Cast, port: int) -> None:
    others = f"{ORDER_STATUS_PATH}?userId={cast.bob.pk}"
    assert told(connect(port, cast.alice, others)) == "403 2 1"
    assert told(StreamClient(port, ORDER_STATUS_PATH, method="POST")) == "405 2 1"
    assert told(connect(port, Authorization="Bearer x.y.z")) == "401 2 0"
    assert told(connect(port, Authorization="Bearer x.y.z")) == "429 2 0"


def test_a_forged_header_makes_nobody_else_of_a_client(cast: Cast, port: int) -> None:
    answers = [told(connect(port, path=MARKET, **{"X-Forwarded-For": f"203.0.113.{n}"})) for n in range(3)]
    assert answers == ["200 2 1", "200 2 0", "429 2 0"]
    assert told(connect(port, path=f"{MARKET_PATH}NONE")) == "429 2 0"


def test_behind_a_proxy_the_address_is_what_it_wrote(cast: Cast, port: int) -> None:
    def behind(*lines: str) -> str:
        """Each line is a header of its own, as some proxies add them."""
        return told(StreamClientOf(port, MARKET, *lines))

    with override_settings(TRUSTED_PROXIES=1):
        answers = [behind(f"203.0.113.{n}", "192.0.2.1") for n in range(3)]
        assert answers == ["200 2 1", "200 2 0", "429 2 0"]
        assert behind("192.0.2.1, 192.0.2.2") == "200 2 1"


class StreamClientOf(StreamClient):
    """Sends X-Forwarded-For once for each of the values."""

    def __init__(self, port: int, path: str, *forwarded_for: str, **headers: Any) -> None:
        super().__init__(port, path, X_Forwarded_For="\r\nX-Forwarded-For: ".join(forwarded_for), **headers)


def test_whoever_is_not_limited_is_told_nothing(cast: Cast, port: int) -> None:
    cast.alice.rate_limit = 0
    cast.alice.save()
    for _ in range(5):
        with connect(port, cast.alice) as client:
            assert client.status == 200
            assert "x-ratelimit-limit" not in client.headers
