"""Killing and freezing processes in the middle of trading loses no order, doubles none, and keeps every cent."""

import itertools
import sqlite3
import subprocess
import time
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.e2e.clients import Placing, User
from tests.e2e.processes import Demo, wait_until

SYMBOL = "GOLD-CASH"
PATIENCE = timedelta(seconds=10)


def test_kill_9_of_worker_redis_and_web_and_a_frozen_redis_lose_no_order(demo: Demo) -> None:
    demo.ensure_running()
    with User(demo.address, "admin") as admin, User(demo.address, "alice") as alice, User(demo.address, "bob") as bob:
        _trade_while_processes_die(demo, admin, alice, bob)
    assert demo.interrupt() == 0, demo.text()
    assert demo.processes() == {}
    _check_books(demo.data / "exchange.sqlite3")


def test_a_data_folder_that_is_removed_ends_the_demo_with_one_line(demo: Demo) -> None:
    demo.end()
    demo.start("--no-traders")
    demo.wait_until_ready()
    before = demo.text()
    # Not rmtree, because SQLite removes files of its own meanwhile.
    subprocess.run(["rm", "-rf", demo.data], check=True)
    assert demo.wait(40) == 1
    assert demo.text().removeprefix(before).splitlines() == [
        f"{demo.data} was removed while the demo ran; start it again, and it begins with nothing",
        "stopping",
    ]


def _trade_while_processes_die(demo: Demo, admin: User, alice: User, bob: User) -> None:
    _open_market(admin)
    before = _owned(admin)
    buying, selling = Placing(alice, SYMBOL, "BUY"), Placing(bob, SYMBOL, "SELL")

    with buying.running(), selling.running():
        for program in ("worker", "redis", "web"):
            _wait_for_more(demo, buying)
            _kill(demo, program)
        _wait_for_more(demo, buying)
        # Nothing dies: every answer of Redis fails to come in time.
        with demo.frozen("redis"):
            _wait_for_more(demo, buying)
        _wait_for_more(demo, buying)

    assert buying.user.repeated + selling.user.repeated > 0, "the web server was gone, and nobody noticed"
    orders = [order for placing in (buying, selling) for order in _processed(placing)]
    assert _filled(orders, "BUY") == _filled(orders, "SELL") > 0
    assert _owned(admin) == before


def _open_market(admin: User) -> None:
    """A market without fees between two new assets: what its users own together never changes."""
    market = {"symbol": SYMBOL, "base": "GOLD", "quote": "CASH", "tickSize": "0.1", "lotSize": "1"}
    admin.request("POST", "/markets", market)
    for name, asset in (("alice", "CASH"), ("bob", "GOLD")):
        deposit = {"userId": _users(admin)[name], "currency": asset, "amount": "1000000", "reason": "test"}
        admin.request("POST", "/balances/update", {**deposit, "reference": f"test-{name}"})


def _users(admin: User) -> dict[str, int]:
    """Everybody's id by name: ids are given in sequence."""
    users: dict[str, int] = {}
    for user_id in itertools.count(1):
        response = admin.response("GET", f"/users/{user_id}")
        if response.status_code == 404:
            return users
        users[response.json()["data"]["username"]] = user_id
    raise AssertionError


def _owned(admin: User) -> dict[str, Decimal]:
    """How much of each of the market's assets all users own together, as staff see it over REST."""
    owned = {"GOLD": Decimal(0), "CASH": Decimal(0)}
    for user_id in _users(admin).values():
        for asset in owned:
            owned[asset] += Decimal(admin.get(f"/balances/{user_id}/{asset}")["totalBalance"])
    return owned


def _wait_for_more(demo: Demo, placing: Placing) -> None:
    """Until a few more orders were answered, and the exchange has worked on some time."""
    count = len(placing.accepted)
    time.sleep(2)
    wait_until(lambda: len(placing.accepted) >= count + 5 or placing.errors, 15, demo.text)


def _kill(demo: Demo, program: str) -> None:
    old = demo.kill_program(program)
    wait_until(lambda: demo.pid(program) != old, 10)


def _processed(placing: Placing) -> list[dict[str, Any]]:
    """The orders that were answered, each of which must have been processed in time, and no others."""
    user = placing.user
    orders = []
    for key, order_id in placing.accepted.items():
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while (order := user.get(f"/orders/client/{key}"))["status"] == "PENDING":
            assert time.monotonic() < deadline, order
            time.sleep(0.1)
        assert order["orderId"] == order_id
        assert order["status"] in ("OPEN", "PARTIALLY_FILLED", "FILLED"), order
        first = user.get(f"/orders/{order_id}/events")[0]
        assert _time(first["createdAt"]) - _time(order["createdAt"]) < PATIENCE, (order, first)
        orders.append(order)
    stored = user.get("/orders", symbol=SYMBOL, limit=500)
    assert len(stored) < 500, "more than one page"
    assert sorted(order["clientOrderId"] for order in stored) == sorted(placing.accepted)
    return orders


def _filled(orders: list[dict[str, Any]], side: str) -> Decimal:
    return sum((Decimal(order["filledQuantity"]) for order in orders if order["side"] == side), Decimal(0))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _check_books(database: Path) -> None:
    """The same for all traders, who went on meanwhile: each balance is explained, no step of a book is missing."""
    findings = {
        "balances that their ledger does not explain": """
            SELECT user_id, currency, available + frozen AS owned, (SELECT SUM(amount) FROM ledger_entries
            WHERE account = user_id AND ledger_entries.currency = balances.currency) AS booked
            FROM balances WHERE owned != COALESCE(booked, 0)""",
        "money made or lost": """
            SELECT currency, reference, SUM(amount) FROM ledger_entries GROUP BY 1, 2 HAVING SUM(amount) != 0""",
        "gaps in the sequence": """
            SELECT market_id, next_sequence, COUNT(DISTINCT sequence) AS steps FROM order_events
            JOIN order_books USING (market_id) GROUP BY 1 HAVING steps != next_sequence - 1""",
        "failed orders": "SELECT id, reason FROM orders WHERE status = 'FAILED'",
    }
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        found = {what: connection.execute(query).fetchall() for what, query in findings.items()}
    assert not any(found.values()), found
