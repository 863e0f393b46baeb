"""The table in docs/security.md says who may call what. It is compared with what each caller gets at each route."""

import json
import re
from typing import Any

from django.db import transaction
from django.test import override_settings

from base.web.accounts import known_account
from tests.support.contract import json_body
from tests.support.powers import CALLERS, Callers, Route, routes, row, table, verdict_of
from tests.support.sampling import sample
from tests.support.world import World

# Their rows have a test beside the streams.
STREAM = re.compile(r"GET /api/v1/(stream/(order-status|market)|ws)(?!/stats)")


@override_settings(ACTUATOR_PATHS=True, SANDBOX=True)
def test_each_caller_gets_what_the_table_says(world: World) -> None:
    """`make test` draws a quarter of the routes, and looks that each has a row."""
    names, callers, found = _named(world), Callers(world), {}
    everything = routes()
    for route in sample(everything, 4, "powers"):
        cells = []
        for who in CALLERS:
            known_account.cache_clear()
            mark = transaction.savepoint()
            cells.append(verdict_of(callers.send(who, *_request(route, names))))
            transaction.savepoint_rollback(mark)
        found[route.name] = row(route.name, cells)
    written = {name: line for name, line in table().items() if not STREAM.match(name)}
    differing = [line for name, line in found.items() if written.get(name) != line]
    assert not differing, "docs/security.md has to say:\n" + "\n".join(differing)
    assert written.keys() == {route.name for route in everything}


def _named(world: World) -> dict[str, str]:
    """Something of the owner's for each name in a path."""
    order = world.play(world.alice, "buy 1 @ 100", clientOrderId="mine")
    key = world.alice.call("POST", "/keys", {"label": "named", "scopes": ["read"]}).body["data"]["keyId"]
    payout = {"currency": "USD", "amount": "5", "reason": "rent", "reference": "f-1"}
    treasurer = world.clerk("treasurers", name="payer")
    approval = treasurer.call("POST", "/fees/payout", payout).body["data"]["approvalId"]
    return {
        "userId": str(world.alice.user.id),
        "orderId": str(order["orderId"]),
        "clientOrderId": "mine",
        "keyId": key,
        "approvalId": str(approval),
        "symbol": world.symbol,
        "currency": "USD",
    }


def _request(route: Route, names: dict[str, str]) -> tuple[str, str, bytes]:
    """Method, target and body, the last example of the description."""
    described = json_body(route.method, route.path)
    examples = list(described.get("examples", {}).values()) or [{"value": {}}]
    body: dict[str, Any] = examples[-1]["value"]
    target = re.sub(r"\{(\w+)\}", lambda name: names[name[1]], route.path)
    if "userId" in body or (described and route.of_another):
        body = {**body, "userId": int(names["userId"])}
    elif route.of_another:
        target += f"?userId={names['userId']}"
    return route.method, target, json.dumps(body).encode() if described else b""
