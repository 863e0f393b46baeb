"""The checks see what they are there for; without that, a run in which nothing was wrong says nothing."""

from random import Random
from typing import Any

import pytest

from tests.integration.stream.client import Told
from tools.chaos import checks
from tools.chaos.checks import Findings
from tools.chaos.flow import Flow
from tools.chaos.killer import Sizes
from tools.chaos.views import OrdersView


class OrderRequest:
    """A client that was told of its orders, by key."""

    trader = None

    def __init__(self, **accepted: int) -> None:
        self.accepted = accepted


def found(monkeypatch: pytest.MonkeyPatch, accepted: dict[str, int], *stored: tuple[str, int, str]) -> Findings:
    rows = [
        {"clientOrderId": key, "orderId": number, "status": status, "reason": None} for key, number, status in stored
    ]
    monkeypatch.setattr(checks, "all_orders", lambda trader: rows)
    findings = Findings()
    checks._check_orders(OrderRequest(**accepted), findings)
    return findings


def test_nothing_is_wrong_with_what_was_told(monkeypatch):
    findings = found(monkeypatch, {"a": 1, "b": 2}, ("a", 1, "OPEN"), ("b", 2, "FILLED"))
    assert (findings.orders, findings.wrong) == (2, [])


@pytest.mark.parametrize(
    ("stored", "counts"),
    [
        ([], (1, 0, 0)),
        ([("a", 2, "OPEN")], (1, 0, 0)),
        ([("a", 1, "OPEN"), ("a", 2, "OPEN")], (0, 1, 0)),
        ([("a", 1, "OPEN"), ("b", 2, "OPEN")], (0, 1, 0)),
        ([("a", 1, "PENDING")], (0, 0, 1)),
        ([("a", 1, "FAILED")], (0, 0, 0)),
    ],
)
def test_lost_doubled_stuck_and_failed_orders_are_found(monkeypatch, stored, counts):
    findings = found(monkeypatch, {"a": 1}, *stored)
    assert (findings.lost, findings.doubled, findings.stuck) == counts
    assert findings.wrong


def test_one_seed_gives_the_same_commands_and_the_same_plan():
    sizes = Sizes(workers=20, databases=5, redis=5, others=2, pause_seconds=1)
    assert sizes.plan(Random(7)) == sizes.plan(Random(7)) != sizes.plan(Random(8))
    first, second = (Flow(Random(7), "c0") for _ in range(2))
    assert [first.call() for _ in range(200)] == [second.call() for _ in range(200)]


def told(sequence: int, status: str, **more: Any) -> Told:
    event = f'{{"orderId": 1, "eventId": "BTC-USD-{sequence}", "sequence": {sequence}, "status": "{status}"}}'
    return Told("order-status-update", None, event)


def test_a_view_believes_later_steps_only(monkeypatch):
    view = OrdersView.__new__(OrdersView)
    view.orders, view.heard, view._newest = {}, set(), {}
    for step in (told(3, "OPEN"), told(5, "FILLED"), told(3, "OPEN")):
        view.hear(step)
    assert (view.orders[1]["status"], view.heard) == ("FILLED", {"BTC-USD-3", "BTC-USD-5"})
