"""Query strings: what a call does not know is refused, whichever call it is, before anything is done."""

import re

import pytest
from django.test import override_settings

from base.web.openapi.pages import document
from exchange.contract import BESIDE_THE_CALLS
from tests.support.world import World, stored_rows


def calls() -> list[tuple[str, str, list[str]]]:
    """The method, the path and the parameters of every call of the description. Streams have tests of their own."""
    found = []
    for path, methods in document()["paths"].items():
        if path.startswith("/api/v1/") and path not in BESIDE_THE_CALLS:
            called = re.sub(r"\{(\w+)\}", lambda name: {"symbol": "BTC-USD"}.get(name[1], "1"), path)
            for method, operation in methods.items():
                names = [each["name"] for each in operation["parameters"] if each["in"] == "query"]
                found.append((method.upper(), called.removeprefix("/api/v1"), names))
    return found


def refused(world: World, method: str, path: str) -> tuple[int, str, str]:
    answer = world.staff.call(method, path)
    return answer.status_code, answer.body["error"], answer.body["data"].get("field")


@override_settings(SANDBOX=True)
@pytest.mark.parametrize(("method", "path", "names"), calls(), ids=lambda value: str(value)[:40])
def test_every_call_refuses_what_it_does_not_know(world, method, path, names):
    world.play(world.alice, "buy 1 @ 100")
    before = stored_rows()
    assert refused(world, method, f"{path}?sybmol=BTC-USD") == (400, "PARAMETER_UNKNOWN", "sybmol")
    for name in names:
        assert refused(world, method, f"{path}?{name}=1&{name}=1") == (400, "PARAMETER_REPEATED", name)
    assert stored_rows() == before


def test_several_are_named_at_once(world):
    answer = world.alice.call("GET", "/orders?a=1&b=2&limit=1&limit=2")
    named = [(error["field"], error["error"]) for error in answer.body["data"]["errors"]]
    assert named == [("a", "PARAMETER_UNKNOWN"), ("b", "PARAMETER_UNKNOWN"), ("limit", "PARAMETER_REPEATED")]


def test_what_is_known_is_told(world):
    answer = world.alice.call("DELETE", "/orders?Symbol=ETH-USD")
    assert answer.body["message"] == "Symbol is not a parameter of this call: it knows side, symbol, userId"


def test_orders_are_filtered(world):
    world.play(world.alice, "buy 1 @ 100")
    world.play(world.alice, "buy 1 @ 90")
    world.play(world.bob, "sell 1 @ 100")
    for query, prices in (
        ("side=BUY", ["90", "100"]),
        ("side=SELL", []),
        ("side=BUY&active=false", ["100"]),
        ("symbol=BTC-USD&status=OPEN", ["90"]),
    ):
        assert [order["price"] for order in world.alice.get(f"/orders?{query}")] == prices


def test_an_older_client_names_itself(world):
    """In the query string of any call on orders; another account's is refused."""
    order = world.play(world.alice, "buy 1 @ 100")["orderId"]
    alice, bob = world.alice.user.id, world.bob.user.id
    for path in ("/orders", f"/orders/{order}", f"/orders/{order}/trades", f"/orders/{order}/events"):
        answers = [world.alice.call("GET", f"{path}?userId={user}").status_code for user in (alice, bob)]
        assert answers == [200, 403], path
        assert world.staff.call("GET", f"{path}?userId={alice}").status_code == 200
    assert world.staff.call("GET", f"/orders/{order}?userId={bob}").status_code == 404
