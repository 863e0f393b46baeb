"""Who may listen to a stream."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client, override_settings
from rest_framework_simplejwt.tokens import AccessToken

from base.streams import issue_ticket, tickets
from base.web.accounts import Credential
from exchange.asgi import MARKET_PATH, ORDER_STATUS_PATH
from tests.integration.stream.cast import Cast, connect, opened, until_true
from tests.integration.stream.client import StreamClient

pytestmark = pytest.mark.django_db(transaction=True)


def test_nobody_listens_without_signing_in(cast: Cast, port: int) -> None:
    for headers in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic eDp5"}, {"Cookie": "sessionid=x"}):
        with connect(port, **headers) as client:
            body = client.body()
        assert client.status == 401, headers
        assert body["error"] == "NOT_AUTHENTICATED"
        assert set(body) == {"code", "error", "message", "data", "timestamp"}
        assert client.headers["www-authenticate"].startswith("Bearer")


def test_another_account_is_refused(cast: Cast, port: int) -> None:
    for named in (str(cast.bob.pk), "nobody", "9" * 40):
        with connect(port, cast.alice, f"{ORDER_STATUS_PATH}?userId={named}") as client:
            assert (client.status, client.body()["error"]) == (403, "NOT_YOUR_ACCOUNT")
    with connect(port, cast.alice, f"{ORDER_STATUS_PATH}?userId={cast.alice.pk}") as client:
        assert client.status == 200


def test_staff_may_name_another(cast: Cast, port: int) -> None:
    cast.alice.is_staff = True
    cast.alice.save()
    with connect(port, cast.alice, f"{ORDER_STATUS_PATH}?userId={cast.bob.pk}") as client:
        assert (client.status, client.body()["data"]) == (403, {"permission": "orders.view_order"})
    _allow(cast.alice)
    with connect(port, cast.alice, f"{ORDER_STATUS_PATH}?userId={cast.bob.pk}") as client:
        told = client.next()
    assert told is not None
    assert told.data == {"userId": cast.bob.pk}
    with connect(port, cast.alice, f"{ORDER_STATUS_PATH}?userId=99999") as client:
        assert (client.status, client.body()["error"]) == (404, "USER_NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "error", "field"),
    [
        (f"{ORDER_STATUS_PATH}?userid=1", "PARAMETER_UNKNOWN", "userid"),
        (f"{ORDER_STATUS_PATH}?lastEventId=1&lastEventId=2", "PARAMETER_REPEATED", "lastEventId"),
        (f"{MARKET_PATH}BTC-USD?levels=5", "PARAMETER_UNKNOWN", "levels"),
    ],
)
def test_parameters_that_a_stream_does_not_know(cast: Cast, port: int, path: str, error: str, field: str) -> None:
    with connect(port, cast.alice, path) as client:
        body = client.body()
    assert (client.status, body["error"], body["data"]["field"]) == (400, error, field)


def test_only_get(cast: Cast, port: int) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        with StreamClient(port, ORDER_STATUS_PATH, method=method) as client:
            assert (client.status, client.body()["error"]) == (405, "METHOD_NOT_ALLOWED")
            assert client.headers["allow"] == "GET"


def test_a_barred_user_is_refused(cast: Cast, port: int) -> None:
    token = f"Bearer {AccessToken.for_user(cast.alice)}"
    cast.alice.is_active = False
    cast.alice.save()
    with connect(port, Authorization=token) as client:
        assert client.status == 401


def test_a_session_signs_in(cast: Cast, port: int) -> None:
    browser = Client()
    browser.force_login(cast.alice)
    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"
    with connect(port, Cookie=cookie) as client:
        told = client.next()
    assert told is not None
    assert told.data == {"userId": cast.alice.pk}
    browser.logout()
    with connect(port, Cookie=cookie) as client:
        assert client.status == 401


def test_a_ticket_is_good_once(cast: Cast, port: int) -> None:
    ticket = issue_ticket(Credential(cast.alice.pk))
    assert len(ticket) >= 22
    with connect(port, path=f"{ORDER_STATUS_PATH}?ticket={ticket}") as client:
        told = client.next()
    assert told is not None
    assert told.data == {"userId": cast.alice.pk}
    for used in (ticket, "garbage", "%00%ff" * 1000):
        with connect(port, path=f"{ORDER_STATUS_PATH}?ticket={used}") as client:
            assert client.status == 401


def test_a_browser_that_is_cut_off_comes_again_with_its_used_ticket(
    cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an EventSource does by itself: the same URL, and the header Last-Event-ID."""
    path = f"{ORDER_STATUS_PATH}?ticket={issue_ticket(Credential(cast.alice.pk))}"
    with connect(port, path=path) as client:
        assert [told.type for told in client.take(1)] == ["connected"]
        last_event_id = client.last_event_id
    # Two processes that do not share their memory, and long after the time of the ticket itself.
    monkeypatch.setattr(tickets, "_used", {})
    monkeypatch.setattr(tickets, "_open", {})
    now = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + 3600)
    missed = cast.tell(cast.alice, published=False)
    with connect(port, path=path, Last_Event_ID=last_event_id) as client:
        assert client.ids(2) == [None, missed.event_id]
    with connect(port, path=f"{path}&lastEventId={last_event_id}") as client:
        assert client.ids(2) == [None, missed.event_id]
    with connect(port, path=path) as client:
        assert client.status == 401, "it does not say what it saw last"


@pytest.mark.parametrize("change", ["no power", "no staff"])
def test_a_stream_of_anothers_orders_ends_with_the_power(
    cast: Cast, port: int, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Security: staff who are staff no more, or lose the permission, hear no more of others within 3 seconds."""
    monkeypatch.setattr("base.streams.permissions.PERMISSION_SECONDS", 0.3)
    cast.alice.is_staff = True
    cast.alice.save()
    _allow(cast.alice)
    with (
        connect(port, cast.alice) as own,
        connect(port, cast.alice, f"{ORDER_STATUS_PATH}?userId={cast.bob.pk}") as bobs,
    ):
        assert (own.status, bobs.status) == (200, 200)
        if change == "no staff":
            get_user_model().objects.filter(pk=cast.alice.pk).update(is_staff=False)
        else:
            cast.alice.user_permissions.clear()
        assert until_true(lambda: bobs.next(0.1) is None and bobs.ended, 8)
        own.next(0.2)
        assert not own.ended, "one's own stream goes on"


def _allow(user: Any) -> None:
    user.user_permissions.add(Permission.objects.get(codename="view_order"))


def test_a_used_ticket_is_good_for_its_own_stream_alone(cast: Cast, port: int) -> None:
    cast.alice.is_staff = True
    cast.alice.save()
    _allow(cast.alice)
    path = f"{ORDER_STATUS_PATH}?ticket={issue_ticket(Credential(cast.alice.pk))}"
    with connect(port, path=f"{path}&userId={cast.bob.pk}") as client:
        assert client.status == 200
    with connect(port, path=path, Last_Event_ID="0") as client:
        assert client.status == 401
    with connect(port, path=f"{path}&userId={cast.bob.pk}", Last_Event_ID="0") as client:
        assert client.status == 200


def test_a_used_ticket_is_good_while_its_stream_lives_and_a_moment_longer(
    cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "AGAIN_SECONDS", 1)
    monkeypatch.setattr(tickets, "_open", {})
    monkeypatch.setattr("base.streams.open_stream.RENEW_SECONDS", 0.4)
    monkeypatch.setattr("base.streams.application.KEEP_ALIVE_SECONDS", 0.2)
    path = f"{ORDER_STATUS_PATH}?ticket={issue_ticket(Credential(cast.alice.pk))}"
    with connect(port, path=path) as first:
        time.sleep(1.5)
        with connect(port, path=path, Last_Event_ID="0") as second:
            assert second.status == 200, "its stream is open"
            assert until_true(lambda: first.next(0.1) is None and first.ended, 3), "one stream at a time"
    time.sleep(1.5)
    with connect(port, path=path, Last_Event_ID="0") as client:
        assert client.status == 401


@pytest.mark.parametrize("change", [{"is_active": False}, {"stamp": "another"}], ids=["barred", "signed out"])
def test_a_ticket_is_not_good_again_for_who_was(cast: Cast, port: int, change: dict[str, Any]) -> None:
    path = f"{ORDER_STATUS_PATH}?ticket={issue_ticket(Credential(cast.alice.pk))}"
    with connect(port, path=path) as client:
        assert client.status == 200
    get_user_model().objects.filter(pk=cast.alice.pk).update(**change)
    with connect(port, path=path, Last_Event_ID="0") as client:
        assert client.status == 401


def test_of_two_that_bring_one_ticket_one_gets_in(cast: Cast, port: int) -> None:
    for _ in range(10):
        path = f"{ORDER_STATUS_PATH}?ticket={issue_ticket(Credential(cast.alice.pk))}"
        with ThreadPoolExecutor(8) as pool:
            clients = list(pool.map(lambda _, path=path: connect(port, path=path), range(8)))
        assert sorted(client.status for client in clients) == [200] + [401] * 7
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("limits", "scope"),
    [({"STREAM_MAX_PER_ADDRESS": 2}, "address"), ({"STREAM_MAX_PRIVATE": 2}, "private")],
    ids=["of an address", "in all"],
)
def test_many_accounts_have_not_every_stream(cast: Cast, port: int, limits: dict[str, int], scope: str) -> None:
    """Signed in or not: an attacker has as many accounts as it likes."""
    with (
        override_settings(**limits),
        opened(port, cast.alice),
        opened(port, cast.bob),
        connect(port, cast.alice) as client,
    ):
        assert client.status == 429
        assert client.body()["data"] == {"limit": 2, "scope": scope}


def test_one_user_has_not_every_connection(cast: Cast, port: int) -> None:
    with override_settings(STREAM_MAX_PER_USER=3):
        clients = [opened(port, cast.alice) for _ in range(3)]
        with connect(port, cast.alice) as client:
            assert (client.status, client.body()["error"]) == (429, "TOO_MANY_STREAMS")
        with opened(port, cast.bob):
            pass
        clients.pop().close()
        deadline = time.monotonic() + 5
        while connect(port, cast.alice).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for client in clients:
            client.close()
