"""The same request sent by many at once, or after Redis forgot everything, happens once: over HTTP, for real."""

import secrets
from concurrent.futures import ThreadPoolExecutor

from redis import Redis

from tests.support.live import Live


def test_a_hundred_threads_with_one_reference(exchange: Live) -> None:
    exchange.market()
    alice = exchange.trader("alice", USD="10000")
    assert exchange.staff is not None
    staff = exchange.staff
    body = {
        "userId": alice.user_id,
        "currency": "USD",
        "amount": "7",
        "reason": "gift",
        "reference": secrets.token_hex(8),
    }
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: staff.call("POST", "/balances/update", body), range(100)))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert {answer.json()["data"]["availableBalance"] for answer in answers} == {"10007"}
    assert alice.holds("USD") == "10007 0"
    entries = alice.get(f"/balances/{alice.user_id}/USD/ledger")
    assert [entry["amount"] for entry in entries] == ["7", "10000"]
    other = staff.call("POST", "/balances/update", {**body, "amount": "8"})
    assert (other.status_code, other.json()["error"]) == (422, "REFERENCE_REUSED")


def test_a_flushed_redis_forgets_no_key(exchange: Live) -> None:
    symbol, alice = exchange.market(), exchange.trader("alice", USD="10000")
    body = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "price": "10", "quantity": "1", "clientOrderId": "k"}
    first = alice.call("POST", "/orders", body)
    with Redis(port=exchange.redis.port) as redis:
        redis.flushall()
    again = alice.call("POST", "/orders", body)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["data"] == first.json()["data"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(alice.get("/orders")) == 1
    assert alice.call("POST", "/orders", {**body, "quantity": "2"}).status_code == 422
