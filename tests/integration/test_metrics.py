"""GET /metrics: the numbers after trading, and what a scrape may cost and may not touch."""

import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import ConnectionError as RedisConnectionError

from base.storage.breakers import ServerAway, breaker_of
from commands.models import Command
from matching import drain
from matching.books import lock_book
from operations import metrics
from tests.support.tape import parse
from tests.support.world import World

pytestmark = pytest.mark.django_db

Numbers = dict[tuple[str, ...], float]


def scraped() -> Numbers:
    """Every sample by its name and the values of its labels, in the order of the labels' names."""
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def gained() -> Callable[..., float]:
    """By how much a number grew from the test's begin to its first question: the process counts on over all tests.

    One scrape serves all of a test's questions, because the counters of all tests before it make each one slower.
    """
    before = scraped()
    after = functools.cache(scraped)

    def grown(name: str, *labels: str) -> float:
        return after().get((name, *labels), 0) - before.get((name, *labels), 0)

    return grown


@pytest.mark.django_db(transaction=True)
def test_the_numbers_after_trading(gained: Callable[..., float]) -> None:
    world = World.make()
    symbol = "BTC-USD"
    world.play(world.bob, "sell 2 @ 100")
    world.play(world.alice, "buy 1 @ 100", clientOrderId="once")
    world.place(world.alice, "buy 1 @ 100", clientOrderId="once")
    world.play(world.alice, "buy 1 @ 100 post-only")
    world.play(world.alice, "buy 1 @ 90 ioc")
    refused = world.place(world.alice, "buy 1 @ 90000000")
    assert refused.body["error"] == "INSUFFICIENT_FUNDS"

    assert gained("exchange_orders_received_total", symbol) == 4
    assert gained("exchange_orders_duplicate_total", symbol) == 1
    assert gained("exchange_orders_processed_total", symbol) == 4
    assert gained("exchange_orders_rejected_total", "intake", "INSUFFICIENT_FUNDS", symbol) == 1
    assert gained("exchange_orders_rejected_total", "engine", "WOULD_TAKE", symbol) == 1
    assert gained("exchange_orders_failed_total", symbol) == 0
    assert gained("exchange_order_events_total", "EXPIRED", symbol) == 1
    assert gained("exchange_order_events_total", "FILLED", symbol) == 1
    assert gained("exchange_trades_total", symbol) == 1
    assert gained("exchange_order_processing_seconds_count", symbol) == 4
    assert gained("exchange_batch_commands_count", symbol) == 4
    assert gained("exchange_batch_commands_sum", symbol) == 4
    assert gained("exchange_lock_wait_seconds_count", symbol) == 4
    assert gained("exchange_locked_seconds_count", symbol) == 4


@pytest.mark.django_db(transaction=True)
def test_each_order_of_a_batch_is_counted(gained: Callable[..., float]) -> None:
    world = World.make()
    lines = ["sell 1 @ 100", "sell 1 @ 101", "sell 900000 @ 102"]
    answer = world.bob.call("POST", "/orders/batch", {"orders": [parse(line).body("BTC-USD") for line in lines]})
    assert answer.status_code == 202
    world.match()
    assert gained("exchange_orders_received_total", "BTC-USD") == 2
    assert gained("exchange_orders_rejected_total", "intake", "INSUFFICIENT_FUNDS", "BTC-USD") == 1
    assert gained("exchange_orders_processed_total", "BTC-USD") == 2
    assert gained("exchange_batch_commands_count", "BTC-USD") == 1


def test_statements_and_requests_are_counted(world: World, gained: Callable[..., float]) -> None:
    world.alice.get("/orders")
    assert (
        gained("django_http_responses_total_by_status_view_method_total", "GET", "200", "orders.views.OrdersView") == 1
    )
    assert gained("django_db_execute_total", "default", connection.vendor) > 0


def test_a_made_up_method_makes_no_series() -> None:
    Client().generic("BREW", "/api/v1/time")
    assert not [labels for labels in scraped() if "BREW" in labels]


@pytest.mark.dialect
def test_what_waits(world: World) -> None:
    world.place(world.alice, "buy 1 @ 90")
    world.place(world.alice, "buy 1 @ 91")
    numbers = scraped()
    assert numbers["exchange_waiting_commands", "BTC-USD"] == 2
    assert 0 <= numbers["exchange_oldest_command_seconds", "BTC-USD"] < 60
    assert numbers["exchange_market_status", "TRADING", "BTC-USD"] == 1
    assert numbers["exchange_workers", "BTC-USD"] == 0
    assert (numbers["exchange_dead_letters_unresolved",], numbers["exchange_database_up",]) == (0, 1)
    world.match()
    numbers = scraped()
    assert numbers["exchange_waiting_commands", "BTC-USD"] == 0
    assert numbers["exchange_oldest_command_seconds", "BTC-USD"] == 0


@pytest.mark.dialect
def test_the_last_audit(world: World) -> None:
    world.play(world.alice, "buy 1 @ 90")
    call_command("audit", "--quick", stdout=mock.Mock())
    numbers = scraped()
    assert numbers["exchange_last_audit_findings", "quick"] == 0
    assert 0 <= numbers["exchange_last_audit_age_seconds", "quick"] < 60


def test_deadlocks_and_outages(world: World, gained: Callable[..., float], monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [OperationalError(1213, "deadlock"), OperationalError(2013, "lost connection")]
    real = drain.lock_book

    def lock(symbol: str) -> object:
        if errors:
            raise errors.pop(0)
        return real(symbol)

    monkeypatch.setattr(drain, "lock_book", lock)
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)
    world.play(world.alice, "buy 1 @ 90")
    assert gained("exchange_deadlock_retries_total", "engine") == 1
    assert gained("exchange_interruptions_total", "BTC-USD") == 1


@pytest.mark.parametrize("markets", [1, 20])
def test_a_scrape_costs_the_same_for_any_number_of_markets(
    world: World, markets: int, django_assert_num_queries: Callable[..., object]
) -> None:
    for number in range(markets - 1):
        world.staff.call("POST", "/markets", {
            "symbol": f"ETH-{number}", "base": "ETH", "quote": "USD", "tickSize": "0.01", "lotSize": "0.01",
        })  # fmt: skip
    world.place(world.alice, "buy 1 @ 90")
    with django_assert_num_queries(7):
        scraped()
    world.match()


def test_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OperationalError(2006, "gone away")

    monkeypatch.setattr(metrics, "_audits", away)
    numbers = scraped()
    assert numbers["exchange_database_up",] == 0
    assert not [name for name, *_ in numbers if name.startswith("exchange_waiting")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/metrics", "/health/ready", "/health/live"])
def test_a_scrape_waits_for_no_lock(path: str) -> None:
    """While a worker holds its book's row, with all of its batch written."""
    world = World.make()
    world.place(world.alice, "buy 1 @ 90")
    with transaction.atomic():
        lock_book("BTC-USD")
        Command.objects.update(created_at=timezone.now())
        with ThreadPoolExecutor(1) as pool:
            status = pool.submit(_status, path).result(timeout=2)
    assert status == 200
    world.match()


def test_a_server_that_is_away() -> None:
    """Redis or the broker; none of them is asked by a scrape."""
    with contextlib.suppress(ServerAway), breaker_of("redis://127.0.0.1:1").calling():
        raise RedisConnectionError
    assert scraped()["exchange_server_away", "127.0.0.1:1"] == 1


def _status(path: str) -> int:
    try:
        return Client().get(path).status_code
    finally:
        connection.close()
