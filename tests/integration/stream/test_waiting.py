"""`POST /orders?wait=`: answered with the order once its outcome is known, by a server of asynchronous requests."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from django.test import override_settings
from rest_framework_simplejwt.tokens import AccessToken

from exchange import asgi
from orders import waiting
from orders.models import Order
from tests.integration.stream.cast import until_true
from tests.support.contract import check_answer
from tests.support.tape import parse
from tests.support.world import Person, World, outcome, stored_rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db: None) -> World:
    return World.make()


class Door:
    """Orders over HTTP, with the seconds that their answers took."""

    def __init__(self, world: World, port: int, threads: ThreadPoolExecutor) -> None:
        self._world, self._threads = world, threads
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def post(self, who: Person, line: str, wait: Any, timeout: float = 10, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {AccessToken.for_user(who.user)}"}
        body = parse(line).body(self._world.symbol, **more)
        answer = httpx.post(f"{self._url}/orders?wait={wait}", json=body, headers=headers, timeout=timeout)
        check_answer("POST", "/api/v1/orders", answer.status_code, answer.headers["Content-Type"], answer.json())
        return answer

    def later(self, who: Person, line: str, wait: Any = 2000, **more: Any) -> "Future[httpx.Response]":
        """The answer to come of an order that is stored by now."""
        before = Order.objects.count()
        coming = self._threads.submit(self.post, who, line, wait, **more)
        assert until_true(lambda: Order.objects.count() > before)
        return coming

    def time(self) -> httpx.Response:
        return httpx.get(f"{self._url}/time", timeout=1)


@pytest.fixture
def door(world: World, port: int) -> Any:
    with ThreadPoolExecutor(40) as threads:
        yield Door(world, port, threads)


def told(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.json().get('error', '')}".strip()


def test_it_is_answered_with_the_order_as_soon_as_it_was_matched(world: World, door: Door) -> None:
    world.play(world.bob, "sell 1 @ 100")
    coming = door.later(world.alice, "buy 3 @ 100")
    assert not coming.done()
    world.match()
    answer = coming.result()
    body = answer.json()
    assert (answer.status_code, body["code"], outcome(body["data"])) == (200, 200, "2 partially_filled +")
    assert body["data"] == world.alice.get(f"/orders/{body['data']['orderId']}")
    assert body["asOf"] == {world.symbol: 3}
    assert answer.headers["Cache-Control"] == "no-store"


def test_it_is_202_as_always_where_the_outcome_takes_longer(world: World, door: Door) -> None:
    answer = door.post(world.alice, "buy 1 @ 100", wait=100)
    assert told(answer) == "202"
    assert answer.json()["data"].keys() == {"orderId", "clientOrderId", "status", "message", "correlationId"}
    assert answer.elapsed.total_seconds() >= 0.1
    assert door.post(world.alice, "buy 1 @ 100", wait=0).elapsed.total_seconds() < 1.5


def test_a_repeat_waits_only_while_the_order_is_pending(world: World, door: Door) -> None:
    first = door.later(world.alice, "buy 1 @ 100", clientOrderId="a")
    repeat = door._threads.submit(door.post, world.alice, "buy 1 @ 100", 2000, clientOrderId="a")
    time.sleep(0.1)
    world.match()
    for answer in (first.result(), repeat.result(), door.post(world.alice, "buy 1 @ 100", 2000, clientOrderId="a")):
        assert (told(answer), outcome(answer.json()["data"])) == ("200", "1 open +")
    assert ("Idempotent-Replayed" in first.result().headers, repeat.result().headers["Idempotent-Replayed"]) == (
        False,
        "true",
    )
    assert told(door.post(world.alice, "buy 2 @ 100", 2000, clientOrderId="a")) == "422 CLIENT_ORDER_ID_REUSED"


def test_a_time_that_is_none_is_refused(world: World, door: Door) -> None:
    before = stored_rows()
    for wait in ("2001", "-1", "x", "", "1.5"):
        assert told(door.post(world.alice, "buy 1 @ 100", wait)) == "400 WAIT_OUT_OF_RANGE"
    assert told(door.post(world.alice, "buy 1 @ 100", "100&wait=100")) == "400 PARAMETER_REPEATED"
    assert stored_rows() == before


def test_where_too_many_wait_it_is_202_at_once(world: World, door: Door) -> None:
    with override_settings(WAIT_MAX=1):
        first = door.later(world.alice, "buy 1 @ 100")
        assert until_true(lambda: not asgi.waiting._outcomes.has_room(world.alice.user.id))
        assert told(door.post(world.alice, "buy 1 @ 100", 2000)) == "202"
        assert not first.done(), "the second did not wait"
        world.match()
        assert told(first.result()) == "200"


def test_one_user_takes_a_part_of_the_places(world: World, door: Door) -> None:
    with override_settings(WAIT_MAX=4):
        first = door.later(world.alice, "buy 1 @ 100")
        assert until_true(lambda: not asgi.waiting._outcomes.has_room(world.alice.user.id))
        assert told(door.post(world.alice, "buy 1 @ 100", 2000)) == "202"
        other = door.later(world.bob, "sell 1 @ 110")
        assert until_true(lambda: not asgi.waiting._outcomes.has_room(world.bob.user.id))
        world.match()
        assert {told(each.result()) for each in (first, other)} == {"200"}
    assert not asgi.waiting._outcomes._of_users


def test_an_answer_that_cannot_be_made_keeps_nobody_else_waiting(
    world: World, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settled(order: Order) -> waiting.Shown | None:
        if order.client_order_id == "broken":
            raise KeyError(order.id)
        return show(order)

    show = waiting.settled_answer
    monkeypatch.setattr(waiting, "settled_answer", settled)
    broken = door.later(world.alice, "buy 1 @ 100", clientOrderId="broken")
    other = door.later(world.alice, "buy 1 @ 100")
    assert told(broken.result()) == "202", "as if there were no time to wait"
    world.match()
    assert told(other.result()) == "200"


def test_who_places_for_another_is_told_no_outcome(world: World, door: Door) -> None:
    clerk = world.clerk("orders.place_for_others")
    coming = door.later(clerk, "buy 1 @ 100", userId=world.alice.user.id)
    world.match()
    assert told(coming.result()) == "202"


def test_those_who_wait_hold_no_thread(world: World, door: Door) -> None:
    """More of them than there are threads: whoever asks for something else is answered at once."""
    coming = [door._threads.submit(door.post, world.alice, "buy 0.1 @ 100", 2000) for _ in range(asgi.REST_THREADS * 2)]
    assert until_true(lambda: Order.objects.count() == len(coming))
    assert door.time().status_code == 200
    assert not any(each.done() for each in coming)
    world.match()
    assert {told(each.result()) for each in coming} == {"200"}
    assert not asgi.waiting._outcomes._awaited


def test_whoever_goes_is_waited_for_no_more(world: World, door: Door) -> None:
    with pytest.raises(httpx.ReadTimeout):
        door.post(world.alice, "buy 1 @ 100", 2000, timeout=0.3)
    assert until_true(lambda: not asgi.waiting._outcomes._awaited, 1.5)


def test_a_server_of_threads_alone_answers_at_once(world: World) -> None:
    began = time.monotonic()
    body = parse("buy 1 @ 100").body(world.symbol, clientOrderId="a")
    assert world.alice.call("POST", "/orders?wait=2000", body).status_code == 202
    assert time.monotonic() - began < 1.5
    world.match()
    assert world.alice.call("POST", "/orders?wait=2000", body).body["data"]["status"] == "OPEN"
