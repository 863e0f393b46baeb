"""The admin's lists and pages: what is searched and filtered, and at what cost."""

import time
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from balances.models import LedgerEntry, Transfer
from base.storage import time_limit
from base.web import admin as shared
from markets.models import Trade
from matching.models import OrderBook
from orders.models import Order, OrderEvent
from tests.support.rows import shared_rows
from tests.support.world import World, fund, person
from users.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Bob's sell of 2 met Alice's buy of 1 and rests with the rest; another buy of hers rests below, a third waits."""
    with shared_rows(django_db_blocker):
        world = World.make()
        world.play(world.bob, "sell 2 @ 100.5", clientOrderId="bob-1")
        world.play(world.alice, "buy 1 @ 100.5", clientOrderId="first")
        world.play(world.alice, "buy 0.1 @ 90", clientOrderId="second")
        world.place(world.alice, "buy 0.2 @ 91", clientOrderId="third")
        yield world


def listed(client: Client, page: str, **query: object) -> list:
    response = client.get(reverse(f"admin:{page}_changelist"), query)
    assert response.status_code == 200, (page, query, response.status_code)
    return list(response.context["cl"].result_list)


def order(client_order_id: str) -> Order:
    return Order.objects.get(client_order_id=client_order_id)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("first", ["first"]),
        ("alice", ["third", "second", "first"]),
        ("alice second", ["second"]),
        ("bob second", []),
        ("BTC-USD", ["third", "second", "first", "bob-1"]),
        ("btc-usd", []),
        ("nothing", []),
        ("ali", []),
    ],
)
def test_orders_are_searched_by_what_they_are_known_by(world, operator, words, found):
    assert [row.client_order_id for row in listed(operator, "orders_order", q=words)] == found


def test_orders_are_searched_by_id_and_correlation_id(world, operator):
    first = order("first")
    assert listed(operator, "orders_order", q=first.id) == [first]
    assert listed(operator, "orders_order", q=first.correlation_id) == [first]


@pytest.mark.dialect
def test_orders_of_before_the_time_was_in_their_ids_are_found_too(world, operator):
    Order.objects.filter(client_order_id="first").update(correlation_id="0123456789abcdef" * 2)
    assert listed(operator, "orders_order", q="0123456789abcdef" * 2) == [order("first")]


@pytest.mark.parametrize(
    ("page", "word"), [("orders_order", "BTC-USD"), ("orders_orderevent", "BTC-USD"), ("balances_balance", "USD")]
)
def test_nobody_hides_a_market_or_an_asset_behind_its_name(world, operator, page, word):
    """Clients choose the names of users and the ids of their orders."""
    there = listed(operator, page, q=word)
    namesake = person(word)
    fund(namesake.user, BTC="1")
    world.play(namesake, "sell 1 @ 200", clientOrderId=word)
    assert there
    assert set(there) <= set(listed(operator, page, q=word))


@pytest.fixture
def slow(monkeypatch):
    """Each row of a list takes a tenth of a second, and the list may take a quarter."""
    read = shared.PlainAdmin.get_queryset
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        connection.connection.create_function("SLEEP", 1, lambda seconds: time.sleep(seconds) or 0)
        monkeypatch.setattr(time_limit, "SQLITE_INSTRUCTIONS", 10)
    monkeypatch.setattr(
        shared.PlainAdmin, "get_queryset", lambda self, request: read(self, request).extra(where=["SLEEP(0.1) = 0"])
    )
    monkeypatch.setattr(shared.BoundedPaginator, "seconds", 0.25)
    monkeypatch.setattr(shared, "FIRST_RANGE", 1)
    monkeypatch.setattr(shared, "GROWTH", 1)


@pytest.mark.dialect
def test_a_list_that_takes_too_long_shows_what_was_found_so_far(world, operator, slow):
    began = time.monotonic()
    page = operator.get(reverse("admin:orders_order_changelist"), {"market__symbol__exact": "BTC-USD"})
    assert time.monotonic() - began < 2
    assert [row.client_order_id for row in page.context["cl"].result_list] == ["third", "second"]
    text = " ".join(page.content.decode().split())
    assert "took longer than 0.3 seconds and was broken off" in text
    assert f"all rows back to {order('second').id}; older ones were not read" in text
    assert "search for something that names them: An order id, client order id" in text


@pytest.mark.dialect
def test_a_list_that_finds_nothing_in_time_says_so(world, operator, slow, monkeypatch):
    monkeypatch.setattr(shared, "FIRST_RANGE", 1000)
    page = operator.get(reverse("admin:orders_order_changelist"))
    assert list(page.context["cl"].result_list) == []
    last = Order.objects.latest("id").id
    assert f"all rows back to {last + 1}" in page.content.decode()


@pytest.mark.parametrize("ordering", ["", "0"], ids=["by key", "by name"])
def test_a_list_that_is_read_in_time_has_all_rows_and_no_word_of_time(world, operator, ordering, monkeypatch):
    monkeypatch.setattr(shared, "FIRST_RANGE", 1)
    names = {"alice", "bob", "carol", "staff"}
    page = operator.get(reverse("admin:users_user_changelist"), {"o": ordering} if ordering else {})
    listed_names = [user.username for user in page.context["cl"].result_list]
    assert names <= set(listed_names)
    assert not ordering or listed_names == sorted(listed_names)
    assert 'id="time-limit"' not in page.content.decode()
    everybody = operator.get(reverse("admin:users_user_changelist"), {"all": ""})
    assert len(everybody.context["cl"].result_list) == User.objects.count()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status__exact": "PENDING"}, ["third"]),
        ({"status__exact": "FILLED"}, ["first"]),
        ({"phase__exact": "CLOSED"}, ["first"]),
        ({"side__exact": "SELL"}, ["bob-1"]),
        ({"type__exact": "MARKET"}, []),
        ({"market__symbol__exact": "BTC-USD", "side__exact": "BUY", "phase__exact": "RESTING"}, ["second"]),
        ({"phase__exact": "TAKING"}, ["third"]),
        ({"created_at__gte": "2000-01-01 00:00:00+00:00", "side__exact": "SELL"}, ["bob-1"]),
    ],
)
def test_orders_are_filtered(world, operator, query, found):
    assert [row.client_order_id for row in listed(operator, "orders_order", **query)] == found


def test_an_orders_page_tells_its_story(world, operator):
    response = operator.get(reverse("admin:orders_order_change", args=[order("bob-1").id]))
    text = response.content.decode()
    assert [event["status"] for event in response.context["timeline"]] == ["OPEN", "PARTIALLY_FILLED"]
    ((_, fill),) = response.context["fills"]
    assert (fill["role"], fill["price"], fill["quantity"]) == ("MAKER", "100.5", "1")
    for told in (Trade.objects.get().trade_id, "PARTIALLY_FILLED", "100.5", "bob-1"):
        assert told in text, told
    assert "100.50000000" not in text


def test_a_trades_page_leads_to_its_orders_users_and_entries(world, operator):
    trade = Trade.objects.get()
    text = operator.get(reverse("admin:markets_trade_change", args=[trade.pk])).content.decode()
    for path in (
        reverse("admin:orders_order_change", args=[trade.buy_order_id]),
        reverse("admin:users_user_change", args=[trade.seller_id]),
        f"{reverse('admin:balances_ledgerentry_changelist')}?q={trade.trade_id}",
    ):
        assert f'href="{path}"' in text, path


def test_an_order_that_waits_says_so(world, operator):
    text = operator.get(reverse("admin:orders_order_change", args=[order("third").id])).content.decode()
    places = [text.find(part) for part in ('id="timeline"', "waiting for its market", 'id="trades"', "third")]
    assert places == sorted(places), "its story first, then its fields"
    assert -1 not in places
    response = operator.get(reverse("admin:orders_order_change", args=["999999"]))
    assert response.status_code == 302
    assert operator.get(reverse("admin:orders_order_add")).status_code == 403


@pytest.mark.dialect
@pytest.mark.parametrize(
    ("page", "words", "rows"),
    [
        ("markets_trade", "BTC-USD-{sequence}", 1),
        ("markets_trade", "BTC-USD", 1),
        ("markets_trade", "{order}", 1),
        ("markets_trade", "BTC-USD-999", 0),
        ("orders_orderevent", "{order}", 1),
        ("orders_orderevent", "alice", 2),
        ("orders_orderevent", "alice {order}", 1),
        ("orders_orderevent", "BTC-USD-1", 1),
        ("balances_balance", "alice", 2),
        ("balances_balance", "alice USD", 1),
        ("balances_balance", "BTC", 2),
        ("balances_ledgerentry", "alice", 3),
        ("balances_ledgerentry", "trade:BTC-USD-{sequence}", 4),
        ("balances_ledgerentry", "BTC-USD-{sequence}", 4),
        ("balances_ledgerentry", "{reference}", 2),
        ("balances_ledgerentry", "transfer:{reference}", 2),
        ("balances_transfer", "{reference}", 1),
        ("balances_transfer", "alice", 1),
        ("commands_command", "BTC-USD", 1),
        ("matching_orderbook", "BTC-USD", 1),
        ("users_user", "ALI", 1),
        ("users_user", "bob@example.com", 1),
        ("markets_market", "btc", 1),
        ("markets_asset", "usd", 1),
    ],
)
def test_lists_are_searched(world, operator, page, words, rows):
    names = {
        "sequence": Trade.objects.get().sequence,
        "order": order("first").id,
        "reference": Transfer.objects.get(user=world.alice.user).reference,
    }
    assert len(listed(operator, page, q=words.format(**names))) == rows


# They look like correlation ids, of years that no clock counts to, and of the first.
FAR_IDS = ("ffffffffffff7fff8fffffffffffffff", "e677d21fdbff7fff8fffffffffffffff", "000000000000700080000000000000ab")


@pytest.mark.dialect
@pytest.mark.parametrize("page", ["orders_order", "orders_orderevent", "markets_trade", "balances_ledgerentry"])
def test_odd_words_find_nothing_and_break_nothing(world, operator, page):
    for word in ("9" * 40, "-", "BTC-USD-" + "9" * 30, "%", "''--", "\u0661", "x" * 5000, *FAR_IDS):
        assert listed(operator, page, q=word) == [], word


@pytest.mark.parametrize(
    ("page", "query", "rows"),
    [
        ("markets_trade", {"market__symbol__exact": "BTC-USD", "taker_side__exact": "BUY"}, 1),
        ("markets_trade", {"taker_side__exact": "SELL"}, 0),
        ("orders_orderevent", {"status__exact": "OPEN", "market__symbol__exact": "BTC-USD"}, 2),
        ("balances_balance", {"currency__code__exact": "USD"}, 2),
        ("balances_ledgerentry", {"kind__exact": "TRADE", "currency__code__exact": "BTC"}, 2),
        ("balances_ledgerentry", {"kind__exact": "FEE"}, 0),
        ("balances_transfer", {"currency__code__exact": "BTC"}, 1),
        ("commands_command", {"kind__exact": "NEW"}, 1),
        ("users_user", {"is_staff__exact": 1}, 2),
        ("markets_market", {"status__exact": "HALTED"}, 0),
    ],
)
def test_lists_are_filtered(world, operator, page, query, rows):
    assert len(listed(operator, page, **query)) == rows


def test_a_balance_links_to_its_statement_and_its_form(world, operator):
    response = operator.get(reverse("admin:balances_balance_changelist"), {"q": "alice USD"})
    (balance,) = response.context["cl"].result_list
    for url in (
        reverse("admin:balances_balance_statement", args=[balance.pk]),
        f"{reverse('admin:balances_balance_adjust', args=[world.alice.user.id])}?currency=USD",
    ):
        assert f'href="{url}"' in response.content.decode()
    assert "9872.3" in response.content.decode(), "what is available, without trailing zeros"
    ledger = f"{reverse('admin:balances_ledgerentry_changelist')}?account={balance.user_id}&currency__code__exact=USD"
    rows = operator.get(ledger).context["cl"].result_list
    assert [plain_entry(row) for row in rows] == ["TRADE -100.5", "DEPOSIT 10000"]


def plain_entry(entry: LedgerEntry) -> str:
    return f"{entry.kind} {shared.plain(entry.amount)}"


def test_the_ledger_names_its_accounts(world, operator):
    text = operator.get(reverse("admin:balances_ledgerentry_changelist")).content.decode()
    assert "EXTERNAL" in text
    assert ">alice<" in text


@pytest.mark.parametrize(
    "page", ["orders_order", "orders_orderevent", "markets_trade", "balances_balance", "balances_ledgerentry"]
)
def test_a_list_costs_the_same_however_long_it_is(world, operator, page, django_assert_max_num_queries):
    for number in range(5):
        trader = person(f"trader{number}")
        fund(trader.user, USD="1000")
        world.play(trader, "buy 0.1 @ 100.5")
    # Three of them set the time limit, and one reads the markets, which a process remembers for a second.
    with django_assert_max_num_queries(11):
        assert len(listed(operator, page)) > 5
    with django_assert_max_num_queries(14):
        listed(operator, page, q="alice")


def test_lists_count_no_further_than_they_are_turned(world, operator, monkeypatch):
    monkeypatch.setattr(shared, "MOST_ROWS", 3)
    response = operator.get(reverse("admin:orders_order_changelist"))
    assert response.context["cl"].result_count == 3
    assert response.context["cl"].full_result_count is None


def test_a_users_page_links_to_what_they_own(world, operator):
    alice = world.alice.user.id
    text = operator.get(reverse("admin:users_user_change", args=[alice])).content.decode()
    for page, key in (
        ("balances_balance", "user__id__exact"),
        ("balances_ledgerentry", "account"),
        ("balances_transfer", "user__id__exact"),
        ("orders_order", "user__id__exact"),
    ):
        assert f"{reverse(f'admin:{page}_changelist')}?{key}={alice}" in text
        assert len(listed(operator, page, **{key: alice})) > 0
    assert reverse("admin:balances_balance_adjust", args=[alice]) in text


def test_engine_pages_show_where_a_market_is(world, operator):
    row = OrderBook.objects.get()
    text = operator.get(reverse("admin:matching_orderbook_change", args=[row.pk])).content.decode()
    assert str(row.next_sequence) in text
    assert row.token not in text
    assert OrderEvent.objects.count() == row.next_sequence - 1


def test_the_site_is_the_exchanges(world, operator):
    text = operator.get("/admin/").content.decode()
    assert "Django" not in text
    assert "<title>Operations | Clearbell</title>" in text
