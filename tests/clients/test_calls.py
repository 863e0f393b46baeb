"""The Python client knows every call that is described, asks for nothing that is not, and reads what is answered."""

import inspect
import re
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from balances import answers as balances
from base.web.values import camel as server_camel
from clients.python.clearbell import NewOco, limit
from clients.python.clearbell.answers import account, market, orders
from clients.python.clearbell.calls import account as account_calls
from clients.python.clearbell.calls import market as market_calls
from clients.python.clearbell.calls import orders as order_calls
from clients.python.clearbell.calls import staff as staff_calls
from clients.python.clearbell.calls.call import Call
from clients.python.clearbell.terms import camel
from marketdata import answers as marketdata
from markets import answers as markets
from matching import answers as matching
from operations import answers as operations_answers
from orders import answers as order_answers
from positions import answers as positions
from tests.support.contract import operations
from users import answers as users

# The class's page reads one, a sandbox has a document of its own, PUT is POST, and streams are no calls.
LEFT_OUT = {"GET /api/v1/class", "PUT /api/v1/balances/update", "GET /api/v1/ws", "GET /api/v1/stream/order-status"}
ORDER = limit("BTC-USD", "BUY", "1", "1")
OCO = NewOco(symbol="BTC-USD", side="BUY", quantity="1", price="1", stop_price="1", stop_limit_price="1")
WHOLE = ("order_id", "user_id", "approval_id", "limit", "wait", "timeout_seconds", "after")
GIVEN: dict[str, Any] = {
    **dict.fromkeys(WHOLE, 7),
    "order": ORDER,
    "orders": [ORDER],
    "group": OCO,
    "active": True,
    "strict": True,
    "everywhere": True,
    "start_time": datetime(2026, 1, 1, tzinfo=UTC),
    "end_time": datetime(2026, 1, 2, tzinfo=UTC),
    "expires_at": datetime(2026, 1, 1, tzinfo=UTC),
    "scopes": ["read"],
    "addresses": ["10.0.0.0/8"],
    "order_ids": [7],
    "client_order_ids": ["k"],
    "limits": {"requests_per_second": 5},
    "more": {"maker_fee_rate": "0.001"},
    "fields": {"status": "HALTED"},
    "topic": "orders",
}


def calls() -> list[tuple[str, Call[Any]]]:
    """Each call with every argument that it takes."""
    made = []
    for module in (account_calls, market_calls, order_calls, staff_calls):
        for name, build in inspect.getmembers(module, inspect.isfunction):
            if build.__module__ == module.__name__ and not name.startswith("_") and name != "accepted":
                parameters = inspect.signature(build).parameters
                named = {
                    each: GIVEN.get(each, "1") for each, kind in parameters.items() if kind.kind != kind.VAR_KEYWORD
                }
                wild = [GIVEN[each] for each, kind in parameters.items() if kind.kind == kind.VAR_KEYWORD]
                made.append((name, build(**named, **(wild[0] if wild else {}))))
    return made


def described(call: Call[Any]) -> tuple[str, str]:
    path = "/api/v1" + call.path
    found = [
        (method, template)
        for method, template in operations()
        if method == call.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    ]
    # A path without parameters comes before those that would match it as well.
    return min(found, key=lambda each: each[1].count("{"))


def test_every_call_is_known_and_asks_for_what_is_described():
    known = set()
    for name, call in calls():
        method, template = described(call)
        known.add(f"{method} {template}")
        operation = operations()[method, template]
        parameters = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
        assert set(call.query) <= parameters, name
        assert (call.body is not None) <= ("requestBody" in operation), name
    own = {f"{method} {path}" for method, path in operations() if path.startswith("/api/v1/")}
    elsewhere = {each for each in own if "/stream/market/" in each or "/sandbox" in each or "/feed/" in each}
    assert sorted(own - known - elsewhere - LEFT_OUT) == []


PAIRS = [
    *((getattr(market, each), getattr(markets, each)) for each in ("Market", "Asset", "FeeTier", "Fees")),
    *((getattr(market, each), getattr(marketdata, each)) for each in ("Level", "Trade", "Candle", "Ticker")),
    *((market.Depth, marketdata.OrderBook), (market.Time, markets.ServerTime), (market.Info, operations_answers.Info)),
    *((getattr(orders, each), getattr(order_answers, each)) for each in ("Order", "Fill", "OrderEvent", "LastTrade")),
    *((getattr(orders, each), getattr(order_answers, each)) for each in ("QueueLevel", "QueuePlace", "CancelResult")),
    *((orders.DeadManSwitch, order_answers.DeadManSwitch), (orders.AcceptedGroup, order_answers.AcceptedGroup)),
    *((getattr(orders, each), getattr(matching, each)) for each in ("Preview", "PreviewFill")),
    *((getattr(account, each), getattr(balances, each)) for each in ("Balance", "LedgerEntry", "Approval")),
    *((getattr(account, each), getattr(users, each)) for each in ("Limits", "MadeKey", "ApiKey")),
    *((account.Position, positions.Position), (account.User, users.Me), (account.Account, order_answers.Account)),
    *((account.Ticket, order_answers.Ticket), (account.StreamStats, order_answers.StreamStats)),
    (account.KillSwitch, operations_answers.KillSwitch),
]


@pytest.mark.parametrize(("read", "answered"), PAIRS, ids=lambda each: each.__name__)
def test_an_answer_is_read_with_all_of_its_fields(read, answered):
    names = getattr(answered, "model_fields", None)
    named = set(map(server_camel, names)) if names else answered.__required_keys__ | answered.__optional_keys__
    assert {camel(each.name) for each in fields(read)} == named
