"""The admin's pages of a market and of a user, its first page, and its sign-in: what operators see and may do there."""

from typing import Any

import pytest
from django.contrib import admin
from django.db.models import BaseConstraint
from django.test import Client
from django.urls import reverse

from balances.approvals import ask_for_payout
from base.web.keys.scopes import Scope
from markets.models import Market
from operations.figures import intake, span
from operations.market_book import ladder
from operations.site import MENU
from orders.models import Order
from tests.integration.test_admin import page, signed_in
from tests.integration.test_admin_changes import open_market
from tests.support.world import World, allow, person
from users.acts import Actor
from users.api_key import ApiKey
from users.api_keys import KeyTerms, make_key
from users.models import StaffAct

SYMBOL = "BTC-USD"


def market_page(client: Client, symbol: str = SYMBOL) -> str:
    return page(client.get(reverse("admin:markets_market_change", args=[symbol])))


def user_page(client: Client, world: World) -> str:
    return page(client.get(reverse("admin:users_user_change", args=[world.alice.user.id])))


def test_a_markets_page_shows_both_sides_of_its_book(world: World, operator: Client) -> None:
    for line in ("sell 2 @ 101", "sell 1 @ 100", "sell 1 @ 100"):
        world.play(world.bob, line)
    world.play(world.alice, "buy 0.5 @ 90")
    address = reverse("book", args=[SYMBOL])
    shown, part = market_page(operator), page(operator.get(address))
    assert f'data-renewed="{address}"' in shown
    for text in (shown, part):
        assert 'Bid <b class="buy">90</b>' in text
        assert text.index(">100<") < text.index(">101<"), "best first"
    assert "<html" not in part
    assert address in page(operator.get(reverse("admin:matching_orderbook_change", args=[SYMBOL])))
    assert operator.get(reverse("book", args=["NONE"])).status_code == 404
    clerk = world.clerk()
    assert signed_in(clerk.user).get(address).status_code == 403
    assert signed_in(world.alice.user).get(address).status_code == 302
    allow(clerk, "markets.view_market")
    assert signed_in(clerk.user).get(address).status_code == 200


def test_the_longest_bar_is_that_of_the_largest_level() -> None:
    def level(price: str, quantity: str) -> Any:
        return {"price": price, "quantity": quantity, "orderCount": 1}

    bids, asks = ladder([level("9", "1"), level("8", "4")], [level("10", "0.001")])
    assert [(row.length, row.total) for row in bids] == [("25.0", "1"), ("100.0", "5")]
    assert [row.length for row in asks] == ["1.0"], "a level has a bar, however little rests there"


def test_a_hidden_market_is_in_no_public_list_and_trades_on(world: World, operator: Client) -> None:
    def listed() -> list[str]:
        answers = [Client().get(f"/api/v1/{path}").json()["data"] for path in ("markets", "ticker")]
        return [each["symbol"] for answer in answers for each in answer]

    assert listed() == [SYMBOL, SYMBOL]
    address = reverse("admin:markets_market_hidden", args=[SYMBOL])
    assert address in market_page(operator)
    assert "Who knows its name still reads it" in page(operator.get(address))
    assert "BTC-USD is hidden" in page(operator.post(address, {"reason": "not opened yet"}, follow=True))
    assert listed() == []
    assert Client().get(f"/api/v1/markets/{SYMBOL}").status_code == 200
    assert world.place(world.alice, "buy 1 @ 90").status_code == 202
    act = StaffAct.objects.get(kind="MARKET_CHANGED")
    assert (act.before, act.after, act.reason) == ({"isHidden": False}, {"isHidden": True}, "not opened yet")
    assert "not opened yet" in market_page(operator)
    assert "is shown" in page(operator.post(address, {"reason": "opened"}, follow=True))
    assert listed() == [SYMBOL, SYMBOL]
    clerk = world.clerk("markets.view_market")
    assert signed_in(clerk.user).post(address, {"reason": "mine"}).status_code == 403


def test_orders_are_cancelled_from_their_owners_page(world: World, operator: Client) -> None:
    for price in (90, 91):
        world.play(world.alice, f"buy 1 @ {price}")
    shown = user_page(operator, world)
    first = Order.objects.order_by("id")[0]
    address = f"{reverse('admin:orders_order_cancel')}?id={first.pk}&of={world.alice.user.id}"
    assert address.replace("&", "&amp;") in shown
    assert "Cancel all 2" in shown
    answer = operator.post(address, {"reason": "by telephone"}, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("admin:users_user_change", args=[world.alice.user.id])
    world.match()
    assert list(Order.objects.order_by("id").values_list("status", flat=True)) == ["CANCELLED", "OPEN"]
    assert "by telephone" in user_page(operator, world)
    reader = world.clerk("users.view_user", "orders.view_order")
    assert "cancel…" not in user_page(signed_in(reader.user), world)


def test_a_users_page_shows_what_its_reader_may_see(world: World, operator: Client) -> None:
    world.play(world.alice, "buy 1 @ 90")
    make_key(world.alice.user.id, world.alice.user.stamp, KeyTerms("the bot", (Scope.TRADE,)))
    shown, told = user_page(operator, world), ("the bot", "Kill switch…", "Cancel all 1", "What staff did", "9910")
    assert [words for words in told if words not in shown] == []
    clerk = world.clerk("users.view_user")
    shown = user_page(signed_in(clerk.user), world)
    assert [words for words in told if words in shown] == []


def test_a_key_is_revoked_with_a_reason(world: World, operator: Client) -> None:
    key, _ = make_key(world.alice.user.id, world.alice.user.stamp, KeyTerms("the bot", (Scope.TRADE,)))
    address = reverse("admin:users_apikey_revoke", args=[key.pk])
    assert "required" in page(operator.post(address, {"reason": ""}))
    reader = world.clerk("users.view_apikey")
    assert signed_in(reader.user).post(address, {"reason": "x"}).status_code == 403
    assert ApiKey.objects.get().revoked_at is None
    assert "is revoked" in page(operator.post(address, {"reason": "it was on a forum"}, follow=True))
    assert ApiKey.objects.get().ended_by == "OPERATOR"
    assert StaffAct.objects.get(kind="KEY_REVOKED").reason == "it was on a forum"
    assert "nothing was changed" in page(operator.post(address, {"reason": "again"}, follow=True))


def test_what_waits_for_approval_has_buttons_for_who_may_decide(world: World, operator: Client) -> None:
    asker = person("asker", is_staff=True)
    allow(asker, "balances.approve_transfer")
    actor = Actor(asker.user.id, "::")
    waiting, _ = ask_for_payout(actor, currency="USD", amount=1, reason="monthly", reference="fees-1")
    approve = reverse("admin:approval_approve", args=[waiting.pk])
    assert approve in page(operator.get("/admin/"))
    own = page(signed_in(asker.user).get("/admin/"))
    assert "fees-1" in own
    assert approve not in own
    assert "fees-1" not in page(signed_in(world.clerk().user).get("/admin/"))
    operator.post(reverse("admin:approval_refuse", args=[waiting.pk]), {"reason": "not this month"})
    shown = page(operator.get("/admin/"))
    assert approve not in shown
    assert "not this month" in shown, "among what staff did"


def test_the_first_page_tells_how_fast_orders_are_taken_and_applied(world: World, operator: Client) -> None:
    assert "until an order is applied" not in page(operator.get("/admin/")), "none was applied"
    world.play(world.alice, "buy 1 @ 90")
    shown = page(operator.get("/admin/"))
    for told in ("<b>1</b> orders in the last minute", "until an order is applied", "ids of orders", "What staff did"):
        assert told in shown, told
    made = Order.objects.get().created_at
    assert intake([made] * 3, made, most=3).text == "3+"
    assert (span(0.0124), span(2.05)) == ("12 ms", "2.0 s")


def test_no_error_names_a_constraint(world: World, operator: Client) -> None:
    """With a field missing Django looks at the constraints alone."""
    answer = open_market(operator, tick_size="0", lot_size="")
    assert "The tick size must be above zero." in page(answer)
    shown = [model for model, page in admin.site._registry.items() if page.has_add_permission(answer.wsgi_request)]
    constraints = [constraint for model in shown for constraint in model._meta.constraints]
    assert len(constraints) > 3
    assert [each.name for each in constraints if each.violation_error_message in (None, DJANGOS_WORDS)] == []


DJANGOS_WORDS = BaseConstraint.default_violation_error_message


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_a_trader_is_told_where_to_trade(world: World, password: str) -> None:
    world.alice.user.set_password("right")
    world.alice.user.save()
    answer = Client().post(reverse("admin:login"), {"username": "alice", "password": password})
    told = str(answer.context["form"].non_field_errors())
    assert ("alice is no staff" in told) == (password == "right")
    assert 'go to the <a href="/">trading page</a>' in page(answer)


def test_the_menu_is_by_subject(world: World, operator: Client, settings: Any) -> None:
    settings.SANDBOX = True
    known = {model._meta.label for model in admin.site._registry}
    assert {label for _, labels in MENU for label in labels} <= known
    assert [section["name"] for section in menu(operator)][: len(MENU)] == [title for title, _ in MENU]
    clerk = world.clerk("balances.view_balance")
    [money] = menu(signed_in(clerk.user))
    assert (money["name"], [model["object_name"] for model in money["models"]]) == ("Money", ["Balance"])


def menu(client: Client) -> list[Any]:
    return list(client.get("/admin/").context["available_apps"])


def test_a_delisted_market_offers_no_other_status(world: World, operator: Client) -> None:
    status = reverse("admin:markets_market_status", args=["DELISTED"])
    assert "For good" in page(operator.get(status, {"symbol": SYMBOL}))
    operator.post(status, {"symbol": SYMBOL, "reason": "merged"})
    world.match()
    assert Market.objects.get().status == "DELISTED"
    shown = market_page(operator)
    assert reverse("admin:markets_market_status", args=["TRADING"]) not in shown
    assert "Nothing rests" in shown
