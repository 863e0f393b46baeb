"""What staff may do over REST is what they may do in the admin, and each act leaves a row that nobody can change."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from markets.models import Asset, Market
from orders.models import Order
from tests.integration.test_admin import page, signed_in
from tests.support.tape import parse
from tests.support.world import World, allow, person, stored_rows
from users.models import StaffAct, User

DEPOSIT = {"currency": "USD", "amount": "5", "reason": "gift", "reference": "t-1"}
MARKET = {"symbol": "ETH-USD", "base": "ETH", "quote": "USD", "tickSize": "0.01", "lotSize": "0.01"}


def calls(world: World) -> list[tuple[str, str, Any, str, int]]:
    """Each call of staff: what it needs, and its status with that."""
    alice, order = world.alice.user.id, world.place(world.alice, "buy 1 @ 1").body["data"]["orderId"]
    theirs = {**parse("buy 1 @ 1").body(world.symbol), "userId": alice}
    return [
        ("GET", f"/users/{alice}", None, "users.view_user", 200),
        ("GET", f"/users/{alice}/limits", None, "users.change_limits", 200),
        ("PATCH", f"/users/{alice}/limits", {}, "users.change_limits", 200),
        ("GET", f"/balances/{alice}", None, "balances.view_balance", 200),
        ("GET", f"/balances/{alice}/USD", None, "balances.view_balance", 200),
        ("GET", f"/balances/{alice}/USD/ledger", None, "balances.view_ledgerentry", 200),
        ("POST", "/balances/update", {**DEPOSIT, "userId": alice}, "balances.add_transfer", 200),
        ("PUT", "/balances/update", {**DEPOSIT, "userId": alice}, "balances.add_transfer", 200),
        ("GET", "/approvals", None, "balances.approve_transfer", 200),
        ("POST", "/approvals/1/approve", {}, "balances.approve_transfer", 404),
        ("POST", "/approvals/1/refuse", {}, "balances.approve_transfer", 404),
        ("POST", "/fees/payout", {**DEPOSIT, "reference": "f-1"}, "balances.payout_fees", 202),
        ("POST", "/markets", MARKET, "markets.add_market", 201),
        ("PATCH", "/markets/BTC-USD", {"maxOpenOrders": 400}, "markets.change_market", 200),
        ("POST", "/orders", theirs, "orders.place_for_others", 202),
        ("GET", f"/orders?userId={alice}", None, "orders.view_order", 200),
        ("GET", f"/fills?userId={alice}", None, "orders.view_order", 200),
        ("GET", f"/orders/{order}", None, "orders.view_order", 200),
        ("GET", f"/orders/{order}/trades", None, "orders.view_order", 200),
        ("GET", f"/orders/{order}/events", None, "orders.view_order", 200),
        ("GET", f"/orders/client/x?userId={alice}", None, "orders.view_order", 404),
        ("DELETE", f"/orders/{order}", None, "orders.cancel_for_others", 202),
        ("DELETE", f"/orders?userId={alice}", None, "orders.cancel_for_others", 202),
        ("GET", "/stream/order-status/stats", None, "operations.view", 200),
        ("GET", "/cache/stats", None, "operations.view", 200),
        ("GET", "/feed/orders/BTC-USD", None, "operations.view", 200),
        ("GET", "/feed/trades/BTC-USD", None, "operations.view", 200),
        ("POST", f"/users/{alice}/kill", {"reason": "x"}, "users.kill", 200),
        ("DELETE", f"/users/{alice}/kill", None, "users.kill", 200),
    ]


def test_each_call_of_staff_asks_for_its_permission(world):
    """Security 1: to be staff alone gives nothing, and each permission gives what it names."""
    clerk = world.clerk()
    listed = calls(world)
    before = stored_rows()
    for method, path, sent, power, _ in listed:
        refused = clerk.call(method, path, sent)
        assert (refused.status_code, refused.body["error"]) == (403, "PERMISSION_REQUIRED"), (method, path)
        assert refused.body["data"] == {"permission": power}
        assert world.carol.call(method, path, sent).status_code in (403, 404), (method, path)
    assert stored_rows() == before
    for number, (method, path, sent, power, status) in enumerate(listed):
        holder = world.clerk(power, name=f"holder-{number}")
        answer = holder.call(method, path, sent)
        assert answer.status_code == status, (method, path, answer.body)


def test_a_batch_for_another_refuses_each_order_alone(world):
    clerk = world.clerk()
    own, theirs = (parse("sell 1 @ 1").body(world.symbol, **more) for more in ({}, {"userId": world.bob.user.id}))
    results = clerk.call("POST", "/orders/batch", {"orders": [theirs, own]}).body["data"]["results"]
    assert [result["error"] for result in results] == ["PERMISSION_REQUIRED", "INSUFFICIENT_FUNDS"]
    allow(clerk, "operators")
    results = clerk.call("POST", "/orders/batch", {"orders": [theirs, theirs]}).body["data"]["results"]
    assert [result["code"] for result in results] == [202, 202]
    ids = [result["orderId"] for result in results]
    acts = StaffAct.objects.order_by("id").values_list("kind", "user", "operator", "subject")
    assert list(acts) == [("ORDER_PLACED", world.bob.user.id, clerk.user.id, f"order {each}") for each in ids]


@pytest.mark.dialect
def test_an_order_says_who_placed_it(world):
    """In answers, in the stream's messages (test_order_updates compares them with these), as CSV and in the admin."""
    clerk = world.clerk("operators")
    mine = world.play(world.alice, "buy 1 @ 90")
    theirs = world.place(clerk, "buy 1 @ 91", userId=world.alice.user.id).body["data"]["orderId"]
    world.match()
    assert mine["placedBy"] is None
    assert world.alice.get(f"/orders/{theirs}")["placedBy"] == clerk.user.id
    text = b"".join(world.alice.client.get("/api/v1/orders?format=csv").streaming_content).decode()
    header, newest, oldest = (line.split(",") for line in text.split("\r\n")[:3])
    place = header.index("placedBy")
    assert (newest[place], oldest[place]) == (str(clerk.user.id), "")
    [act] = StaffAct.objects.all()
    assert act.after == {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "91",
                         "quantity": "1"}  # fmt: skip
    shown = page(signed_in(world.staff.user).get(reverse("admin:orders_order_change", args=[theirs])))
    assert f"{clerk.user.username}</a>" in shown or ">clerk<" in shown


def test_nobody_places_for_who_is_deactivated(world):
    User.objects.filter(id=world.alice.user.id).update(is_active=False)
    refused = world.place(world.staff, "buy 1 @ 90", userId=world.alice.user.id)
    assert (refused.status_code, refused.body["error"]) == (403, "ACCOUNT_BLOCKED")
    assert not Order.objects.exists()
    assert not StaffAct.objects.exists()


def test_acts_of_rest_say_who_from_where_why_before_and_after(world):
    deposit = {**DEPOSIT, "userId": world.alice.user.id}
    assert world.staff.call("POST", "/balances/update", deposit).status_code == 200
    assert world.staff.call("POST", "/balances/update", deposit).status_code == 200, "a repeat is no act"
    world.staff.call("POST", "/markets", {**MARKET, "reason": "asked for"})
    world.staff.call("PATCH", "/markets/BTC-USD", {"status": "HALTED", "minNotional": "10", "reason": "a fire"})
    moved, opened, changed = StaffAct.objects.order_by("id")
    assert (moved.kind, moved.user_id, moved.subject, moved.reason, moved.address) == (
        *("BALANCE_ADJUSTED", world.alice.user.id, "t-1", "gift", "127.0.0.1"),
    )
    assert (moved.before, moved.after) == ({"availableBalance": "10000"}, {"availableBalance": "10005"})
    assert (opened.kind, opened.subject, opened.reason, opened.before) == (
        "MARKET_OPENED",
        "ETH-USD",
        "asked for",
        None,
    )
    assert opened.after["tickSize"] == "0.01"
    assert (changed.kind, changed.reason, changed.operator_id) == ("MARKET_CHANGED", "a fire", world.staff.user.id)
    assert changed.before == {"status": "TRADING", "minNotional": "0"}
    assert changed.after == {"status": "HALTED", "minNotional": "10"}
    world.match()


def test_an_act_without_its_row_does_not_happen(world, monkeypatch):
    """The row is written in the transaction of the act: where it cannot be stored, nothing is."""
    alice = world.alice.user.id
    acts = [
        ("POST", "/balances/update", {**DEPOSIT, "userId": alice}),
        ("POST", "/fees/payout", DEPOSIT),
        ("PATCH", "/markets/BTC-USD", {"status": "HALTED"}),
        ("POST", "/orders", {**parse("buy 1 @ 1").body(world.symbol), "userId": alice}),
        ("POST", f"/users/{alice}/kill", {"reason": "x"}),
    ]
    monkeypatch.setattr("users.acts.StaffAct.objects.bulk_create", lambda _: 1 / 0)
    before = stored_rows()
    for method, path, sent in acts:
        assert world.staff.call(method, path, sent).status_code == 500
    assert stored_rows() == before
    assert Market.objects.get().status == "TRADING"
    assert not User.objects.filter(is_blocked=True).exists()


def test_acts_of_the_admin_leave_the_same_rows(world, operator):
    alice = world.alice.user
    operator.post(reverse("admin:balances_balance_adjust", args=[alice.id]), DEPOSIT)
    operator.post(reverse("admin:markets_market_status", args=["HALTED"]), {"symbol": "BTC-USD", "reason": "a fire"})
    operator.post(reverse("admin:markets_asset_add"), {"code": "DOGE", "scale": "2"})
    url = reverse("admin:users_user_change", args=[alice.id])
    treasurers = Group.objects.get(name="treasurers")
    form = {
        "username": "alice",
        "email": "new@example.com",
        "is_active": "on",
        "is_staff": "on",
        "groups": [treasurers.pk],
    }
    assert operator.post(url, form).status_code == 302
    secret = {"usable_password": "true", "password1": "correct horse", "password2": "correct horse"}
    assert operator.post(f"/admin/users/user/{alice.id}/password/", secret).status_code == 302
    powers = [Permission.objects.get(codename="view_trade").pk]
    name = {"name": "interns", "permissions": powers}
    assert operator.post(reverse("admin:auth_group_add"), name).status_code == 302
    acts = list(StaffAct.objects.order_by("id"))
    assert [act.kind for act in acts] == [
        *("BALANCE_ADJUSTED", "MARKET_CHANGED", "ASSET_ADDED", "USER_CHANGED", "PASSWORD_SET", "GROUP_ADDED"),
    ]
    assert {act.operator.username for act in acts} == {"operator"}
    assert {act.address for act in acts} == {"127.0.0.1"}
    assert all(act.reason for act in acts)
    user = acts[3]
    assert user.before == {"email": "alice@example.com", "is_staff": False, "groups": []}
    assert user.after == {"email": "new@example.com", "is_staff": True, "groups": ["treasurers"]}
    assert (acts[5].subject, len(acts[5].after["permissions"])) == ("interns", 1)
    Group.objects.get(name="interns").delete()
    world.match()


def test_nobody_changes_what_was_done(world, operator):
    """Not even a superuser; groups are changed by superusers alone, and are not deleted."""
    operator.post(reverse("admin:markets_asset_add"), {"code": "DOGE", "scale": "2"})
    act = StaffAct.objects.get()
    listed = page(operator.get(f"{reverse('admin:users_staffact_changelist')}?q=DOGE"))
    assert "ASSET_ADDED" in listed
    for name in ("change", "delete"):
        url = reverse(f"admin:users_staffact_{name}", args=[act.pk])
        assert operator.post(url, {"reason": "another", "post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [act.pk], "post": "yes"}
    operator.post(reverse("admin:users_staffact_changelist"), chosen)
    assert list(StaffAct.objects.values("kind", "reason")) == [{"kind": "ASSET_ADDED", "reason": act.reason}]
    group = Group.objects.get(name="operators")
    for client, name in ((operator, "delete"), (signed_in(world.clerk("operators").user), "change")):
        url = reverse(f"admin:auth_group_{name}", args=[group.pk])
        assert client.post(url, {"name": "x", "post": "yes"}).status_code == 403


def test_the_groups(world):
    """Nobody but treasurers moves money, nobody but operators touches markets, and auditors change nothing."""
    powers = {
        group.name: {f"{each.content_type.app_label}.{each.codename}" for each in group.permissions.all()}
        for group in Group.objects.prefetch_related("permissions__content_type")
    }
    assert powers.keys() == {"operators", "treasurers", "auditors", "teachers"}
    assert "classroom.run_round" not in powers["operators"] | powers["treasurers"] | powers["auditors"]
    money = {"balances.add_transfer", "balances.approve_transfer", "balances.payout_fees"}
    assert powers["treasurers"] >= money
    assert not money & (powers["operators"] | powers["auditors"] | powers["teachers"])
    assert "markets.change_market" in powers["operators"] - powers["treasurers"] - powers["auditors"]
    assert all(power.split(".")[1].startswith("view") for power in powers["auditors"])
    auditor = world.clerk("auditors")
    for path in (f"/balances/{world.alice.user.id}", f"/orders?userId={world.alice.user.id}", "/cache/stats"):
        assert auditor.call("GET", path).status_code == 200
    assert auditor.call("PATCH", "/markets/BTC-USD", {}).body["error"] == "PERMISSION_REQUIRED"
    browser = signed_in(auditor.user)
    for listed in ("users_staffact", "balances_approval", "orders_order", "balances_ledgerentry"):
        assert browser.get(reverse(f"admin:{listed}_changelist")).status_code == 200


@pytest.mark.dialect
@pytest.mark.django_db(transaction=True)
def test_the_groups_come_again_and_where_no_permission_exists_yet():
    """As in a database that is migrated for the first time, and by a deploy that was broken off."""
    members = person("dora", is_staff=True).user
    members.groups.add(Group.objects.get(name="auditors"))
    extra = Permission.objects.get(codename="view_session", content_type__app_label="users")
    Group.objects.get(name="auditors").permissions.add(extra)
    call_command("migrate", "operations", "0001", verbosity=0)
    Permission.objects.filter(codename__in=["approve_transfer", "kill"]).delete()
    call_command("migrate", verbosity=0)
    codes = {
        name: set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))
        for name in ("operators", "treasurers", "auditors")
    }
    assert "kill" in codes["operators"]
    assert "approve_transfer" in codes["treasurers"]
    assert "view_session" in codes["auditors"], "what somebody gave stays"
    assert members.groups.exists()
    Group.objects.get(name="auditors").permissions.remove(extra)
    assert Asset.objects.count() == Market.objects.count() == 0
    assert Client().get("/admin/").status_code == 302
