"""What the admin may change: markets and assets within their rules, and users."""

import re
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from commands.models import Command
from markets import services
from markets.models import Asset, Market
from tests.support.world import fund
from users.models import User

NEW_MARKET = {
    "symbol": "BTC-EUR",
    "base": "BTC",
    "quote": "EUR",
    "tick_size": "0.01",
    "lot_size": "0.001",
    "min_quantity": "",
    "max_quantity": "1000",
    "min_notional": "0",
    "max_notional": "1000000",
    "price_band": "",
    "max_open_orders": "500",
    "maker_fee_rate": "-0.001",
    "taker_fee_rate": "0.002",
    "fee_currency": "QUOTE",
    "self_trade_prevention": "EXPIRE_TAKER",
    "status": "TRADING",
}


def open_market(client: Client, **other: str):
    Asset.objects.get_or_create(code="EUR")
    return client.post(reverse("admin:markets_market_add"), {**NEW_MARKET, **other})


def test_a_market_is_opened_and_trades(world, operator):
    assert open_market(operator).status_code == 302
    market = Market.objects.get(symbol="BTC-EUR")
    assert (market.tick_size, market.lot_size, market.min_quantity) == (Decimal("0.01"), *[Decimal("0.001")] * 2)
    fund(world.alice.user, EUR="100")
    placed = world.alice.call(
        "POST",
        "/orders",
        {"symbol": "BTC-EUR", "side": "BUY", "type": "LIMIT", "price": "10", "quantity": "1"},
    )
    assert placed.status_code == 202, placed.body


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("symbol", "BTC-USD"),
        ("symbol", "btc/eur"),
        ("quote", "BTC"),
        ("tick_size", ""),
        ("tick_size", "0"),
        ("tick_size", "0.0000001"),
        ("lot_size", "NaN"),
        ("base", ""),
        ("min_quantity", "0.0015"),
        ("min_notional", "-1"),
        ("taker_fee_rate", "1"),
    ],
)
def test_a_market_that_breaks_a_rule_is_not_opened(world, operator, field, value):
    response = open_market(operator, **{field: value})
    assert response.status_code == 200
    assert response.context["adminform"].form.errors
    assert Market.objects.count() == 1


def test_a_markets_limits_change_but_neither_its_steps_nor_its_status(world, operator):
    url = reverse("admin:markets_market_change", args=["BTC-USD"])
    shown = operator.get(url)
    fixed = {"symbol", "base", "quote", "tick_size", "lot_size", "status"}
    assert not fixed & set(shown.context["adminform"].form.fields)
    body = {**NEW_MARKET, "min_quantity": "0.0002", "status": "CANCEL_ONLY", "tick_size": "5", "symbol": "X"}
    assert operator.post(url, body).status_code == 302
    market = Market.objects.get()
    assert (market.symbol, market.tick_size, market.lot_size) == ("BTC-USD", Decimal("0.01"), Decimal("0.0001"))
    assert (market.status, market.min_quantity, market.taker_fee_rate) == (
        "TRADING",
        Decimal("0.0002"),
        Decimal("0.002"),
    )
    assert not Command.objects.exists()


def test_a_page_that_is_stale_changes_only_what_was_typed(world, operator):
    """While it was open, somebody else halted the market and changed a fee."""
    url = reverse("admin:markets_market_change", args=["BTC-USD"])
    page = sent_by(operator.get(url).content.decode())
    services.change_market(Market.objects.get(), status="HALTED", taker_fee_rate=Decimal("0.003"))
    assert operator.post(url, {**page, "maker_fee_rate": "0.002"}).status_code == 302
    world.match()
    market = Market.objects.get()
    assert (market.status, market.maker_fee_rate, market.taker_fee_rate) == (
        "HALTED",
        Decimal("0.002"),
        Decimal("0.003"),
    )


def sent_by(page: str) -> dict[str, str]:
    """What a browser sends of the market's form if nothing is typed."""
    form = page[page.index('id="market_form"') :]
    fields = dict(re.findall(r'<input type="(?:text|hidden|number)" name="([^"]+)" value="([^"]*)"', form))
    options = re.findall(r'<select name="([^"]+)".*?<option value="([^"]*)" selected', form, re.DOTALL)
    return {**fields, **dict(options)}


def test_a_change_that_does_not_go_with_another_operators_is_told(world, operator, monkeypatch):
    """The form was checked a moment before the other change; the service checks again under the row's lock."""
    url = reverse("admin:markets_market_change", args=["BTC-USD"])
    page = sent_by(operator.get(url).content.decode())
    services.change_market(Market.objects.get(), min_quantity=Decimal(5))
    monkeypatch.setattr(Market, "clean", lambda _: None)
    answer = operator.post(url, {**page, "max_quantity": "3"}, follow=True)
    assert "exceeds max_quantity 3" in answer.content.decode()
    assert Market.objects.get().max_quantity > 5


def test_a_market_is_not_changed_into_one_that_breaks_a_rule(world, operator):
    url = reverse("admin:markets_market_change", args=["BTC-USD"])
    response = operator.post(url, {**NEW_MARKET, "min_quantity": "2000", "max_quantity": "1000"})
    assert "min_quantity" in response.context["adminform"].form.errors
    assert operator.post(url, {**NEW_MARKET, "min_quantity": ""}).status_code == 200


def test_an_asset_is_made_and_never_changed(db, operator):
    add = reverse("admin:markets_asset_add")
    assert operator.post(add, {"code": "EUR", "scale": "2"}).status_code == 302
    change = reverse("admin:markets_asset_change", args=["EUR"])
    assert operator.get(change).status_code == 200
    assert operator.post(change, {"scale": "4", "code": "ABC", "supply": "5"}).status_code == 403
    assert Asset.objects.filter(code="EUR", scale=2, supply=Decimal(0)).exists()
    assert operator.post(add, {"code": "EU R", "scale": "2"}).status_code == 200


NEW_USER = {
    "username": "dora",
    "email": "dora@example.com",
    "usable_password": "true",
    "password1": "correct horse 1",
    "password2": "correct horse 1",
}


def test_a_user_is_made_changed_and_deactivated(world, operator):
    assert operator.post(reverse("admin:users_user_add"), NEW_USER).status_code == 302
    dora = User.objects.get(username="dora")
    assert dora.check_password("correct horse 1")
    assert not dora.is_staff
    url = reverse("admin:users_user_change", args=[dora.id])
    assert operator.post(url, {"username": "dora", "email": "d@example.com"}).status_code == 302
    dora.refresh_from_db()
    assert (dora.email, dora.is_active) == ("d@example.com", False)


@pytest.mark.parametrize(
    ("field", "value"),
    [("email", "alice@example.com"), ("email", ""), ("username", "alice"), ("username", "no spaces")],
)
def test_names_and_addresses_are_unique_and_well_formed(world, operator, field, value):
    response = operator.post(reverse("admin:users_user_add"), {**NEW_USER, field: value})
    assert field in response.context["adminform"].form.errors


def test_only_a_superuser_makes_operators(world, operator):
    user = world.clerk().user
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="users"))
    clerk = Client()
    clerk.force_login(user)
    alice = world.alice.user
    body = {"username": "alice", "email": "a@example.com", "is_active": "on", "is_superuser": "on", "is_staff": "on"}
    assert clerk.post(reverse("admin:users_user_change", args=[alice.id]), body).status_code == 302
    alice.refresh_from_db()
    assert (alice.email, alice.is_staff, alice.is_superuser) == ("a@example.com", False, False)
    boss = User.objects.get(username="operator")
    for page in (f"/admin/users/user/{boss.id}/password/", reverse("admin:users_user_change", args=[boss.id])):
        assert clerk.post(page, {"password1": "x", "password2": "x"}).status_code == 403
