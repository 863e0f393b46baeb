"""The checks see what they are there for; without that, a run in which nothing was wrong says nothing."""

from datetime import UTC, datetime
from random import Random

import pytest

from clients.python.clearbell import Refused
from tools.chaos import checks, clients, views
from tools.chaos.checks import Findings
from tools.chaos.flow import Flow
from tools.chaos.killer import Sizes
from tools.chaos.views import OrdersView
from tools.rig.events import Event
from tools.rig.trader import Trader


class AcceptedOrders:
    """A client whose orders were accepted, by key."""

    trader = None
    # Refused at last, after a request that was not answered.
    unknown = ("u",)

    def __init__(self, **accepted: int) -> None:
        self.accepted = accepted


def found(monkeypatch: pytest.MonkeyPatch, accepted: dict[str, int], *stored: tuple[str, int, str]) -> Findings:
    rows = [
        {"clientOrderId": key, "orderId": number, "status": status, "reason": None} for key, number, status in stored
    ]
    monkeypatch.setattr(checks, "all_orders", lambda trader: rows)
    findings = Findings()
    checks._check_orders(AcceptedOrders(**accepted), findings)
    return findings


def test_nothing_is_wrong_with_what_was_told(monkeypatch):
    findings = found(monkeypatch, {"a": 1, "b": 2}, ("a", 1, "OPEN"), ("b", 2, "FILLED"))
    assert (findings.orders, findings.wrong) == (2, [])
    perhaps = found(monkeypatch, {"a": 1}, ("a", 1, "OPEN"), ("u", 2, "OPEN"))
    assert (perhaps.doubled, perhaps.wrong) == (0, [])


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
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    first, second = (Flow(Random(7), "c0", now=lambda: noon) for _ in range(2))
    assert [first.call() for _ in range(200)] == [second.call() for _ in range(200)]


def update(sequence: int, status: str) -> Event:
    order = {"orderId": 1, "eventId": f"BTC-USD-{sequence}", "sequence": sequence, "status": status}
    return Event("order-status-update", order["eventId"], order)


def test_a_view_believes_later_steps_only():
    view = OrdersView("http://127.0.0.1:1", Trader.with_token("http://127.0.0.1:1", 1, "alice", "token"))
    for event in (update(3, "OPEN"), update(5, "FILLED"), update(3, "OPEN")):
        view.receive(event)
    assert (view.orders[1]["status"], view.received) == ("FILLED", {"BTC-USD-3", "BTC-USD-5"})


@pytest.mark.parametrize(
    ("sent", "differs"),
    [
        ({}, []),
        ({"reason": "AMENDED"}, []),
        ({"reason": "AMENDED", "updatedAt": "later"}, ["updatedAt"]),
        ({"reason": "AMEND_REFUSED", "updatedAt": "later"}, []),
        ({"reason": "AMEND_REFUSED", "status": "FILLED"}, ["status"]),
        ({"reason": "USER_CANCELLED"}, ["reason"]),
    ],
)
def test_the_reason_of_an_event_alone_is_not_its_orders(sent, differs):
    """Whoever amends an order in vain is told so, and the order is as it was."""
    order = {"status": "OPEN", "active": True, "reason": None, "updatedAt": "then"}
    assert views._different(order, order | sent) == differs


def test_rules_that_are_named_together_are_each_looked_at():
    """An order that is repeated after an outage may be late and beyond the band at once."""
    errors = [{"error": "PRICE_OUT_OF_BAND"}, {"error": "EXPIRY_TOO_SOON"}]
    client = clients.Client(Trader.with_token("http://127.0.0.1:1", 1, "alice", "token"), 0, seed=1, pause=0)
    for named in (errors, [*errors, {"error": "PRICE_OFF_TICK"}]):
        refusal = Refused.of(400, {"error": "VALIDATION_FAILED", "data": {"errors": named}})
        client._note("POST", "/orders", {}, refusal)
    assert len(client.mistakes) == 1
    client._note("DELETE", "/orders/1", None, Refused.of(409, {"error": "ORDER_CLOSED", "data": {}}))
    assert len(client.mistakes) == 1
