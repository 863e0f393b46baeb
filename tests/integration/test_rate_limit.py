"""The rate limit over REST: who is counted, what the answers tell, and what an operator may change."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cachetools import TTLCache, cached
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from prometheus_client import REGISTRY
from rest_framework.test import APIClient

from base.storage.breakers import breaker_of
from base.web import accounts
from base.web.accounts import ACTIVE_SECONDS
from base.web.ratelimit import meter
from base.web.ratelimit.addresses import client_network
from base.web.ratelimit.windows import LocalWindow, SharedWindow
from orders import services
from orders.models import Order
from tests.support.tape import parse
from tests.support.world import Person, World
from tools.rig.servers import free_port
from users.models import User

LIMIT = 3


class Clock:
    """It stands still unless it is moved, so that a slow machine changes nothing."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The limit switched on, three requests a second, by a clock of the test's."""
    clock = Clock()
    monkeypatch.setattr(meter, "_window", LocalWindow(clock))
    with override_settings(RATE_LIMIT=LIMIT):
        yield clock


def told(response: Any) -> str:
    """Status, limit and what is left: "200 3 2"; a dash for what is not told."""
    limits = [response.get(f"X-RateLimit-{name}", "-") for name in ("Limit", "Remaining")]
    return " ".join([str(response.status_code), *limits])


def anybody(path: str = "/api/v1/time", **headers: str) -> Any:
    """A request by nobody in particular."""
    return APIClient(raise_request_exception=False).get(path, headers=headers)


def came_from(address: str, forwarded_for: str | None = None) -> Any:
    headers = {} if forwarded_for is None else {"X-Forwarded-For": forwarded_for}
    return APIClient().get("/api/v1/time", REMOTE_ADDR=address, headers=headers)


def test_a_user_is_told_what_is_left_and_refused_at_the_end(world: World, clock: Clock) -> None:
    began = int(time.time())
    answers = [world.place(world.alice, "buy 1 @ 100") for _ in range(LIMIT + 1)]
    assert [told(answer) for answer in answers] == ["202 3 2", "202 3 1", "202 3 0", "429 3 0"]
    assert all(began < int(answer["X-RateLimit-Reset"]) <= time.time() + 2 for answer in answers)
    refusal = answers[-1]
    assert refusal["Retry-After"] == "1"
    assert (refusal.body["code"], refusal.body["error"]) == (429, "TOO_MANY_REQUESTS")
    assert refusal.body["data"] == {"limit": 3, "bucket": "requests", "retryAfterMs": 1000}
    assert set(refusal.body) == {"code", "error", "message", "data", "timestamp"}
    assert Order.objects.count() == LIMIT, "what is refused is not stored"
    clock.seconds = 0.9
    assert world.place(world.alice, "buy 1 @ 100").body["data"]["retryAfterMs"] == 100
    clock.seconds = 1.0
    assert told(world.place(world.alice, "buy 1 @ 100")) == "202 3 2", "what was refused did not count"
    assert told(world.alice.call("GET", "/orders")) == "200 3 1"


def test_every_answer_of_the_api_tells(world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {
        ("GET", "/orders"): 200,
        ("POST", "/orders"): 400,
        ("PATCH", "/orders"): 405,
        ("GET", "/orders/9999"): 404,
        ("GET", "/nothing/of/the/kind"): 404,
        ("GET", ""): 404,
        ("POST", "/markets"): 403,
        ("DELETE", "/orders/x"): 404,
        ("OPTIONS", "/orders"): 200,
    }
    answers = {}
    for method, path in calls:
        clock.seconds += 1
        answers[method, path] = told(world.alice.call(method, path))
    assert answers == {call: f"{status} 3 2" for call, status in calls.items()}
    monkeypatch.setattr(services, "find_order", lambda *_: 1 / 0)
    clock.seconds += 1
    assert told(world.alice.call("GET", "/orders/1")) == "500 3 2"
    assert told(anybody("/api/v1/orders")) == "401 3 2"
    assert told(anybody("/api/v1/orders", Accept="text/html")) == "406 3 1"
    assert told(anybody(Host="forged.example.com")) == "400 3 0"


@pytest.mark.parametrize("path", ["/health/live", "/admin/login/", "/metrics", "/api/v10/time", "/api/schema"])
def test_nothing_else_is_limited(world: World, clock: Clock, path: str) -> None:
    answers = [anybody(path) for _ in range(LIMIT + 1)]
    assert {answer.status_code for answer in answers}.isdisjoint({429})
    assert {told(answer).partition(" ")[2] for answer in answers} == {"- -"}


def test_cancels_have_a_bucket_of_their_own(world: World, clock: Clock) -> None:
    refused = counted("requests"), counted("cancels")
    order_id = world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"]
    told_of_requests = [told(world.alice.call("GET", "/orders")) for _ in range(3)]
    assert told_of_requests == ["200 3 1", "200 3 0", "429 3 0"]
    assert told(world.alice.call("DELETE", f"/orders/{order_id}")) == "202 3 2"
    assert told(world.alice.call("DELETE", "/orders?symbol=BTC-USD")) == "202 3 1"
    assert told(world.alice.call("DELETE", "/orders")) == "202 3 0"
    one_too_many = world.alice.call("DELETE", "/orders")
    assert (told(one_too_many), one_too_many.body["data"]["bucket"]) == ("429 3 0", "cancels")
    assert told(world.alice.call("DELETE", "/markets/BTC-USD")) == "429 3 0", "no cancel of an order"
    assert (counted("requests") - refused[0], counted("cancels") - refused[1]) == (2, 1)


def counted(bucket: str) -> float:
    return REGISTRY.get_sample_value("exchange_rate_limited_total", {"bucket": bucket}) or 0.0


def test_a_flood_does_not_fill_the_log(world: World, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    statuses = [world.alice.call("GET", "/orders").status_code for _ in range(LIMIT + 5)]
    assert statuses.count(429) == 5
    assert len(caplog.records) == LIMIT, "a line for each that was let in"


def batch(world: World, number: int, line: str = "buy 0.01 @ 100") -> Any:
    return world.alice.call("POST", "/orders/batch", {"orders": [parse(line).body(world.symbol)] * number})


def test_a_batch_costs_a_tenth_of_a_request_for_each_order(world: World, clock: Clock) -> None:
    assert told(batch(world, 1)) == "202 3 2"
    assert told(batch(world, 11)) == "202 3 0", "rounded up"
    assert told(batch(world, 1)) == "429 3 0"
    clock.seconds += 1
    assert told(batch(world, 10)) == "202 3 2"
    refused = batch(world, 21)
    assert (told(refused), refused.body["error"]) == ("429 3 2", "TOO_MANY_REQUESTS")
    assert refused.body["data"] == {"limit": 3, "bucket": "requests", "retryAfterMs": 1000}
    assert told(batch(world, 20)) == "202 3 0", "what was refused cost nothing"
    clock.seconds += 1
    assert told(batch(world, 100)) == "202 3 0", "what costs more than a second has takes all of it"
    clock.seconds += 1
    assert told(batch(world, 101)) == "400 3 2"
    assert Order.objects.count() == 1 + 11 + 10 + 20 + 100


def test_a_batch_of_nothing_costs_as_much(world: World, clock: Clock) -> None:
    assert told(world.alice.call("POST", "/orders/batch", {"orders": [{}] * 21})) == "202 3 0"


def test_one_cancel_of_all_orders_a_second_is_let_in_whatever_else_was_sent(world: World, clock: Clock) -> None:
    ids = [world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"] for _ in range(LIMIT)]
    assert told(world.place(world.alice, "buy 1 @ 100")) == "429 3 0"
    cancels = [told(world.alice.call("DELETE", f"/orders/{order_id}")) for order_id in (*ids, ids[0])]
    assert cancels == ["202 3 2", "202 3 1", "202 3 0", "429 3 0"]
    assert told(world.alice.call("DELETE", "/orders")) == "202 3 0"
    assert told(world.alice.call("DELETE", "/orders")) == "429 3 0", "floods of it end too"
    clock.seconds += 1
    assert told(world.alice.call("DELETE", f"/orders?symbol={world.symbol}")) == "202 3 2"


def test_each_user_is_counted_alone_wherever_they_are(world: World, clock: Clock) -> None:
    for number in range(LIMIT):
        assert world.alice.client.get("/api/v1/time", REMOTE_ADDR=f"192.0.2.{number}").status_code == 200
    assert told(world.alice.call("GET", "/time")) == "429 3 0"
    assert told(world.bob.call("GET", "/time")) == "200 3 2"
    assert told(anybody()) == "200 3 2", "signed in, Alice and Bob took nothing from their address"


def test_a_bad_token_is_counted_by_its_address(world: World, clock: Clock) -> None:
    """Whoever guesses tokens, or sends those of accounts that are closed, is one client."""
    User.objects.filter(id=world.carol.user.id).update(is_active=False)
    tokens = ["Bearer x.y.z", "Bearer", "Basic eDp5", world.carol.client._credentials["HTTP_AUTHORIZATION"]]
    answers = [anybody("/api/v1/orders", Authorization=token).status_code for token in tokens]
    assert answers == [401, 401, 401, 429]
    assert told(anybody()) == "429 3 0"
    assert told(world.alice.call("GET", "/orders")) == "200 3 2"


@pytest.mark.parametrize("proxies", [0, 1, 2])
def test_a_forged_header_makes_nobody_else_of_a_client(world: World, clock: Clock, proxies: int) -> None:
    """What our own proxies append comes last, whatever the client wrote before."""
    behind = ["198.51.100.7", "10.0.0.2"][:proxies]
    peer = "10.0.0.1" if proxies else "198.51.100.7"
    with override_settings(TRUSTED_PROXIES=proxies):
        answers = []
        for number in range(LIMIT + 1):
            forged = [f"203.0.113.{number}", f"203.0.113.{number + 100}"]
            answers.append(told(came_from(peer, ", ".join([*forged, *behind]))))
        assert answers == ["200 3 2", "200 3 1", "200 3 0", "429 3 0"]
        neighbour = came_from(peer if proxies else "198.51.100.8", ",".join(["198.51.100.8", *behind[1:]]))
        assert told(neighbour) == "200 3 2"


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded_for", "network"),
    [
        (0, "192.0.2.1", "1.1.1.1", "192.0.2.1"),
        (0, "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        (0, "2001:db8:1:2::9", "", "2001:db8:1:2::/64"),
        (0, "::ffff:192.0.2.1", "", "192.0.2.1"),
        (0, "fe80::1%eth0", "", "fe80::/64"),
        (0, "", "1.1.1.1", "unknown"),
        (1, "10.0.0.1", "1.1.1.1,192.0.2.1", "192.0.2.1"),
        (1, "10.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        (1, "10.0.0.1", "1.1.1.1, [2001:db8::1]:4711", "2001:db8::/64"),
        (1, "10.0.0.1", "", "10.0.0.1"),
        (1, "10.0.0.1", "1.1.1.1, unknown", "10.0.0.1"),
        (1, "", "192.0.2.1", "192.0.2.1"),
        (2, "10.0.0.1", "9.9.9.9, 192.0.2.1 , 10.0.0.2", "192.0.2.1"),
        (2, "10.0.0.1", "1.1.1.1", "10.0.0.1"),
        (2, "10.0.0.1", "1.1.1.1,,", "10.0.0.1"),
    ],
)
def test_where_a_request_comes_from(proxies: int, peer: str, forwarded_for: str, network: str) -> None:
    with override_settings(TRUSTED_PROXIES=proxies):
        assert client_network(peer, forwarded_for) == network


def change_in_admin(operator: Client, who: Person, rate_limit: str) -> Any:
    body = {"username": who.user.username, "email": who.user.email, "is_active": "on", "rate_limit": rate_limit}
    return operator.post(reverse("admin:users_user_change", args=[who.user.id]), body)


def test_an_operator_gives_a_user_a_limit_of_their_own(
    world: World, clock: Clock, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = TTLCache[Any, Any](9, ACTIVE_SECONDS, timer=clock)
    monkeypatch.setattr(accounts, "known_account", cached(limits)(accounts.known_account.__wrapped__))
    assert told(world.alice.call("GET", "/orders")) == "200 3 2"
    for given, left in (("5", "200 5 4"), ("0", "200 - -"), ("", "200 3 2")):
        assert change_in_admin(operator, world.alice, given).status_code == 302
        clock.seconds += ACTIVE_SECONDS
        assert told(world.alice.call("GET", "/orders")) == left, "within seconds, without a restart"
    assert told(world.bob.call("GET", "/orders")) == "200 3 2"


@pytest.mark.parametrize("given", ["-1", "10001", "many"])
def test_an_operator_gives_no_limit_that_is_none(world: World, operator: Client, given: str) -> None:
    refused = change_in_admin(operator, world.alice, given)
    assert "rate_limit" in refused.context["adminform"].form.errors
    assert User.objects.get(id=world.alice.user.id).rate_limit is None


def test_nought_is_no_limit_and_a_users_limit_holds_for_cancels(world: World, clock: Clock) -> None:
    User.objects.filter(id=world.alice.user.id).update(rate_limit=0)
    User.objects.filter(id=world.bob.user.id).update(rate_limit=1)
    assert {told(world.alice.call("GET", "/orders")) for _ in range(20)} == {"200 - -"}
    assert [told(world.bob.call("DELETE", "/orders")) for _ in range(2)] == ["202 1 0", "429 1 0"]


@override_settings(RATE_LIMIT=None)
def test_switched_off_it_says_and_does_nothing(world: World) -> None:
    User.objects.filter(id=world.alice.user.id).update(rate_limit=1)
    assert {told(world.alice.call("GET", "/orders")) for _ in range(20)} == {"200 - -"}
    assert {told(anybody()) for _ in range(20)} == {"200 - -"}


def test_it_asks_the_database_nothing_more(world: World, clock: Clock) -> None:
    world.place(world.alice, "buy 1 @ 100")
    seen = []
    for limit in (None, LIMIT):
        accounts.known_account.cache_clear()
        with override_settings(RATE_LIMIT=limit), CaptureQueriesContext(connection) as queries:
            world.place(world.alice, "buy 1 @ 100")
            world.place(world.alice, "buy 1 @ 100")
        seen.append([query["sql"].split()[0] for query in queries])
    assert seen[0] == seen[1]
    assert len(seen[1]) > 5


def test_what_is_refused_costs_no_query(world: World, clock: Clock) -> None:
    """Though staff's cancels and emergency acts are let in: whoever is refused is flooding, perhaps."""
    calls = [("GET", "/orders"), ("DELETE", "/orders/1"), ("PATCH", "/markets/BTC-USD"), ("POST", "/users/1/kill")]

    def ask() -> list[int]:
        bodies = {"PATCH": {}, "POST": {}}
        return [world.alice.call(method, path, bodies.get(method)).status_code for method, path in calls]

    for _ in range(LIMIT):
        ask()
    with CaptureQueriesContext(connection) as queries:
        assert ask() == [429] * len(calls)
    assert list(queries) == []


def test_without_the_database_the_view_says_so(world: World, clock: Clock) -> None:
    def away(*_: Any) -> Any:
        raise OperationalError(2006, "gone")

    accounts.known_account.cache_clear()
    with connection.execute_wrapper(away):
        assert told(world.alice.call("GET", "/orders")) == "503 3 2"
        assert told(anybody()) == "200 3 1"


@override_settings(RATE_LIMIT=10)
def test_all_processes_count_together_in_redis(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default, as users meet it; each request reaches another process."""
    processes = itertools.cycle([SharedWindow(), SharedWindow(), SharedWindow()])
    answers = []
    for _ in range(12):
        monkeypatch.setattr(meter, "_window", next(processes))
        answers.append(world.carol.call("GET", "/time"))
    assert [told(answer) for answer in answers] == [*(f"200 10 {left}" for left in range(9, -1, -1)), *["429 10 0"] * 2]
    time.sleep(answers[-1].body["data"]["retryAfterMs"] / 1000)
    assert world.carol.call("GET", "/time").status_code == 200
    assert not breaker_of(settings.REDIS_URL).is_open


def test_without_redis_nobody_notices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_window", SharedWindow())
    with override_settings(RATE_LIMIT=10, REDIS_URL=f"redis://127.0.0.1:{free_port()}/1"):
        answers = [told(world.alice.call("GET", "/time")) for _ in range(12)]
        assert breaker_of(settings.REDIS_URL).is_open
    assert answers == [*(f"200 10 {left}" for left in range(9, -1, -1)), *["429 10 0"] * 2]
