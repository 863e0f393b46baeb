"""The admin: balances change through the adjust form only, and nothing else that is history can be written at all."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from balances.approvals import ask_for_payout
from balances.models import Approval, Balance, LedgerEntry, Transfer
from markets.models import Asset, Trade
from matching.models import BookSnapshot, DeadLetter, SnapshotPart
from matching.worker.heartbeat import Heartbeat
from orders.dead_man import set_switch
from tests.support.orders import FAR_AHEAD
from tests.support.world import World, stored_rows
from users.acts import Actor
from users.models import User

HISTORY = [*apps.get_app_config("balances").get_models(), *apps.get_app_config("orders").get_models(), Trade]
# Snapshots are copies of other rows, which may be thrown away at any time: the admin does not show them.
COPIES = {BookSnapshot, SnapshotPart}
ENGINE = [model for model in apps.get_app_config("matching").get_models() if model not in COPIES]


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def clerk(world: World) -> Client:
    """Staff without any permission."""
    return signed_in(world.clerk().user)


class Adjusting:
    """Alice's dollars, through the form."""

    def __init__(self, world: World, client: Client) -> None:
        self.world, self.client = world, client
        self.url = reverse("admin:balances_balance_adjust", args=[world.alice.user.id])

    def send(self, amount: str, *, reference: str = "ticket-1", currency: str = "USD", reason: str = "a parcel"):
        body = {"currency": currency, "amount": amount, "reason": reason, "reference": reference}
        return self.client.post(self.url, body, follow=True)

    def refused(self, amount: str, **other: str) -> str:
        """Send it, see that nothing changed, and return what the page says."""
        before = stored_rows(), self.world.alice.holds("USD")
        response = self.send(amount, **other)
        assert response.redirect_chain == []
        assert (stored_rows(), self.world.alice.holds("USD")) == before
        return " ".join(str(error) for errors in response.context["form"].errors.values() for error in errors)


@pytest.fixture
def adjusting(world: World, operator: Client) -> Adjusting:
    return Adjusting(world, operator)


def page(response) -> str:
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def test_adjust_deposits_and_shows_its_entry(adjusting):
    shown = adjusting.send("12.5")
    assert adjusting.world.alice.holds("USD") == "10012.5 0"
    made = Transfer.objects.get(reference="ticket-1")
    assert (made.operator.username, made.reason, made.amount) == ("operator", "a parcel", Decimal("12.5"))
    entry = LedgerEntry.objects.get(account=made.user_id, reference="transfer:ticket-1")
    assert shown.context["entry"]["entryId"] == entry.id
    text = page(shown)
    for told in (
        "DEPOSIT",
        "12.5 USD",
        "transfer:ticket-1",
        "a parcel",
        "10012.5",
        "The balance of alice was adjusted",
    ):
        assert told in text, told


def test_adjust_withdraws(adjusting):
    text = page(adjusting.send("-0.00000001"))
    assert adjusting.world.alice.holds("USD") == "9999.99999999 0"
    assert "WITHDRAWAL" in text
    assert "-0.00000001 USD" in text


def test_adjust_makes_the_first_balance_in_an_asset(adjusting):
    assert not Balance.objects.filter(user=adjusting.world.alice.user, currency_id="BTC").exists()
    adjusting.send("0.5", currency="BTC")
    assert adjusting.world.alice.holds("BTC") == "0.5 0"


def test_the_same_reference_again_changes_nothing(adjusting):
    adjusting.send("5")
    text = page(adjusting.send("5"))
    assert adjusting.world.alice.holds("USD") == "10005 0"
    assert "nothing was changed" in text
    assert Transfer.objects.filter(reference="ticket-1").count() == 1


def test_the_same_reference_for_another_transfer_is_refused(adjusting):
    adjusting.send("5")
    assert "was used for another transfer" in adjusting.refused("6")


def test_a_balance_cannot_fall_below_zero(adjusting):
    assert "10000.00000001 USD needed" in adjusting.refused("-10000.00000001")


def test_what_is_frozen_cannot_be_withdrawn(adjusting):
    adjusting.world.play(adjusting.world.alice, "buy 1 @ 9000")
    assert "needed" in adjusting.refused("-1001")
    adjusting.send("-1000")
    assert adjusting.world.alice.holds("USD") == "0 9000"


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("0", "zero"),
        ("-0", "zero"),
        ("1e3", "plain digits"),
        ("NaN", "plain digits"),
        ("1,000", "plain digits"),
        ("٣", "plain digits"),
        ("0.123456789", "plain digits"),
        ("90000000001", "above 90000000000"),
        ("90000000000", "would be in circulation"),
        ("", "required"),
    ],
)
def test_amounts_are_read_as_the_api_reads_them(adjusting, amount, told):
    assert told in adjusting.refused(amount)


def test_amounts_finer_than_the_asset_are_refused(adjusting):
    Asset.objects.filter(code="USD").update(scale=6)
    assert "more than USD's 6 digits" in adjusting.refused("0.0000001")


@pytest.mark.parametrize("other", [{"reason": " "}, {"reference": "a b"}, {"reference": ""}, {"currency": "XYZ"}])
def test_the_other_fields_are_checked_too(adjusting, other):
    assert adjusting.refused("1", **other)


def test_the_form_suggests_a_new_reference_each_time(adjusting):
    first, second = (adjusting.client.get(f"{adjusting.url}?currency=USD").context["form"] for _ in range(2))
    assert first["reference"].value() != second["reference"].value()
    assert first["currency"].value() == "USD"


def test_the_form_shows_what_the_user_holds(adjusting):
    adjusting.world.play(adjusting.world.alice, "buy 1 @ 0.5")
    assert adjusting.client.get(adjusting.url).context["balances"] == [("USD", "9999.5", "0.5", "10000")]


def test_looking_at_the_form_moves_nothing(adjusting):
    before = stored_rows()
    adjusting.client.get(adjusting.url, {"currency": "USD", "amount": "5", "reason": "r", "reference": "x"})
    assert stored_rows() == before


def test_nobody_is_adjusted(operator):
    assert operator.get(reverse("admin:balances_balance_adjust", args=[999_999])).status_code == 404


def test_adjusting_takes_its_own_permission(world, clerk):
    adjusting = Adjusting(world, clerk)
    assert clerk.get(adjusting.url).status_code == 403
    assert adjusting.send("5").status_code == 403
    assert world.alice.holds("USD") == "10000 0"
    User.objects.get(username="clerk").user_permissions.add(Permission.objects.get(codename="add_transfer"))
    page(adjusting.send("5"))
    assert world.alice.holds("USD") == "10005 0"


def test_the_entry_is_shown_to_those_who_may_adjust(world, adjusting, clerk):
    adjusting.send("5")
    url = reverse("admin:balances_balance_adjusted", args=[Transfer.objects.get(reference="ticket-1").id])
    assert clerk.get(url).status_code == 403
    assert Client().get(url).status_code == 302


@pytest.mark.parametrize("who", ["anonymous", "alice"])
def test_others_are_sent_to_the_login(world, who):
    client = Client() if who == "anonymous" else signed_in(world.alice.user)
    response = Adjusting(world, client).send("5")
    assert response.redirect_chain[0][0].startswith("/admin/login/")
    assert world.alice.holds("USD") == "10000 0"


def test_a_foreign_page_cannot_send_the_form(world, operator):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert Adjusting(world, strict).send("5").status_code == 403
    assert world.alice.holds("USD") == "10000 0"


@pytest.mark.parametrize("model", [*HISTORY, *ENGINE], ids=lambda model: model.__name__)
def test_history_cannot_be_written(world, operator, model):
    assert model in admin.site._registry, "not shown in the admin"
    row = _a_row(world, model)
    before = model.objects.filter(pk=row.pk).values().get()
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    change, delete, add = (
        reverse(f"{name}_change", args=[row.pk]),
        reverse(f"{name}_delete", args=[row.pk]),
        reverse(f"{name}_add"),
    )
    for method in (operator.get, operator.post):
        assert method(add).status_code == 403
        assert method(delete).status_code == 403
    everything = {field.name: "1" for field in model._meta.fields}
    assert operator.post(change, everything).status_code == 403
    operator.post(reverse(f"{name}_changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": 1})
    assert model.objects.filter(pk=row.pk).values().get() == before
    shown = operator.get(change)
    assert list(shown.context["adminform"].form.fields) == []
    assert 'name="_save"' not in page(shown)


def test_the_clerk_sees_nothing_without_permission(world, clerk):
    for model in _shown_models():
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        assert clerk.get(url).status_code == 403, url


def test_nothing_of_the_exchange_can_be_deleted(world, operator):
    world.play(world.bob, "sell 1 @ 100")
    for model in _shown_models():
        row = model.objects.first()
        if row is not None:
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_delete", args=[row.pk])
            assert operator.post(url, {"post": "yes"}).status_code == 403, url


def _shown_models() -> Iterator[type[Model]]:
    ours = {"users", "markets", "balances", "orders", "matching"}
    return (model for model in admin.site._registry if model._meta.app_label in ours)


def _a_row(world: World, model: type[Model]) -> Model:
    """A row of the kind, as the exchange makes it; the last order keeps waiting."""
    world.play(world.bob, "sell 2 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    for status in ("HALTED", "TRADING"):
        world.switch(status)
    world.match()
    world.play(world.bob, "sell 1 @ market trail 5")
    world.play(world.alice, "buy 1 @ 80 gtd", expiresAt=FAR_AHEAD)
    set_switch(world.alice.user.id, None, 600)
    world.place(world.alice, "buy 1 @ 90")
    if model is DeadLetter:
        # Of a halt that could not be applied: every order's failure is the audit's business.
        return DeadLetter.objects.create(
            market=world.market, kind="HALT", error="x", traceback="x", attempts=4, created_at=timezone.now()
        )
    Heartbeat("matcher@host", serves_all=True, symbols=()).refresh()
    if model is Approval:
        ask_for_payout(
            Actor(world.staff.user.id, "::"), currency="USD", amount=Decimal(1), reason="r", reference="fees-1"
        )
    row = model.objects.first()
    assert row is not None
    return row


def test_a_browser_may_sign_in(db):
    """With the policy "no-referrer" browsers send "Origin: null" with the form, and Django refuses it."""
    client = Client(enforce_csrf_checks=True)
    page = client.get(reverse("admin:login"))
    assert page["Referrer-Policy"] == "same-origin"
    form = {"username": "nobody", "password": "x", "csrfmiddlewaretoken": client.cookies["csrftoken"].value}
    assert client.post(reverse("admin:login"), form, headers={"Origin": "http://testserver"}).status_code == 200
