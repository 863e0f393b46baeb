"""Sessions: signing in, fresh tokens, logging out, and what ends with them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from base.streams import signin
from base.streams.request import StreamRequest
from base.streams.signin import Permit, as_now, barred
from base.web.accounts import Credential, find_accounts, forget_account
from base.web.authentication import Caller
from base.web.errors import NotAuthenticated
from base.web.ratelimit.meter import Meter
from base.web.tokens import AccessToken, RefreshToken
from exchange.celery import app
from matching.worker.tasks import delete_expired_sessions
from orders import accounts
from tests.support.world import Person, World
from users import sessions
from users.acts import Actor
from users.models import Session, User

pytestmark = pytest.mark.dialect

PASSWORD, NEXT = "correct horse", "battery staple"


@pytest.fixture
def dora(db: None) -> Person:
    """A user with a password, who is not signed in."""
    user = User.objects.create(username="dora", email="dora@example.com")
    user.set_password(PASSWORD)
    user.stamp = ""
    user.save()
    return Person(user, APIClient(raise_request_exception=False))


def sign_in(who: Person, password: str = PASSWORD) -> dict[str, Any]:
    """Open a session. Returns its tokens."""
    who.client.credentials()
    answer = who.call("POST", "/auth/token", {"username": who.user.username, "password": password})
    assert answer.status_code == 200, answer.body
    return dict(answer.body["data"])


def told(answer: Any) -> str:
    """The status, and the code of a refusal: "401 TOKEN_REUSED"."""
    return f"{answer.status_code} {answer.body['error']}" if answer.status_code >= 400 else str(answer.status_code)


def refreshed(who: Person, tokens: dict[str, Any]) -> Any:
    who.client.credentials()
    return who.call("POST", "/auth/token/refresh", {"refreshToken": tokens["refreshToken"]})


def use(who: Person, tokens: dict[str, Any], method: str = "GET", path: str = "/orders", body: Any = None) -> str:
    """Make a call with the access token."""
    who.client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['accessToken']}")
    return told(who.call(method, path, body))


def credential_of(tokens: dict[str, Any]) -> Credential:
    """By what a stream is open that was opened with the access token."""
    user_id, session_id = tokens["userId"], AccessToken(tokens["accessToken"])["sid"]
    return Credential(user_id, find_accounts([user_id])[user_id].stamp, session_id)


def test_a_refresh_token_is_good_once(dora: Person) -> None:
    first = sign_in(dora)
    assert (first["userId"], first["username"]) == (dora.user.id, "dora")
    second = refreshed(dora, first).body["data"]
    assert set(second) == {"accessToken", "refreshToken", "expiresIn"}
    assert use(dora, second) == "200"
    third = refreshed(dora, second).body["data"]
    other = sign_in(dora)
    assert told(refreshed(dora, first)) == "401 TOKEN_REUSED"
    assert told(refreshed(dora, third)) == "401 NOT_AUTHENTICATED", "the session is over for both who have its tokens"
    assert told(refreshed(dora, second)) == "401 TOKEN_REUSED"
    assert use(dora, third) == "401 NOT_AUTHENTICATED"
    assert use(dora, other) == "200"


@pytest.mark.django_db(transaction=True)
def test_of_two_that_bring_one_refresh_token_one_wins() -> None:
    user = User.objects.create(username="dora", email="dora@example.com")
    now = timezone.now()

    def renew(token: str) -> str:
        try:
            return sessions.renew(token).refresh
        except sessions.TokenReused:
            return ""
        finally:
            connection.close()

    for _ in range(5):
        refresh = RefreshToken.for_user(user)
        times = {"created_at": now, "renewed_at": now, "expires_at": now + timedelta(days=1)}
        refresh["sid"] = Session.objects.create(user=user, stamp="", token_id=refresh["jti"], **times).pk
        with ThreadPoolExecutor(4) as pool:
            winners = [token for token in pool.map(renew, [str(refresh)] * 4) if token]
        assert len(winners) == 1


def test_a_log_out_ends_one_session(dora: Person) -> None:
    here, there = sign_in(dora), sign_in(dora)
    permits = [Permit(credential_of(tokens)) for tokens in (here, there)]
    assert barred(permits) == set()
    renewed = refreshed(dora, here).body["data"]
    assert use(dora, here, "POST", "/auth/logout", {"refreshToken": renewed["refreshToken"]}) == "204"
    assert barred(permits) == {permits[0]}
    assert [use(dora, tokens) for tokens in (here, renewed, there)] == ["401 NOT_AUTHENTICATED"] * 2 + ["200"]
    assert told(refreshed(dora, renewed)) == "401 NOT_AUTHENTICATED"
    dora.client.credentials()
    for body, outcome in (
        ({"refreshToken": renewed["refreshToken"]}, "204"),
        ({"refreshToken": "x.y.z"}, "401 NOT_AUTHENTICATED"),
        ({"refreshToken": there["accessToken"]}, "401 NOT_AUTHENTICATED"),
        ({}, "400 FIELD_REQUIRED"),
        ({"everywhere": True}, "401 NOT_AUTHENTICATED"),
        ({"refreshToken": there["refreshToken"]}, "204"),
    ):
        assert told(dora.call("POST", "/auth/logout", body)) == outcome, body


def test_a_session_that_this_process_has_not_heard_of_is_good_on_a_websocket(dora: Person) -> None:
    """It was opened a moment ago, in another process, and a ticket of it opened the socket here."""
    assert use(dora, sign_in(dora)) == "200", "the account is remembered"
    caller = Caller(credential_of(sign_in(dora)), None)
    assert as_now(caller).credential == caller.credential
    Session.objects.all().delete()
    forget_account(dora.user.id)
    with pytest.raises(NotAuthenticated):
        as_now(caller)


def test_nobody_ends_the_session_of_another(world: World, dora: Person) -> None:
    tokens = sign_in(dora)
    taken = world.alice.call("POST", "/auth/logout", {"refreshToken": tokens["refreshToken"]})
    assert told(taken) == "401 NOT_AUTHENTICATED"
    assert use(dora, tokens) == "200"


def everywhere(dora: Person, here: dict[str, Any], operator: Client) -> str:
    return use(dora, here, "POST", "/auth/logout", {"everywhere": True})


def new_password(dora: Person, here: dict[str, Any], operator: Client) -> str:
    return use(dora, here, "POST", "/users/me/password", {"currentPassword": PASSWORD, "newPassword": NEXT})


def deactivated(dora: Person, here: dict[str, Any], operator: Client) -> str:
    """In the admin, and active again afterwards."""
    url = reverse("admin:users_user_change", args=[dora.user.id])
    body = {"username": "dora", "email": "dora@example.com"}
    for form in (body, {**body, "is_active": "on"}):
        assert operator.post(url, form).status_code == 302
    forget_account(dora.user.id)
    return "204"


def operators_password(dora: Person, here: dict[str, Any], operator: Client) -> str:
    url = reverse("admin:auth_user_password_change", args=[dora.user.id])
    form = {"usable_password": "true", "password1": NEXT, "password2": NEXT}
    assert operator.post(url, form).status_code == 302
    return "204"


def killed(dora: Person, here: dict[str, Any], operator: Client) -> str:
    accounts.kill(dora.user.id, Actor(dora.user.id, "127.0.0.1"))
    accounts.lift(dora.user.id, Actor(dora.user.id, "127.0.0.1"))
    forget_account(dora.user.id)
    return "204"


@pytest.mark.parametrize("end", [everywhere, new_password, deactivated, operators_password, killed])
def test_all_sessions_end(dora: Person, operator: Client, end: Callable[..., str]) -> None:
    here, there = sign_in(dora), sign_in(dora)
    by_hand = {"accessToken": str(AccessToken.for_user(dora.user))}
    open_streams = [Permit(credential_of(here)), Permit(credential_of(there)), Permit(Credential(dora.user.id))]
    assert use(dora, by_hand) == "200", "made by a tool, with no session"
    assert end(dora, here, operator) == "204"
    lasting = end is new_password
    assert [use(dora, tokens) for tokens in (there, by_hand)] == ["401 NOT_AUTHENTICATED"] * 2
    assert use(dora, here) == ("200" if lasting else "401 NOT_AUTHENTICATED"), "the session that changed it goes on"
    assert told(refreshed(dora, there)) == "401 NOT_AUTHENTICATED"
    assert told(refreshed(dora, here)) == ("200" if lasting else "401 NOT_AUTHENTICATED")
    assert barred(open_streams) == set(open_streams)
    assert use(dora, sign_in(dora, NEXT if end in (new_password, operators_password) else PASSWORD)) == "200"


def admins_page(browser: Client) -> int:
    return browser.get(reverse("admin:index")).status_code


def log_in(user: User, password: str = PASSWORD) -> Client:
    """Sign in to the admin by its form."""
    browser = Client()
    form = {"username": user.username, "password": password}
    assert browser.post(reverse("admin:login"), form).status_code == 302
    return browser


@pytest.fixture
def clerk(dora: Person) -> User:
    """Dora is staff."""
    User.objects.filter(id=dora.user.id).update(is_staff=True)
    return User.objects.get(id=dora.user.id)


@pytest.mark.parametrize("end", [everywhere, new_password, deactivated, operators_password, killed])
def test_sessions_of_the_admin_end_too(dora: Person, clerk: User, operator: Client, end: Callable[..., str]) -> None:
    browser = log_in(clerk)
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    headers = {"cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"}
    stream = StreamRequest("GET", headers, {}, [], Meter("GET", "/", "127.0.0.1", ""))
    assert admins_page(browser) == 200
    assert end(dora, sign_in(dora), operator) == "204"
    User.objects.filter(id=clerk.id).update(is_active=True, is_staff=True)
    with pytest.raises(NotAuthenticated):
        signin.sign_in(stream)
    assert admins_page(browser) == 302
    again = log_in(clerk, NEXT if end in (new_password, operators_password) else PASSWORD)
    assert admins_page(again) == 200, "signed in under the new stamp"


def test_a_new_password_in_the_admin_keeps_the_session_that_set_it(clerk: User) -> None:
    here, there = log_in(clerk), log_in(clerk)
    form = {"old_password": PASSWORD, "new_password1": NEXT, "new_password2": NEXT}
    assert here.post(reverse("admin:password_change"), form).status_code == 302
    assert [admins_page(browser) for browser in (here, there)] == [200, 302]


def test_a_password_that_is_hashed_anew_ends_nothing(clerk: User) -> None:
    """As Django does at a sign-in after its hasher has changed."""
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    with override_settings(PASSWORD_HASHERS=hashers):
        old = make_password(PASSWORD, hasher="pbkdf2_sha256")
        User.objects.filter(id=clerk.id).update(password=old, stamp="of before")
        browser = log_in(clerk)
        assert admins_page(browser) == 200
    stored = User.objects.get(id=clerk.id)
    assert (stored.password.split("$")[0], stored.stamp) == ("md5", "of before")


@pytest.mark.parametrize(
    ("current", "new", "outcome"),
    [
        ("wrong", NEXT, "401 INVALID_CREDENTIALS"),
        (PASSWORD, "12345678", "400 PASSWORD_TOO_WEAK"),
        (PASSWORD, 12, "400 STRING_REQUIRED"),
    ],
)
def test_a_password_that_is_not_changed(dora: Person, current: str, new: Any, outcome: str) -> None:
    tokens, other = sign_in(dora), sign_in(dora)
    body = {"currentPassword": current, "newPassword": new}
    assert use(dora, tokens, "POST", "/users/me/password", body) == outcome
    assert use(dora, other) == "200"


@pytest.mark.parametrize(("seconds", "outcome"), [(25, "200"), (60, "401 NOT_AUTHENTICATED")])
def test_a_host_may_be_half_a_minute_ahead(dora: Person, seconds: int, outcome: str) -> None:
    token = AccessToken.for_user(dora.user)
    token.set_iat(at_time=timezone.now() + timedelta(seconds=seconds))
    assert use(dora, {"accessToken": str(token)}) == outcome


def test_why_a_token_is_no_longer_good(dora: Person) -> None:
    """A client renews the first, and asks for the password after the second."""
    ended = AccessToken.for_user(dora.user)
    ended.set_exp(lifetime=-timedelta(hours=1))
    over = sign_in(dora)
    assert use(dora, over, "POST", "/auth/logout", {"everywhere": True}) == "204"
    reasons = []
    for token in (str(ended), over["accessToken"]):
        dora.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        reasons.append(dora.call("GET", "/users/me").body["data"]["reason"])
    assert reasons == ["TOKEN_EXPIRED", "SESSION_OVER"]


def test_expired_sessions_are_deleted(dora: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "STEP", 2)
    for _ in range(3):
        sign_in(dora)
    kept = sign_in(dora)
    Session.objects.exclude(pk=credential_of(kept).session_id).update(expires_at=timezone.now())
    task = app.conf.beat_schedule["delete-expired-sessions"]["task"]
    assert app.tasks[task] == delete_expired_sessions
    assert delete_expired_sessions() == 3
    assert use(dora, kept) == "200"


def test_an_account_has_so_many_sessions(dora: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 2)
    first, second, third = sign_in(dora), sign_in(dora), sign_in(dora)
    assert told(refreshed(dora, first)) == "401 NOT_AUTHENTICATED"
    assert [told(refreshed(dora, tokens)) for tokens in (second, third)] == ["200", "200"]
