"""The scenarios of the system that this one replaces, and those it failed: over HTTP, matched by the real worker."""

import os
import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.support.live import Live, Trader, wait_for
from tests.support.tape import parse
from tests.support.world import outcome


@pytest.fixture
def symbol(exchange: Live) -> str:
    return exchange.market()


@pytest.fixture
def alice(exchange: Live) -> Trader:
    return exchange.trader("alice", USD="10000")


@pytest.fixture
def bob(exchange: Live) -> Trader:
    return exchange.trader("bob", BTC="10")


def depth(trader: Trader, symbol: str) -> str:
    book = trader.get(f"/orderbook/{symbol}")
    sides = (" ".join(f"{level['quantity']}@{level['price']}" for level in book[side]) for side in ("bids", "asks"))
    return " | ".join(sides).strip()


def test_limit_exact_match(symbol, alice, bob):
    ask = bob.played(symbol, "sell 2 @ 100")
    assert outcome(ask) == "2 open +"
    assert outcome(alice.played(symbol, "buy 2 @ 100")) == "0 filled"
    assert outcome(bob.settled(ask["orderId"])) == "0 filled"
    assert (alice.holds("USD"), alice.holds("BTC"), bob.holds("USD"), bob.holds("BTC")) == (
        "9800 0",
        "2 0",
        "200 0",
        "8 0",
    )


def test_partial_fill(symbol, alice, bob):
    bob.played(symbol, "sell 2 @ 100")
    assert outcome(alice.played(symbol, "buy 5 @ 100")) == "3 partially_filled +"
    assert depth(alice, symbol) == "3@100 |"


def test_the_outcome_is_the_answer_of_who_waits(symbol, alice, bob):
    bob.played(symbol, "sell 1 @ 100")
    answer = alice.call("POST", "/orders?wait=2000", parse("buy 2 @ 100").body(symbol))
    order = answer.json()["data"]
    assert (answer.status_code, outcome(order)) == (200, "1 partially_filled +")
    assert answer.json()["asOf"][symbol] >= order["sequence"]


def test_orders_end_when_their_owner_says_nothing_more(symbol, alice):
    order_id = alice.played(symbol, "buy 2 @ 100")["orderId"]
    assert alice.call("POST", "/orders/cancel-all-after", {"timeoutSeconds": 1, "symbol": symbol}).status_code == 200
    assert outcome(alice.settled(order_id)) == "2 cancelled dead_man_switch"
    assert outcome(alice.played(symbol, "buy 1 @ 100")) == "1 open +"


def test_an_order_ends_at_its_time(symbol, alice):
    at = datetime.now(UTC) + timedelta(seconds=1.5)
    order_id = alice.place(symbol, "buy 2 @ 100 gtd", expiresAt=at.isoformat())
    order = alice.settled(order_id)
    assert outcome(order) == "2 expired gtd_expired"
    assert at <= datetime.fromisoformat(order["closedAt"]) <= at + timedelta(seconds=5)
    assert alice.holds("USD") == "10000 0"


def test_crossing_several_levels(symbol, alice, bob):
    for line in ("sell 1 @ 100", "sell 1 @ 101", "sell 1 @ 102"):
        bob.played(symbol, line)
    order = alice.played(symbol, "buy 2.5 @ 102")
    assert (outcome(order), order["averagePrice"]) == ("0 filled", "100.8")
    assert depth(alice, symbol) == "| 0.5@102"
    prices = [trade["price"] for trade in alice.get(f"/trades/{symbol}")]
    assert prices == ["102", "101", "100"]


def test_no_match_rests(symbol, alice, bob):
    bob.played(symbol, "sell 1 @ 101")
    assert outcome(alice.played(symbol, "buy 1 @ 100")) == "1 open +"
    assert depth(alice, symbol) == "1@100 | 1@101"


def test_first_come_first_served_at_one_price(exchange, symbol, alice, bob):
    carol = exchange.trader("carol", BTC="1")
    first, second = bob.played(symbol, "sell 1 @ 100"), carol.played(symbol, "sell 1 @ 100")
    alice.played(symbol, "buy 1 @ 100")
    assert outcome(bob.settled(first["orderId"])) == "0 filled"
    assert outcome(carol.order(second["orderId"])) == "1 open +"


def test_market_order_filled_across_levels(symbol, alice, bob):
    for line in ("sell 1 @ 100", "sell 1 @ 150"):
        bob.played(symbol, line)
    order = alice.played(symbol, "buy 2 @ market")
    assert (outcome(order), order["averagePrice"]) == ("0 filled", "125")


def test_market_order_with_too_little_liquidity(symbol, alice, bob):
    bob.played(symbol, "sell 1 @ 100")
    order = alice.played(symbol, "buy 2 @ market")
    assert outcome(order) == "1 partially_filled no_liquidity"
    assert not order["active"]
    assert depth(alice, symbol) == "|"
    assert alice.holds("USD") == "9900 0"


def test_cancel_removes_from_the_book_and_releases_the_funds(symbol, alice):
    order = alice.played(symbol, "buy 2 @ 100")
    assert alice.holds("USD") == "9800 200"
    assert alice.call("DELETE", f"/orders/{order['orderId']}").status_code == 202
    assert outcome(alice.settled(order["orderId"])) == "2 cancelled user_cancelled"
    assert depth(alice, symbol) == "|"
    assert alice.holds("USD") == "10000 0"


def test_price_improvement_is_released_to_the_buyer(symbol, alice, bob):
    bob.played(symbol, "sell 1 @ 100")
    alice.played(symbol, "buy 1 @ 120")
    assert alice.holds("USD") == "9900 0"


def test_market_order_without_liquidity_is_rejected(symbol, bob):
    assert outcome(bob.played(symbol, "sell 1 @ market")) == "1 rejected no_liquidity"
    assert bob.holds("BTC") == "10 0"


def test_market_buy_is_bounded_by_available_funds(symbol, alice, bob):
    bob.played(symbol, "sell 10 @ 4000")
    assert outcome(alice.played(symbol, "buy 10 @ market")) == "7.5 partially_filled insufficient_funds"
    assert alice.holds("USD") == "0 0"


def test_insufficient_funds_leave_no_order(symbol, alice, bob):
    for trader, body in (
        (alice, {"side": "BUY", "price": "10000.01", "quantity": "1"}),
        (bob, {"side": "SELL", "price": "1", "quantity": "10.0001"}),
    ):
        answer = trader.call("POST", "/orders", {"symbol": symbol, "type": "LIMIT", **body})
        assert (answer.status_code, answer.json()["error"]) == (400, "INSUFFICIENT_FUNDS")
        assert trader.get("/orders") == []


def test_another_users_order_is_not_found(symbol, alice, bob):
    order = alice.played(symbol, "buy 1 @ 100")
    for method in ("GET", "DELETE"):
        answer = bob.call(method, f"/orders/{order['orderId']}")
        assert (answer.status_code, answer.json()["error"]) == (404, "ORDER_NOT_FOUND")


def test_cancel_of_a_closed_order(symbol, alice, bob):
    bob.played(symbol, "sell 1 @ 100")
    order = alice.played(symbol, "buy 1 @ 100")
    answer = alice.call("DELETE", f"/orders/{order['orderId']}")
    assert (answer.status_code, answer.json()["error"]) == (409, "ORDER_CLOSED")


def test_a_hundred_parallel_orders_with_funds_for_ten(exchange, symbol):
    dora = exchange.trader("dora", USD="1000")
    body = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "price": "100", "quantity": "1"}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: dora.call("POST", "/orders", body), range(100)))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(202), codes.count(400)) == (10, 90), codes
    assert {answer.json().get("error") for answer in answers} == {None, "INSUFFICIENT_FUNDS"}
    assert len(dora.get("/orders")) == 10
    wait_for(lambda: dora.get("/orders?status=OPEN"), lambda orders: len(orders) == 10)
    assert dora.holds("USD") == "0 1000"


def test_a_hundred_threads_with_one_client_order_id(exchange, symbol, alice):
    body = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "price": "10", "quantity": "1"}
    key = secrets.token_hex(8)
    with ThreadPoolExecutor(20) as pool:
        calls = pool.map(lambda _: alice.call("POST", "/orders", {**body, "clientOrderId": key}), range(100))
        answers = list(calls)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["data"]["orderId"] for answer in answers}) == 1
    assert len(alice.get("/orders")) == 1


def test_a_market_made_while_it_runs_is_matched_within_three_seconds(exchange, alice):
    symbol = exchange.market()
    order_id = alice.place(symbol, "buy 1 @ 100")
    wait_for(lambda: alice.order(order_id), lambda order: order["status"] == "OPEN", seconds=3)


def test_the_stream_tells_each_step_and_replays_what_was_missed(exchange, symbol, alice, bob):
    with exchange.stream(alice) as stream:
        assert stream.next().type == "connected"
        order_id = alice.place(symbol, "buy 2 @ 100")
        opened = stream.next()
        assert (opened.type, opened.data["orderId"], opened.data["status"]) == ("order-status-update", order_id, "OPEN")
        bob.played(symbol, "sell 0.5 @ 100")
        filled = stream.next()
    assert filled.id == filled.data["eventId"]
    assert (filled.data["status"], filled.data["filledQuantity"], filled.data["remainingQuantity"]) == (
        "PARTIALLY_FILLED",
        "0.5",
        "1.5",
    )
    assert filled.data["lastTrade"]["role"] == "MAKER"
    bob.played(symbol, "sell 0.5 @ 90")
    alice.call("DELETE", f"/orders/{order_id}")
    alice.settled(order_id)
    with exchange.stream(alice, last_event_id=filled.id) as stream:
        assert stream.next().type == "connected"
        missed = [stream.next().data for _ in range(2)]
    assert [(step["status"], step["filledQuantity"]) for step in missed] == [
        ("PARTIALLY_FILLED", "1"),
        ("CANCELLED", "1"),
    ]
    shown = alice.order(order_id)
    assert {name: missed[-1][name] for name in shown if name != "sequence"} == {
        name: value for name, value in shown.items() if name != "sequence"
    }
    timeline = alice.get(f"/orders/{order_id}/events")
    assert [step["eventId"] for step in timeline][-2:] == [step["eventId"] for step in missed]


def test_redis_killed_in_the_middle_loses_nothing(exchange, symbol, alice, bob):
    bob.played(symbol, "sell 5 @ 100")
    placed = []
    for number in range(30):
        placed.append(alice.place(symbol, "buy 0.1 @ 100"))
        if number == 10:
            exchange.redis.kill()
        if number == 20:
            exchange.redis.start()
    for order_id in placed:
        assert outcome(alice.settled(order_id)) == "0 filled"
    assert alice.holds("BTC") == "3 0"


def test_matching_goes_on_without_redis(exchange, symbol, alice, bob):
    """No bell is heard, and none is rung: the worker looks for commands by itself."""
    bob.played(symbol, "sell 5 @ 100")
    exchange.redis.kill()
    try:
        placed = [alice.place(symbol, "buy 0.1 @ 100") for _ in range(10)]
        for order_id in placed:
            assert outcome(alice.settled(order_id)) == "0 filled"
    finally:
        exchange.redis.start()
    assert outcome(alice.played(symbol, "buy 0.1 @ 100")) == "0 filled"


def test_redis_frozen_in_the_middle_loses_nothing(exchange, symbol, alice, bob):
    """Web, worker and beat go on without it, and with it again once it answers."""
    bob.played(symbol, "sell 5 @ 100")
    os.kill(exchange.redis.pid, signal.SIGSTOP)
    try:
        placed = [alice.place(symbol, "buy 0.1 @ 100") for _ in range(10)]
        began = time.monotonic()
        placed += [alice.place(symbol, "buy 0.1 @ 100") for _ in range(10)]
        assert time.monotonic() - began < 2, "only the first waited for Redis"
        for order_id in placed:
            assert outcome(alice.settled(order_id)) == "0 filled"
    finally:
        os.kill(exchange.redis.pid, signal.SIGCONT)
    assert outcome(alice.played(symbol, "buy 1 @ 100")) == "0 filled"
    assert alice.holds("BTC") == "3 0"


def test_a_worker_that_is_stopped_is_missed_at_once(exchange, symbol):
    def workers() -> int:
        return httpx.get(f"{exchange.url}/health/ready").json()["workers"][symbol]

    wait_for(workers, lambda number: number == 1)
    worker = exchange.processes["worker"]
    worker.stop()
    try:
        assert workers() == 0
    finally:
        worker.start()
    wait_for(workers, lambda number: number == 1)


def test_a_worker_killed_in_the_middle_loses_nothing(exchange, symbol, alice, bob):
    bob.played(symbol, "sell 5 @ 100")
    placed = []
    for number in range(30):
        placed.append(alice.place(symbol, "buy 0.1 @ 100"))
        if number in (10, 20):
            worker = exchange.processes["worker"]
            worker.kill()
            worker.launch()
    for order_id in placed:
        assert outcome(alice.settled(order_id)) == "0 filled"
    assert alice.holds("BTC") == "3 0"
    assert len(alice.get(f"/trades/{symbol}")) == 30


def test_all_processes_count_together(exchange, symbol, alice, bob):
    bob.played(symbol, "sell 2 @ 100")
    alice.played(symbol, "buy 1 @ 100")
    alice.played(symbol, "buy 1 @ 100 post-only")

    def counted():
        lines = httpx.get(f"{exchange.url}/metrics").text.splitlines()
        mine = [line for line in lines if f'symbol="{symbol}"' in line and "_bucket" not in line]
        return {line.partition("{")[0]: float(line.split()[-1]) for line in mine}

    # The worker counts after its commit, beside the telling.
    numbers = wait_for(counted, lambda numbers: numbers.get("exchange_orders_processed_total") == 3)
    assert numbers["exchange_orders_received_total"] == 3
    assert numbers["exchange_trades_total"] == 1
    assert numbers["exchange_orders_rejected_total"] == 1
    assert numbers["exchange_order_processing_seconds_count"] == 3
    assert 0 < numbers["exchange_order_processing_seconds_sum"] < 60
    assert numbers["exchange_waiting_commands"] == 0
    # Another test's worker that was killed may still count.
    assert numbers["exchange_workers"] >= 1
