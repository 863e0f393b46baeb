"""Signing in under attack: who is locked out, who never is, and that names are not told by it."""

import itertools
import json
import math
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse
from redis import Redis
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import RefreshToken

from base.storage.breakers import breaker_of
from base.web import passwords
from base.web.errors import SignInsBusy
from base.web.passwords import Queue
from base.web.ratelimit import lockout, meter
from base.web.ratelimit.pauses import FORGIVEN_SECONDS, KEY_PREFIX, MICROSECONDS, LocalPauses, SharedPauses
from base.web.ratelimit.windows import LocalWindow
from exchange import settings as production
from tests.support.contract import check_answer, described
from tests.support.world import Person, World
from tests.unit.test_pauses import keys
from tools.rig.servers import free_port
from users.models import StaffAct, User

PASSWORD, WRONG = "correct horse", "battery staple"
FREE, LONGEST = (5, 20, 20), 900
AT_ONCE = 30


@pytest.fixture(autouse=True)
def lock_out() -> Iterator[None]:
    """As shipped. The tests of a run share a Redis, so each address and each name is another's in each of them."""
    with override_settings(LOCKOUT_FAILURES=FREE, LOCKOUT_MAX_SECONDS=LONGEST, TRUSTED_PROXIES=0):
        yield


@pytest.fixture
def address() -> Callable[[], str]:
    """Another address each time."""
    numbers = itertools.count(random.SystemRandom().randrange(1 << 60))
    return lambda: f"2001:db8:{(number := next(numbers)) >> 16 & 0xFFFF:x}:{number & 0xFFFF:x}::1"


@pytest.fixture
def dora(db: None) -> Person:
    name = f"dora-{random.SystemRandom().randrange(1 << 60):x}"
    user = User(username=name, email=f"{name}@example.com")
    user.set_password(PASSWORD)
    user.save()
    return Person(user, APIClient(raise_request_exception=False))


def send(address: str, method: str, path: str, body: Any, token: str = "") -> Any:
    client = APIClient(raise_request_exception=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = client.generic(
        method, f"/api/v1{path}", json.dumps(body), "application/json", REMOTE_ADDR=address, headers=headers
    )
    answer.body = json.loads(answer.content) if answer.content else None
    if answer.content:
        check_answer(method, f"/api/v1{path}", answer.status_code, answer["Content-Type"], answer.body)
    return answer


def sign_in(address: str, name: str, password: str = WRONG, token: str = "") -> Any:
    return send(address, "POST", "/auth/token", {"username": name, "password": password}, token)


def told(answer: Any) -> str:
    return f"{answer.status_code} {answer.body['error']}" if answer.status_code >= 400 else str(answer.status_code)


def by_rest(address: str, name: str, password: str = WRONG) -> int:
    return int(sign_in(address, name, password).status_code)


def by_admin(address: str, name: str, password: str = WRONG) -> int:
    form = {"username": name, "password": password}
    answer = Client().post(reverse("admin:login"), form, REMOTE_ADDR=address)
    return {200: 401, 302: 200}.get(answer.status_code, answer.status_code)


@pytest.mark.parametrize("enter", [by_rest, by_admin])
def test_guessing_at_one_name_ends_soon(dora: Person, address: Callable[[], str], enter: Callable[..., int]) -> None:
    """24 wrong passwords were looked at by the admin, 96 by REST; at no name that nobody has is it otherwise."""
    User.objects.filter(id=dora.user.id).update(is_staff=True)
    for name in (dora.user.username, f"no-{dora.user.username}"):
        here = address()
        assert [enter(here, name) for _ in range(9)] == [401] * 5 + [429] * 4
        assert enter(here, name, PASSWORD) == 429, "the right one is not looked at either"
    assert enter(address(), dora.user.username, PASSWORD) == 200, "she is elsewhere"


def test_the_refusal_says_when_to_come_again_and_nothing_else(dora: Person, address: Callable[[], str]) -> None:
    refusals = []
    for name in (dora.user.username.upper(), f"no-{dora.user.username}"):
        here = address()
        answers = [sign_in(here, name) for _ in range(6)]
        assert {told(answer) for answer in answers[:5]} == {"401 INVALID_CREDENTIALS"}
        refused = answers[-1]
        assert told(refused) == "429 SIGN_IN_LOCKED"
        assert refused["Retry-After"] == "1"
        assert 0 < refused.body["data"].pop("retryAfterMs") <= 1000
        refusals.append({**refused.body, "timestamp": ""})
    assert refusals[0] == refusals[1]


def test_many_at_the_same_moment_are_let_in_no_more_than_one_after_the_other() -> None:
    """By all processes together: each thread has counts of its own, which meet in Redis."""
    name = f"many-{random.SystemRandom().randrange(1 << 60):x}"
    with ThreadPoolExecutor(AT_ONCE) as threads:
        begun = [threads.submit(SharedPauses().begin, keys(name, name), FREE, LONGEST) for _ in range(AT_ONCE)]
        assert sum(each.result().is_let_in for each in begun) == FREE[0]


def test_guessing_at_many_names_ends_soon_whatever_token_is_sent(world: World, address: Callable[[], str]) -> None:
    here = address()
    tokens = [str(RefreshToken.for_user(who.user).access_token) for who in (world.alice, world.bob, world.carol)]
    guesses = [sign_in(here, f"{here}-{number}", token=tokens[number % 3]).status_code for number in range(30)]
    assert guesses == [401] * 20 + [429] * 10


def test_guessing_from_many_addresses_ends_and_the_owner_signs_in(dora: Person, address: Callable[[], str]) -> None:
    home, name = address(), dora.user.username
    assert by_rest(home, name, PASSWORD) == 200
    guesses = [by_rest(address(), name) for _ in range(25)]
    assert guesses == [401] * 20 + [429] * 5
    assert by_rest(address(), name, PASSWORD) == 429, "no stranger is let in, not with the right password"
    assert by_rest(home, name, PASSWORD) == 200
    assert by_admin(home, name) == 401, "looked at, although she is no staff"
    call_command("lift_lockout", name.upper())
    assert by_rest(address(), name, PASSWORD) == 200


def test_an_operator_lifts_it_in_the_admin_and_leaves_an_act(
    dora: Person, operator: Client, address: Callable[[], str]
) -> None:
    here, name = address(), dora.user.username
    while by_rest(here, name) == 401:
        pass
    url = reverse("admin:account_sign_ins", args=[dora.user.id])
    assert url.encode() in operator.get(reverse("admin:users_user_change", args=[dora.user.id])).content
    clerk = User.objects.create(username=f"{name}-clerk", email="clerk@x.com", is_staff=True)
    powerless = Client()
    powerless.force_login(clerk)
    assert powerless.post(url, {"reason": "x"}).status_code == 403
    assert by_rest(here, name, PASSWORD) == 429
    assert operator.post(url, {"reason": "she called"}).status_code == 302
    assert by_rest(here, name, PASSWORD) == 200
    act = StaffAct.objects.get(user_id=dora.user.id)
    assert (act.kind, act.reason) == ("LOCKOUT_LIFTED", "she called")


def test_an_operator_lifts_what_an_address_is_locked_for(dora: Person, address: Callable[[], str]) -> None:
    here = address()
    while by_rest(here, f"{here}-{random.random()}") == 401:
        pass
    assert by_rest(here, dora.user.username, PASSWORD) == 429
    call_command("lift_lockout", "--address", here)
    assert by_rest(here, dora.user.username, PASSWORD) == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users/me/password", {"currentPassword": WRONG, "newPassword": "another horse"}),
        ("DELETE", "/users/me", {"password": WRONG}),
    ],
)
def test_a_stolen_token_guesses_no_passwords(
    dora: Person, address: Callable[[], str], method: str, path: str, body: dict[str, str]
) -> None:
    home, thief, name = address(), address(), dora.user.username
    token = sign_in(home, name, PASSWORD).body["data"]["accessToken"]
    guesses = [told(send(thief, method, path, body, token)) for _ in range(6)]
    assert guesses == ["401 INVALID_CREDENTIALS"] * 5 + ["429 SIGN_IN_LOCKED"]
    assert by_rest(home, name, PASSWORD) == 200


def test_a_stolen_token_guesses_no_passwords_from_many_addresses_either(
    dora: Person, address: Callable[[], str]
) -> None:
    """And keeps its owner from nothing: not from signing in anywhere, and then not from a new password."""
    home, name = address(), dora.user.username
    token = sign_in(home, name, PASSWORD).body["data"]["accessToken"]
    wrong = {"currentPassword": WRONG, "newPassword": "another horse"}

    def guess() -> str:
        return told(send(address(), "POST", "/users/me/password", wrong, token))

    assert [guess() for _ in range(25)] == ["401 INVALID_CREDENTIALS"] * 20 + ["429 SIGN_IN_LOCKED"] * 5
    elsewhere = address()
    fresh = sign_in(elsewhere, name, PASSWORD).body["data"]["accessToken"]
    mine = {"currentPassword": PASSWORD, "newPassword": "another horse"}
    assert told(send(elsewhere, "POST", "/users/me/password", mine, fresh)) == "204"
    call_command("lift_lockout", name)
    assert guess() == "401 NOT_AUTHENTICATED", "the new password has ended the token"


def test_what_is_lifted_for_a_name_is_lifted_for_who_is_signed_in(dora: Person, address: Callable[[], str]) -> None:
    token = sign_in(address(), dora.user.username, PASSWORD).body["data"]["accessToken"]

    def guess() -> int:
        return int(send(address(), "DELETE", "/users/me", {"password": WRONG}, token).status_code)

    while guess() == 401:
        pass
    call_command("lift_lockout", dora.user.username)
    assert guess() == 401


def test_a_stolen_cookie_of_the_admin_guesses_no_passwords(operator: Client, address: Callable[[], str]) -> None:
    form = {"old_password": WRONG, "new_password1": PASSWORD, "new_password2": PASSWORD}
    url, here = reverse("admin:password_change"), address()
    answers = [operator.post(url, form, REMOTE_ADDR=here) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1]["Retry-After"] == "1"
    assert b"too many wrong passwords" in answers[-1].content


def test_the_lock_out_is_logged_without_what_was_typed(
    dora: Person, address: Callable[[], str], log: Callable[[], list[dict[str, Any]]]
) -> None:
    here = address()
    for name in (dora.user.username, "a password typed as a name"):
        for _ in range(6):
            sign_in(here, name)
    network = here.replace("::1", "::/64")
    lines = [line["event"] for line in log() if "begins a pause" in line["event"]]
    assert lines == [
        f"a wrong password for {whose} from {network} begins a pause, by name and address"
        for whose in (f"user {dora.user.id}", "a name that nobody has")
    ]
    everything = json.dumps(log())
    assert WRONG not in everything
    assert "typed as" not in everything


def test_a_name_that_nobody_has_takes_as_long_as_any_other(
    dora: Person, address: Callable[[], str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """One hash, and as many queries."""
    settings.PASSWORD_HASHERS = production.PASSWORD_HASHERS
    hashed: list[str] = []
    monkeypatch.setattr(passwords.Hasher, "encode", lambda _self, password, _salt: hashed.append(password) or "x$x")
    closed = User.objects.create(username=f"{dora.user.username}-closed", email="c@x.com", is_active=False)
    without = User.objects.create(username=f"{dora.user.username}-without", email="w@x.com", password="!")
    User.objects.filter(id__in=[dora.user.id, closed.id]).update(password="bcrypt_sha256$$2b$12$" + 53 * "a")
    spent = set()
    for user in (dora.user, closed, without, User(username=f"no-{dora.user.username}")):
        with connection.execute_wrapper(lambda run, *query: (hashed.append("query"), run(*query))[1]):
            assert told(sign_in(address(), user.username)) == "401 INVALID_CREDENTIALS"
        spent.add(tuple(each == "query" for each in hashed))
        hashed.clear()
    assert spent == {(True, False)}


def test_an_outage_locks_nobody_out(dora: Person, address: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: Any) -> bool:
        raise SignInsBusy("too many")

    here = address()
    with monkeypatch.context() as patched:
        patched.setattr(User, "check_password", busy)
        answers = [sign_in(here, dora.user.username, PASSWORD) for _ in range(8)]
        assert {told(answer) for answer in answers} == {"503 SIGN_INS_BUSY"}
        assert answers[0]["Retry-After"] == "1"
        form = {"username": dora.user.username, "password": PASSWORD}
        page = Client().post(reverse("admin:login"), form, REMOTE_ADDR=here)
        assert (page.status_code, page["Retry-After"]) == (503, "1")
        assert b"too many" in page.content
    assert by_rest(here, dora.user.username, PASSWORD) == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_sign_ins_at_once_few_hold_a_thread(
    address: Callable[[], str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Eight from one address held eight threads of requests, and orders waited for all of them."""
    settings.PASSWORD_HASHERS = production.PASSWORD_HASHERS
    queue, here, everybody_came = Queue(1, 2), address(), threading.Event()
    monkeypatch.setattr(passwords, "queue", lambda: queue)
    plain = passwords.Hasher.__base__.encode
    monkeypatch.setattr(
        passwords.Hasher.__base__, "encode", lambda *given: plain(*given) if everybody_came.wait(5) else ""
    )

    def request(number: int) -> int:
        try:
            return by_rest(here, f"{here}-{number}")
        finally:
            connection.close()

    # It is made once, and not by several threads.
    described()
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(request, number) for number in range(8)]
        refused = list(itertools.islice(as_completed(asked, 4), 6))
        assert {each.result() for each in refused} == {503}, "while the first password is being hashed"
        everybody_came.set()
        assert sorted(each.result(10) for each in asked) == [401, 401, *[503] * 6]


def test_an_operators_form_is_refused_in_words_while_passwords_are_busy(
    dora: Person, operator: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.PASSWORD_HASHERS = production.PASSWORD_HASHERS
    monkeypatch.setattr(passwords, "queue", lambda: Queue(1, 0))
    form = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    monkeypatch.setattr(Queue, "_enter", lambda *_: (_ for _ in ()).throw(SignInsBusy("too many")))
    answer = operator.post(reverse("admin:auth_user_password_change", args=[dora.user.id]), form)
    assert (answer.status_code, answer["Retry-After"], answer.content) == (503, "1", b"too many")


def test_without_redis_each_process_counts_by_itself(
    dora: Person, address: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockout, "_pauses", SharedPauses())
    here = address()
    with override_settings(REDIS_URL=f"redis://127.0.0.1:{free_port()}/1"):
        assert [by_rest(here, dora.user.username) for _ in range(7)] == [401] * 5 + [429] * 2
        assert breaker_of(settings.REDIS_URL).is_open
        assert by_rest(address(), dora.user.username, PASSWORD) == 200


def test_attempts_that_are_taken_back_leave_nothing_in_redis_and_failures_not_for_long() -> None:
    """Strangers choose the names, and Redis must not fill up with them."""
    each, pauses = keys(run := f"{random.SystemRandom().randrange(1 << 60):x}", run), SharedPauses()
    with Redis.from_url(settings.REDIS_URL) as redis:
        verdict = pauses.begin(each, FREE, LONGEST)
        left = {redis.ttl(f"{KEY_PREFIX}{key}") for key in each[:3]}
        assert left <= set(range(FORGIVEN_SECONDS + LONGEST - 2, FORGIVEN_SECONDS + LONGEST + 1))
        pauses.take_back(each, verdict, is_right=False)
        assert redis.exists(*(f"{KEY_PREFIX}{key}" for key in each)) == 0


def test_each_failure_doubles_the_pause_in_redis_too() -> None:
    each, pauses = keys(run := f"{random.SystemRandom().randrange(1 << 60):x}", run), SharedPauses()
    lengths = []
    with Redis.from_url(settings.REDIS_URL) as redis:
        for _ in range(16):
            ends, now = pauses.begin(each, FREE, LONGEST).ends[0], redis.time()
            lengths.append(math.ceil((ends - now[1]) / MICROSECONDS - now[0]) if ends else 0)
            # As if it were over.
            redis.hset(f"{KEY_PREFIX}{each.pair}", "ends", 0)
    assert lengths == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, LONGEST, LONGEST]


def test_redis_and_a_process_alone_count_by_the_same_rules() -> None:
    """The clock stands almost still meanwhile: pauses that begin are not over when the next attempt is made."""
    lot = random.Random(7)
    run = f"{random.SystemRandom().randrange(1 << 60):x}"
    shared, local = SharedPauses(), LocalPauses()
    seen = set()
    for _ in range(400):
        each = keys(f"{lot.choice('abc')}{run}", f"{lot.choice('12345678')}{run}")
        ours, theirs = (pauses.begin(each, (3, 9, 9), LONGEST) for pauses in (shared, local))
        began = [tuple(bool(ends) for ends in verdict.ends) for verdict in (ours, theirs)]
        assert (ours.is_let_in, ours.counted, began[0]) == (theirs.is_let_in, theirs.counted, began[1])
        seen.add((ours.is_let_in, ours.counted, began[0]))
        if ours.is_let_in and (chance := lot.random()) < 0.5:
            for pauses, verdict in ((shared, ours), (local, theirs)):
                pauses.take_back(each, verdict, is_right=chance < 0.2)
        if lot.random() < 0.03:
            for pauses in (shared, local):
                pauses.lift(each.name)
    assert len(seen) > 5
    assert not breaker_of(settings.REDIS_URL).is_open


SENT = {
    "sign-ins": ("POST", "/auth/token", {"username": "x", "password": WRONG}, 401),
    "refreshes": ("POST", "/auth/token/refresh", {"refreshToken": "x.y.z"}, 401),
    "registrations": ("POST", "/users", {}, 400),
    "passwords": ("POST", "/users/me/password", {}, 400),
}


@pytest.mark.parametrize("bucket", SENT)
def test_what_concerns_accounts_is_counted_by_address_whatever_token_is_sent(
    world: World, address: Callable[[], str], monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    """Each in a bucket of its own: the tokens of many accounts bring no more, and other requests take nothing."""
    monkeypatch.setattr(meter, "_window", LocalWindow(lambda: 0.0))
    method, path, body, status = SENT[bucket]
    tokens = [str(RefreshToken.for_user(who.user).access_token) for who in (world.alice, world.bob, world.carol)]
    here = address()
    limits = dict.fromkeys(settings.ACCOUNT_LIMITS, 3)
    with override_settings(ACCOUNT_LIMITS=limits, RATE_LIMIT=1, LOCKOUT_FAILURES=None):
        answers = [send(here, method, path, body, tokens[number % 3]) for number in range(5)]
        assert [answer.status_code for answer in answers] == [status] * 3 + [429] * 2
        assert answers[-1].body["data"]["bucket"] == bucket
        assert (answers[-1]["Retry-After"], answers[-1]["X-RateLimit-Remaining"]) == ("1", "0")
        assert send(address(), method, path, body, tokens[0]).status_code == status
        others = [other for other in SENT if other != bucket]
        assert [send(here, *SENT[other][:3], tokens[1]).status_code for other in others] == [
            SENT[other][3] for other in others
        ]
        assert send(here, "GET", "/orders", {}, tokens[0]).status_code == 200


def test_what_concerns_one_account_is_counted_for_it_from_wherever_it_comes(
    dora: Person, address: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "_window", LocalWindow(lambda: 0.0))
    token = RefreshToken.for_user(dora.user)
    with override_settings(ACCOUNT_LIMITS=dict.fromkeys(settings.ACCOUNT_LIMITS, 3)):
        for method, path, body, status in (
            ("POST", "/users/me/password", {}, 400),
            ("POST", "/auth/token/refresh", {"refreshToken": str(token)}, 401),
        ):
            sent = [send(address(), method, path, body, str(token.access_token)).status_code for _ in range(5)]
            assert sent == [status] * 3 + [429] * 2


def test_the_admins_form_is_in_the_bucket_of_sign_ins(
    dora: Person, address: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "_window", LocalWindow(lambda: 0.0))
    here = address()
    with override_settings(ACCOUNT_LIMITS=dict.fromkeys(settings.ACCOUNT_LIMITS, 3), LOCKOUT_FAILURES=None):
        assert [by_admin(here, dora.user.username) for _ in range(4)] == [401] * 3 + [429]
        assert by_rest(here, dora.user.username) == 429
