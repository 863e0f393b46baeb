"""Operators and accounts in the admin: the kill switch, limits, cancels, deactivation, and what is kept of them."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from orders.models import Order
from tests.integration.test_admin import page, signed_in
from tests.support.world import World
from users.models import StaffAct, User


def account(world: World, act: str) -> str:
    return reverse(f"admin:account_{act}", args=[world.alice.user.id])


def statuses(world: World) -> list[str]:
    world.match()
    return list(Order.objects.order_by("id").values_list("status", flat=True))


def test_the_kill_switch_asks_for_a_reason_and_is_lifted(world: World, operator: Client) -> None:
    world.play(world.alice, "buy 1 @ 90")
    url = account(world, "kill")
    assert "All open orders are cancelled" in page(operator.get(url))
    assert "required" in page(operator.post(url, {"reason": " "}))
    assert not StaffAct.objects.exists()
    assert "1 cancel is stored" in page(operator.post(url, {"reason": "by telephone"}, follow=True))
    assert statuses(world) == ["CANCELLED"]
    assert world.place(world.alice, "buy 1 @ 90").body["error"] == "ACCOUNT_BLOCKED"
    shown = page(operator.get(reverse("admin:users_user_change", args=[world.alice.user.id])))
    assert "Blocked by the kill switch" in shown
    assert account(world, "lift") in shown
    operator.post(account(world, "lift"), {"reason": "it was repaired"})
    assert world.place(world.alice, "buy 1 @ 90").status_code == 202
    listed = page(operator.get(reverse("admin:users_staffact_changelist")))
    assert "by telephone" in listed
    assert "it was repaired" in listed


def test_limits_are_shown_and_changed(world: World, operator: Client) -> None:
    url = account(world, "limits")
    typed = {"reason": "new", "requests_per_second": "20", "open_notional": "USD 1000, BTC 2", "markets": "BTC-USD"}
    assert operator.post(url, typed).status_code == 302
    shown = page(operator.get(url))
    assert 'value="BTC 2, USD 1000"' in shown
    assert "no asset XYZ" in page(operator.post(url, {**typed, "open_notional": "XYZ 1"}))
    assert "a currency and an amount" in page(operator.post(url, {**typed, "open_notional": "USD"}))
    owner = page(operator.get(reverse("admin:users_user_change", args=[world.alice.user.id])))
    for told in ("<td>20</td>", "<td>2 BTC, 1000 USD</td>", "<td>BTC-USD</td>"):
        assert told in owner, told
    assert operator.post(url, {"reason": "none"}).status_code == 302
    assert User.objects.filter(id=world.alice.user.id, has_limits=False, rate_limit=None).exists()
    assert StaffAct.objects.filter(kind="LIMITS_CHANGED").count() == 2


def test_chosen_orders_and_all_of_a_user_are_cancelled(world: World, operator: Client) -> None:
    ids = [world.play(world.alice, f"buy 1 @ {price}")["orderId"] for price in (90, 91, 92)]
    chosen = {"action": "cancel", "_selected_action": ids[:1]}
    asked = operator.post(reverse("admin:orders_order_changelist"), chosen, follow=True)
    assert "Cancel 1 order" in page(asked)
    url = f"{reverse('admin:orders_order_cancel')}?id={ids[0]}"
    own_page = reverse("admin:orders_order_change", args=[ids[0]])
    assert url in page(operator.get(own_page))
    assert "1 cancel is stored" in page(operator.post(url, {"reason": "a mistake"}, follow=True))
    assert statuses(world) == ["CANCELLED", "OPEN", "OPEN"]
    assert url not in page(operator.get(own_page)), "it is closed"
    assert operator.post(account(world, "cancel"), {"reason": "left"}).status_code == 302
    assert statuses(world) == ["CANCELLED"] * 3
    details = list(StaffAct.objects.order_by("id").values_list("reason", "details"))
    assert details == [("a mistake", {"orderId": ids[0]}), ("left", {"cancelled": 2})]


def test_who_is_deactivated_has_no_orders_left(world: World, operator: Client) -> None:
    world.play(world.alice, "buy 1 @ 90")
    url = reverse("admin:users_user_change", args=[world.alice.user.id])
    body = {"username": "alice", "email": "alice@example.com", "rate_limit": ""}
    assert operator.post(url, body).status_code == 302
    assert statuses(world) == ["CANCELLED"]
    assert operator.post(url, {**body, "is_active": "on"}).status_code == 302
    acts = [(act.kind, act.before, act.after) for act in StaffAct.objects.order_by("id")]
    on, off = {"isActive": True}, {"isActive": False}
    assert acts == [("DEACTIVATED", on, off), ("ACTIVATED", off, on)]


@pytest.fixture
def barred_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose password is being hashed is deactivated and blocked before it is stored."""
    hashed = User.set_password

    def set_password(user: User, raw: str | None) -> None:
        hashed(user, raw)
        User.objects.filter(id=user.pk).update(is_active=False, is_blocked=True, is_staff=False, stamp="another")

    monkeypatch.setattr(User, "set_password", set_password)


def test_a_password_that_an_operator_sets_undoes_nothing(
    world: World, operator: Client, barred_meanwhile: None
) -> None:
    url = reverse("admin:auth_user_password_change", args=[world.alice.user.id])
    form = {"usable_password": "true", "password1": "correct horse", "password2": "correct horse"}
    assert operator.post(url, form).status_code == 302
    alice = User.objects.get(id=world.alice.user.id)
    assert (alice.is_active, alice.is_blocked, alice.is_staff) == (False, True, False)
    assert alice.stamp != "another", "whoever signed in with the password of before is out"
    assert alice.check_password("correct horse")


def test_a_password_of_ones_own_undoes_nothing(world: World, request: pytest.FixtureRequest) -> None:
    clerk = world.clerk().user
    clerk.set_password("correct horse")
    clerk.save()
    browser = signed_in(clerk)
    request.getfixturevalue("barred_meanwhile")
    form = {"old_password": "correct horse", "new_password1": "battery staple", "new_password2": "battery staple"}
    assert browser.post(reverse("admin:password_change"), form).status_code == 401
    stored = User.objects.get(id=clerk.id)
    assert (stored.is_active, stored.is_blocked, stored.is_staff, stored.stamp) == (False, True, False, "another")
    assert stored.password == clerk.password


def test_a_form_that_was_opened_before_the_kill_switch_does_not_undo_it(world: World, operator: Client) -> None:
    """The form's row is read before the kill switch commits, and saved after it."""
    url = reverse("admin:users_user_change", args=[world.alice.user.id])
    body = {"username": "alice", "email": "new@example.com", "is_active": "on", "rate_limit": ""}
    User.objects.filter(id=world.alice.user.id).update(is_blocked=True)
    saved: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        saved.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        assert operator.post(url, body).status_code == 302
    assert [sql for sql in saved if sql.startswith("UPDATE") and "is_blocked" in sql] == []
    assert User.objects.filter(id=world.alice.user.id, is_blocked=True, email="new@example.com").exists()


@pytest.mark.parametrize("act", ["kill", "lift", "cancel", "limits"])
def test_to_be_staff_is_not_enough(world: World, act: str) -> None:
    clerk = signed_in(world.clerk().user)
    assert clerk.get(account(world, act)).status_code == 403
    assert clerk.post(account(world, act), {"reason": "x"}).status_code == 403
    assert clerk.get(reverse("admin:orders_order_cancel")).status_code == 403
    assert not StaffAct.objects.exists()


def test_nobody_edits_what_was_done(world: World, operator: Client) -> None:
    operator.post(account(world, "kill"), {"reason": "x"})
    act = StaffAct.objects.get()
    url = reverse("admin:users_staffact_change", args=[act.id])
    assert page(operator.get(url))
    assert operator.post(url, {"reason": "another"}).status_code == 403
    assert operator.post(reverse("admin:users_staffact_delete", args=[act.id]), {"post": "yes"}).status_code == 403
    assert operator.get(reverse("admin:users_staffact_add")).status_code == 403
