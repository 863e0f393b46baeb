"""The statement of a balance in the admin: what was owned after each entry, page by page."""

import pytest
from django.core.signing import BadSignature
from django.test import Client
from django.urls import reverse

from balances import statement
from balances.models import Balance, Transfer
from balances.statement import Page, read_statement
from markets.models import Trade
from tests.support.world import World, allow, fund

pytestmark = pytest.mark.dialect


@pytest.fixture
def dollars(world: World) -> Balance:
    """Alice was given 10000, paid 100 and 50, and has an order open that reserves 90."""
    world.play(world.bob, "sell 3 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    world.play(world.alice, "buy 0.5 @ 100")
    world.play(world.alice, "buy 1 @ 90")
    return Balance.objects.get(user=world.alice.user, currency="USD")


def told(page: Page) -> list[str]:
    return [f"{line.kind} {line.amount} {line.after}" for line in page.lines]


def test_what_was_owned_after_each_entry(dollars):
    page = read_statement(dollars)
    assert told(page) == ["TRADE -50 9850", "TRADE -100 9900", "DEPOSIT 10000 10000"]
    assert (page.closing, page.opening, page.older) == ("9850", "0", "")


def test_entries_lead_to_what_made_them(dollars):
    newest, first = (read_statement(dollars).lines[place] for place in (0, -1))
    assert newest.path == reverse("admin:markets_trade_change", args=[Trade.objects.latest("id").pk])
    made = Transfer.objects.get(user=dollars.user_id)
    assert first.path == reverse("admin:balances_transfer_change", args=[made.pk])


def test_pages_go_on_where_the_last_one_ended_whatever_happened_since(dollars, monkeypatch):
    monkeypatch.setattr(statement, "PER_PAGE", 2)
    page = read_statement(dollars)
    assert (told(page), page.opening) == (["TRADE -50 9850", "TRADE -100 9900"], "10000")
    fund(dollars.user, USD="7")
    older = read_statement(dollars, page.older)
    assert (told(older), older.closing, older.opening, older.older) == (["DEPOSIT 10000 10000"], "10000", "0", "")
    assert told(read_statement(dollars))[0] == "DEPOSIT 7 9857"


def test_a_place_is_good_in_its_own_statement_only(dollars, monkeypatch):
    monkeypatch.setattr(statement, "PER_PAGE", 1)
    other = Balance.objects.get(user=dollars.user_id, currency="BTC")
    for place in (read_statement(other).older, "7"):
        with pytest.raises(BadSignature):
            read_statement(dollars, place)


def test_it_costs_the_same_however_long_it_is(dollars, django_assert_num_queries):
    for _ in range(5):
        fund(dollars.user, USD="1")
    with django_assert_num_queries(3):
        assert len(read_statement(dollars).lines) == 8


def test_the_page(dollars, operator):
    url = reverse("admin:balances_balance_statement", args=[dollars.pk])
    text = operator.get(url).content.decode()
    for shown in (
        "Statement of alice in USD",
        "owns 9850 USD now: 9760 available and 90 frozen",
        "DEPOSIT",
        "Opening",
        f"trade:{Trade.objects.first()}",
    ):
        assert shown in text, shown
    assert operator.get(url, {"from": "7"}).status_code == 404
    assert operator.get(reverse("admin:balances_balance_statement", args=[999])).status_code == 404


def test_an_empty_one(world, operator):
    balance = Balance.objects.create(user=world.carol.user, currency_id="USD")
    assert read_statement(balance).lines == []
    url = reverse("admin:balances_balance_statement", args=[balance.pk])
    assert "Nothing." in operator.get(url).content.decode()


def test_it_takes_both_permissions(world: World, dollars):
    client, clerk = Client(), world.clerk()
    client.force_login(clerk.user)
    url = reverse("admin:balances_balance_statement", args=[dollars.pk])
    seen = []
    for permission in ("view_balance", "view_ledgerentry"):
        seen.append(client.get(url).status_code)
        allow(clerk, f"balances.{permission}")
    assert [*seen, client.get(url).status_code] == [403, 403, 200]


def test_a_users_page_shows_what_they_own(world: World, dollars, operator):
    text = operator.get(reverse("admin:users_user_change", args=[world.alice.user.id])).content.decode()
    assert reverse("admin:balances_balance_statement", args=[dollars.pk]) in text
    for shown in ("9760", "90", "1.5"):
        assert f">{shown}</td>" in text, shown
    client = Client()
    client.force_login(world.clerk("users.view_user").user)
    assert "9760" not in client.get(reverse("admin:users_user_change", args=[world.alice.user.id])).content.decode()
