"""The pollers' judgement sees an old answer; without that, a run in which they found nothing says nothing."""

from decimal import Decimal

import pytest

from tools.chaos.exchange import FUNDS
from tools.chaos.polls import Answered, Poller, Rows, Step, add_fill, below_what_was_heard, lacking
from tools.rig.events import Event
from tools.rig.trader import Trader

BTC, ETH = "BTC-USD", "ETH-USD"


@pytest.fixture
def rows() -> Rows:
    """Two buys of 1 BTC at 100 and a sell of 2 ETH at 10, with fees; and an order that was filled by the second."""
    rows = Rows()
    for symbol, sequence, buys, quantity, price in (
        (BTC, 5, True, 1, 100),
        (BTC, 9, True, 1, 100),
        (ETH, 4, False, 2, 10),
    ):
        sums = rows.fills[symbol][-1][1].copy() if rows.fills[symbol] else {"BTC": 0, "ETH": 0, "USD": 0}
        # In what is received.
        fees = (Decimal("0.1") * buys, Decimal("0.1") * (not buys))
        add_fill(sums, symbol, buys, not buys, Decimal(quantity), Decimal(quantity * price), *fees)
        rows.fills[symbol].append((sequence, sums))
    rows.events[7] = [Step(3, "OPEN", True, Decimal(0)), Step(9, "FILLED", False, Decimal(1))]
    return rows


def balances(as_of: dict[str, int], **changes: str) -> Answered:
    data = [
        {"currency": currency, "totalBalance": str(Decimal(funds) + Decimal(changes.get(currency, "0")))}
        for currency, funds in FUNDS.items()
    ]
    return Answered("/balances/1", {}, as_of, data)


@pytest.mark.parametrize(
    ("as_of", "changes", "is_old"),
    [
        ({BTC: 0, ETH: 0}, {}, False),
        ({BTC: 4, ETH: 3}, {"BTC": "0.9", "USD": "-100"}, False),
        ({BTC: 5, ETH: 3}, {"BTC": "0.9", "USD": "-100"}, False),
        ({BTC: 5, ETH: 4}, {"BTC": "1.8", "USD": "-180.1", "ETH": "-2"}, False),
        ({BTC: 5, ETH: 3}, {}, True),
        ({BTC: 9, ETH: 0}, {"BTC": "0.9", "USD": "-100"}, True),
        ({BTC: 9, ETH: 4}, {"BTC": "1.8", "USD": "-200"}, True),
        ({BTC: 9, ETH: 0}, {"BTC": "1.8", "USD": "-100"}, True),
    ],
)
def test_balances_of_before_are_found(rows, as_of, changes, is_old):
    assert bool(lacking(balances(as_of, **changes), rows)) == is_old


@pytest.mark.parametrize(
    ("as_of", "status", "filled", "active", "is_old"),
    [
        (2, "PENDING", "0", True, False),
        (3, "OPEN", "0", True, False),
        (3, "FILLED", "1", False, False),
        (9, "FILLED", "1", False, False),
        (3, "PENDING", "0", True, True),
        (9, "OPEN", "0", True, True),
    ],
)
def test_an_order_of_before_is_found(rows, as_of, status, filled, active, is_old):
    order = {"orderId": 7, "symbol": BTC, "status": status, "filledQuantity": filled, "active": active}
    for path, data in (("/orders/7", order), ("/orders?limit=5", [order])):
        assert bool(lacking(Answered(path, {}, {BTC: as_of, ETH: 0}, data), rows)) == is_old


def test_an_as_of_below_what_was_received_is_found():
    assert below_what_was_heard(Answered("/orders", {BTC: 5, ETH: 2}, {BTC: 4, ETH: 2}, []))
    assert not below_what_was_heard(Answered("/orders", {BTC: 5, ETH: 2}, {BTC: 5}, []))


def test_all_that_a_poller_hears_counts():
    poller = Poller("http://127.0.0.1:1", Trader.with_token("http://127.0.0.1:1", 1, "alice", "token"), 0)
    for event in (
        Event("order-status-update", f"{BTC}-3", {"symbol": BTC, "sequence": 3, "orderId": 7}),
        Event("trades", "", [{"tradeId": f"{ETH}-6", "sequence": 6}, {"tradeId": f"{ETH}-8", "sequence": 8}]),
        Event("depth", "", {"symbol": BTC, "sequence": 2}),
        Event("ticker", "", {"symbol": BTC}),
        Event("connected", "", {"userId": 1}),
    ):
        poller.receive(event)
    assert (poller.received, poller.orders) == ({BTC: 3, ETH: 8}, [7])
