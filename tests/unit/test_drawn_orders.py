"""What the clients of make chaos and the demo's traders draw is of every kind, and well formed."""

import re
from decimal import Decimal
from random import Random
from typing import Any

from clients.python.clearbell.terms import body_of
from core.kinds import KINDS
from orders.terms import OrderForm, missing_errors, shape_errors
from tools.chaos import terms
from tools.chaos.flow import Flow
from tools.demo import strategy


def errors_of(body: dict[str, Any]) -> list[Any]:
    values, errors = OrderForm.parse(body)
    return errors + missing_errors(values, set(body)) + shape_errors(values)


def test_the_clients_of_chaos_draw_orders_of_every_kind():
    flow = Flow(Random(7), "c")
    drawn = [flow.order() for _ in range(600)]
    assert [(body, errors) for body in drawn if (errors := errors_of(body))] == []
    assert {body["type"] for body in drawn} == set(KINDS)
    assert {body["timeInForce"] for body in drawn if "timeInForce" in body} == {"IOC", "FOK", "GTD"}
    assert {body.get("selfTradePrevention") for body in drawn} == {None, *terms.PREVENTIONS}


def test_the_clients_of_chaos_make_every_call():
    flow, calls = Flow(Random(7), "c"), set()
    for number in range(3_000):
        method, path, body = flow.call()
        calls.add(f"{method} {re.sub('c-[0-9]+|[0-9]+', 'N', path.partition('symbol')[0])}")
        if path == "/orders":
            flow.remember(number, body)
    placing = {"POST /orders", "POST /orders/batch", "POST /orders/oco", "POST /orders/N/replace", "PATCH /orders/N"}
    cancelling = {"DELETE /orders/N", "DELETE /orders/client/N", "DELETE /orders?", "POST /orders/batch-cancel"}
    assert calls == placing | cancelling | {"POST /orders/cancel-all-after"}


def test_the_traders_of_the_demo_draw_orders_of_every_kind():
    price = strategy.Price("BTC-USD", 60_000.0, Decimal("0.01"), Decimal("0.0001"), Decimal("0.05"))
    drawn = [body_of(strategy.new_order(action, price)) for action in strategy.ACTIONS for _ in range(30)]
    assert [(body, errors) for body in drawn if (errors := errors_of(body))] == []
    assert {body["type"] for body in drawn} >= {"LIMIT", "MARKET", "STOP", "TAKE_PROFIT_LIMIT", "TRAILING_STOP"}
    assert any("displayQuantity" in body for body in drawn)
    assert any("expiresAt" in body for body in drawn)
