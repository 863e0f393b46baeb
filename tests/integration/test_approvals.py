"""Above a threshold money waits for a second person, is decided once, and moves in the transaction of the decision."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from balances import approvals, services
from balances.errors import ApprovalDecided
from balances.models import Approval, LedgerEntry, Transfer
from base.web.errors import ExchangeError
from markets.models import Asset
from markets.services import change_market, read_market
from tests.integration.test_admin import page, signed_in
from tests.support.orders import checks, full, quick
from tests.support.world import Person, World, stored_rows
from users.acts import Actor
from users.models import StaffAct

pytestmark = pytest.mark.dialect


@pytest.fixture(autouse=True)
def thresholds(settings: Any) -> None:
    settings.APPROVAL_ABOVE = {"USD": Decimal(100)}


@pytest.fixture
def desk(world: World) -> World:
    """Two treasurers: the first one asks, in the place of staff."""
    world.staff = world.clerk("treasurers")
    return world


@pytest.fixture
def second(desk: World) -> Person:
    return desk.clerk("treasurers", name="second")


def ask(world: World, amount: str = "500", reference: str = "big-1", **more: str) -> Any:
    body = {"userId": world.alice.user.id, "currency": "USD", "amount": amount, "reason": "a wire", **more}
    return world.staff.call("POST", "/balances/update", {**body, "reference": reference})


def decide(who: Person, approval_id: int, word: str = "approve", **body: str) -> Any:
    return who.call("POST", f"/approvals/{approval_id}/{word}", body)


def test_a_large_adjustment_waits_and_moves_once_it_is_approved(desk: World, second: Person) -> None:
    asked = ask(desk)
    assert asked.status_code == 202
    assert asked.body["data"] == {"approvalId": Approval.objects.get().pk, "status": "WAITING_FOR_APPROVAL"}
    assert desk.alice.holds("USD") == "10000 0"
    number = asked.body["data"]["approvalId"]
    listed = second.get("/approvals?status=WAITING_FOR_APPROVAL")
    assert [(each["approvalId"], each["amount"], each["proposedBy"]) for each in listed] == [
        (number, "500", desk.staff.user.id)
    ]
    assert (decide(desk.staff, number).status_code, decide(desk.staff, number).body["error"]) == (403, "SAME_PERSON")
    decided = decide(second, number, reason="seen on the statement")
    assert (decided.status_code, decided.body["data"]["status"]) == (200, "APPROVED")
    assert decided.body["data"]["decidedBy"] == second.user.id
    assert desk.alice.holds("USD") == "10500 0"
    again = decide(second, number)
    assert (again.status_code, again.body["error"]) == (409, "APPROVAL_DECIDED")
    assert decide(second, number, "refuse").body["error"] == "APPROVAL_DECIDED"
    assert Transfer.objects.get(reference="big-1").operator_id == desk.staff.user.id
    assert second.get("/approvals?status=WAITING_FOR_APPROVAL") == []
    acts = StaffAct.objects.order_by("id").values_list("kind", "operator", "subject", "reason")
    assert list(acts) == [
        ("APPROVAL_ASKED", desk.staff.user.id, "big-1", "a wire"),
        ("APPROVED", second.user.id, "big-1", "seen on the statement"),
    ]
    approved = StaffAct.objects.get(kind="APPROVED")
    assert (approved.before, approved.after) == ({"availableBalance": "10000"}, {"availableBalance": "10500"})


@pytest.mark.parametrize(("amount", "status"), [("100", 200), ("-100", 200), ("100.01", 202), ("-100.01", 202)])
def test_the_threshold(desk: World, amount: str, status: int) -> None:
    assert ask(desk, amount).status_code == status
    assert Approval.objects.exists() is (status == 202)


def test_an_asset_without_a_threshold_waits_for_nobody(desk: World) -> None:
    assert ask(desk, "1000", currency="BTC").status_code == 200


def test_what_is_refused_moves_nothing_and_uses_its_reference_up(desk: World, second: Person) -> None:
    number = ask(desk).body["data"]["approvalId"]
    assert decide(desk.staff, number, "refuse").body["error"] == "SAME_PERSON"
    assert decide(second, number, "refuse", reason="unknown").body["data"]["status"] == "REFUSED"
    assert decide(second, number).body["error"] == "APPROVAL_DECIDED"
    assert desk.alice.holds("USD") == "10000 0"
    again = ask(desk)
    assert (again.status_code, again.body["data"]["status"]) == (202, "REFUSED")
    assert again["Idempotent-Replayed"] == "true"


def test_a_reference_is_used_once(desk: World, second: Person) -> None:
    """By what waits and by what was made alike, whatever the amount."""
    first = ask(desk)
    again = ask(desk)
    assert (again.status_code, again.body["data"]) == (202, first.body["data"])
    assert again["Idempotent-Replayed"] == "true"
    assert ask(desk, "501").body["error"] == "REFERENCE_REUSED"
    assert ask(desk, "5").body["error"] == "REFERENCE_REUSED"
    ask(desk, "5", "small-1")
    assert ask(desk, "500", "small-1").body["error"] == "REFERENCE_REUSED"
    assert Approval.objects.count() == 1
    decide(second, first.body["data"]["approvalId"])
    assert ask(desk).body["data"]["status"] == "APPROVED"
    assert desk.alice.holds("USD") == "10505 0"


def test_what_cannot_be_paid_waits_on(desk: World, second: Person) -> None:
    number = ask(desk, "-10000.5").body["data"]["approvalId"]
    refused = decide(second, number)
    assert (refused.status_code, refused.body["error"]) == (400, "INSUFFICIENT_FUNDS")
    assert Approval.objects.get().status == "WAITING_FOR_APPROVAL"
    assert not StaffAct.objects.filter(kind="APPROVED").exists()
    ask(desk, "0.5", "top-up")
    assert decide(second, number).status_code == 200
    assert desk.alice.holds("USD") == "0 0"


def test_nothing_is_stored_of_what_is_wrong(desk: World, second: Person) -> None:
    before = stored_rows()
    assert ask(desk, "500.123456789").status_code == 400
    assert ask(desk, "500", currency="NOPE").body["error"] == "ASSET_NOT_FOUND"
    assert ask(desk, "500", userId=str(10**9)).body["error"] == "USER_NOT_FOUND"
    assert decide(second, 10**9).body["error"] == "APPROVAL_NOT_FOUND"
    assert second.call("POST", "/approvals/x/approve", {}).body["error"] == "APPROVAL_NOT_FOUND"
    assert second.call("GET", "/approvals?status=NO").body["error"] == "INVALID_CHOICE"
    assert stored_rows() == before


def test_nobody_decides_what_they_asked_for_in_the_database_either(desk: World) -> None:
    ask(desk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.update(decided_by=desk.staff.user)


@pytest.mark.django_db(transaction=True)
def test_it_is_decided_once_however_many_decide(settings: Any) -> None:
    """Security: eight people approve and refuse at the same moment; the money moves once or not at all."""
    world = World.make()
    alice, actors = world.alice.user.id, [Actor(world.clerk(name=f"t-{n}").user.id, "127.0.0.1") for n in range(8)]
    proposer = Actor(world.staff.user.id, "127.0.0.1")
    moved, starts = 0, Decimal(10_000)

    def act(number: int) -> str:
        decision = approvals.approve if number % 2 else approvals.refuse_approval
        try:
            return decision(asked.pk, actors[number]).status
        except ApprovalDecided:
            return "too late"
        finally:
            connection.close()

    for turn in range(4):
        terms: Any = {"currency": "USD", "amount": Decimal(500), "reason": "a wire", "reference": f"big-{turn}"}
        asked, _ = approvals.adjust(proposer, user_id=alice, **terms)
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(act, range(8)))
        [decision] = [outcome for outcome in outcomes if outcome != "too late"]
        moved += decision == "APPROVED"
        assert Approval.objects.get(pk=asked.pk).status == decision
    assert Transfer.objects.filter(reference__startswith="big-").count() == moved
    assert Decimal(world.alice.holds("USD").split()[0]) == starts + 500 * moved


@pytest.mark.django_db(transaction=True)
def test_the_same_request_sent_at_once_waits_once(settings: Any) -> None:
    world = World.make()
    proposer, alice = Actor(world.staff.user.id, "127.0.0.1"), world.alice.user.id
    terms: Any = {"currency": "USD", "amount": Decimal(500), "reason": "a wire", "reference": "big-1"}

    def act(_: int) -> tuple[int, bool]:
        try:
            asked, is_repeated = approvals.adjust(proposer, user_id=alice, **terms)
            return asked.pk, is_repeated
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(act, range(8)))
    assert len({number for number, _ in answers}) == 1
    assert sorted(is_repeated for _, is_repeated in answers) == [False] + [True] * 7


def test_an_adjustment_in_the_admin_waits_too(desk: World, second: Person) -> None:
    first, other = signed_in(desk.staff.user), signed_in(second.user)
    typed = {"currency": "USD", "amount": "500", "reason": "a wire", "reference": "big-1"}
    shown = page(first.post(reverse("admin:balances_balance_adjust", args=[desk.alice.user.id]), typed, follow=True))
    assert "WAITING_FOR_APPROVAL" in shown
    assert desk.alice.holds("USD") == "10000 0"
    asked = Approval.objects.get()
    approve = reverse("admin:approval_approve", args=[asked.pk])
    assert approve in page(other.get(reverse("admin:balances_approval_changelist")))
    assert "asked for by" in page(other.get(approve))
    assert "does not decide" in page(first.post(approve, {"reason": "mine"}))
    assert Approval.objects.get().status == "WAITING_FOR_APPROVAL"
    assert "big-1 is APPROVED" in page(other.post(approve, {"reason": "seen"}, follow=True))
    assert desk.alice.holds("USD") == "10500 0"
    assert "is APPROVED already" in page(other.post(approve, {"reason": "seen"}))
    clerk = signed_in(desk.clerk("balances.add_transfer", name="teller").user)
    adjust = reverse("admin:balances_balance_adjust", args=[desk.alice.user.id])
    assert "WAITING_FOR_APPROVAL" in page(clerk.post(adjust, {**typed, "reference": "big-2"}, follow=True))
    assert clerk.get(approve).status_code == 403
    assert clerk.get(reverse("admin:approval_refuse", args=[10**9])).status_code == 403
    assert other.get(reverse("admin:approval_refuse", args=[10**9])).status_code == 404


@pytest.fixture
def rich(desk: World) -> World:
    """The exchange has collected 2 USD of fees."""
    change_market(read_market(desk.symbol), maker_fee_rate=Decimal("0.01"), taker_fee_rate=Decimal("0.01"))
    desk.play(desk.alice, "buy 1 @ 200")
    desk.play(desk.bob, "sell 1 @ 200")
    return desk


def pay_out(world: World, amount: str, reference: str = "fees-1") -> Any:
    body = {"currency": "USD", "amount": amount, "reason": "March", "reference": reference}
    return world.staff.call("POST", "/fees/payout", body)


def test_collected_fees_are_paid_out_after_an_approval(rich: World, second: Person) -> None:
    supply = Asset.objects.get(code="USD").supply
    asked = pay_out(rich, "1.5")
    assert (asked.status_code, asked.body["data"]["status"]) == (202, "WAITING_FOR_APPROVAL")
    assert pay_out(rich, "1.5")["Idempotent-Replayed"] == "true"
    assert pay_out(rich, "1.6").body["error"] == "REFERENCE_REUSED"
    number = asked.body["data"]["approvalId"]
    assert decide(rich.staff, number).body["error"] == "SAME_PERSON"
    shown = decide(second, number).body["data"]
    assert (shown["kind"], shown["userId"], shown["amount"], shown["status"]) == ("FEE_PAYOUT", None, "1.5", "APPROVED")
    entries = LedgerEntry.objects.filter(reference="transfer:fees-1").order_by("account")
    assert list(entries.values_list("account", "kind", "amount")) == [
        (-1, "WITHDRAWAL", Decimal("-1.5")),
        (0, "WITHDRAWAL", Decimal("1.5")),
    ]
    assert supply - Asset.objects.get(code="USD").supply == Decimal("1.5")
    assert checks(full(), quick()) == set()
    too_much = decide(second, pay_out(rich, "0.51", "fees-2").body["data"]["approvalId"])
    assert (too_much.body["error"], too_much.body["data"]["available"]) == ("INSUFFICIENT_FUNDS", "0.5")
    made = Transfer.objects.get(reference="fees-1")
    admin = signed_in(second.user)
    assert "the fee account" in page(admin.get(reverse("admin:balances_balance_adjusted", args=[made.pk])))
    assert page(admin.get(reverse("admin:balances_transfer_changelist")))


@pytest.mark.parametrize(
    ("amount", "error"), [("0", "MUST_BE_POSITIVE"), ("-1", "MUST_BE_POSITIVE"), ("1.123456789", "INVALID_DECIMAL")]
)
def test_payouts_that_are_none(rich: World, amount: str, error: str) -> None:
    before = stored_rows()
    assert pay_out(rich, amount).body["error"] == error
    assert stored_rows() == before


@pytest.mark.django_db(transaction=True)
def test_two_payouts_at_once_pay_no_more_than_was_collected(settings: Any) -> None:
    world = World.make(taker_fee_rate=Decimal("0.01"))
    world.play(world.alice, "buy 1 @ 200")
    world.play(world.bob, "sell 1 @ 200")

    def act(number: int) -> str:
        terms: Any = {"currency": "USD", "amount": Decimal("-1.5"), "reason": "March", "reference": f"fees-{number}"}
        try:
            services.transfer(user_id=None, operator_id=None, **terms)
            return "paid"
        except ExchangeError as error:
            return error.error
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(act, range(4))) == ["INSUFFICIENT_FUNDS"] * 3 + ["paid"]
