"""manage.py audit: its modes, its exit codes, and that it writes nothing but its own row."""

import json
from datetime import timedelta
from decimal import Decimal
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from audit import balances, run
from audit.checks import MOST_OF_A_CHECK, NOT_IN_QUICK, REPLAYED, Check, Report
from audit.inspect import Positions
from audit.models import AuditRun
from audit.rows import BalanceRow
from balances.models import LedgerEntry, Transfer
from base.storage.fields import amount as stored
from commands.models import Command
from matching.models import OrderBook
from matching.snapshots.recording import record
from orders.models import Order
from positions.services import read_positions
from tests.support.orders import PlayedExchange, all_findings, checks, full, quick
from tests.support.world import World, fund, stored_rows

pytestmark = pytest.mark.django_db
MODES = [("--quick",), ("--full",), ("--replay", "BTC-USD"), ("--replay", "all")]


@pytest.fixture
def traded(db: None) -> PlayedExchange:
    played = PlayedExchange()
    # A position is kept where somebody asked for it.
    read_positions(played.world.alice.user.id)
    return played


def since(traded: PlayedExchange, first: int) -> Positions:
    """As if the last clean run had seen all events before this number, and all transfers."""
    return Positions({traded.symbol: first}, Transfer.objects.count(), timezone.now().isoformat())


def corrupt() -> None:
    Order.objects.filter(client_order_id="third").update(frozen=F("frozen") + stored(Decimal(1)))


@pytest.mark.parametrize("options", MODES, ids=" ".join)
def test_a_clean_exchange(traded, capsys, options):
    before = stored_rows()
    call_command("audit", *options)
    assert "clean" in capsys.readouterr().out
    assert stored_rows() == {**before, "AuditRun": before["AuditRun"] + 1}
    kept = AuditRun.objects.get()
    assert (kept.outcome, kept.found, kept.findings) == (0, 0, [])
    # That nothing is wrong means something only where something was looked at.
    empty = [check for check, number in kept.looked.items() if not number]
    assert empty == []


def test_every_check_is_told(traded):
    # As for a book that is large.
    record(traded.symbol)
    call_command("audit", "--full", "--json")
    call_command("audit", "--quick", "--json")
    call_command("audit", "--replay", "all", "--json")
    looked = {row.mode: row.looked.keys() for row in AuditRun.objects.all()}
    stored_ones = {check.value for check in Check} - {check.value for check in REPLAYED}
    assert looked["FULL"] == stored_ones
    assert looked["QUICK"] == stored_ones - {check.value for check in NOT_IN_QUICK}
    assert looked["REPLAY"] == {check.value for check in REPLAYED}


@pytest.mark.parametrize("options", MODES, ids=" ".join)
def test_findings_exit_with_1(traded, capsys, options):
    with transaction.atomic():
        corrupt()
        with pytest.raises(SystemExit) as stopped:
            call_command("audit", *options, "--json")
        assert stopped.value.code == 1
        answer = json.loads(capsys.readouterr().out)
        assert answer.keys() == {"mode", "startedAt", "seconds", "looked", "findings", "found", "exitCode"}
        assert answer["mode"] == options[0].removeprefix("--") and answer["exitCode"] == 1
        finding = answer["findings"][0]
        assert finding.keys() == {"check", "message", "rows", "rowCount", "expected", "actual"}
        assert f"order {traded.order('third').id}" in finding["rows"]
        assert AuditRun.objects.get().outcome == 1
        transaction.set_rollback(True)


@pytest.mark.parametrize("options", [("--replay", "DOGE-USD"), ("--replay", "BTC-USD", "--replay", "DOGE-USD")])
def test_an_unknown_symbol_cannot_be_replayed(traded, capsys, options):
    with pytest.raises(CommandError, match=r"could not run.*DOGE-USD") as stopped:
        call_command("audit", *options)
    assert stopped.value.returncode == 2
    kept = AuditRun.objects.get()
    assert kept.outcome == 2 and "DOGE-USD" in kept.error


@pytest.mark.parametrize("options", [(), ("--quick", "--full"), ("--replay",)], ids=str)
def test_exactly_one_mode(db, options):
    with pytest.raises(CommandError):
        call_command("audit", *options)


def test_without_a_database_it_could_not_run(traded):
    with (
        mock.patch.object(run, "load_reference_data", side_effect=DatabaseError("gone\naway")),
        mock.patch.object(run.AuditRun.objects, "create", side_effect=DatabaseError("gone")),
        pytest.raises(CommandError, match="could not run: DatabaseError: gone away") as stopped,
    ):
        call_command("audit", "--replay", "all")
    assert stopped.value.returncode == 2


def test_a_result_that_cannot_be_stored_is_told(traded, capsys):
    """As where the account may only read."""
    with mock.patch.object(run.AuditRun.objects, "create", side_effect=DatabaseError("read only")):
        call_command("audit", "--full")
    said = capsys.readouterr()
    assert "clean" in said.out and "was not stored: read only" in said.err


def test_quick_looks_at_what_happened_since_the_last_clean_run(traded):
    call_command("audit", "--full")
    call_command("audit", "--quick")
    first, second = AuditRun.objects.order_by("id")
    assert second.positions == {**first.positions, "at": second.positions["at"]}
    assert second.looked[Check.DENSE] == 0 < first.looked[Check.DENSE]
    traded.world.play(traded.world.carol, "buy 0.1 @ 89.5")
    call_command("audit", "--quick")
    # The order that waited, and this one with its maker.
    assert AuditRun.objects.last().looked[Check.DENSE] == 3


def test_quick_begins_anywhere(traded):
    """Wherever the last run ended, or the limit cuts: no false alarm."""
    after_the_last = OrderBook.objects.get(market=traded.symbol).next_sequence
    for first in range(1, after_the_last + 1):
        report = quick(since(traded, first))
        assert checks(report) == set(), (first, all_findings([report]))
    assert checks(quick(since(traded, after_the_last + 1))) == {Check.NEXT}


def test_quick_finds_what_is_recent(traded):
    late = since(traded, traded.order("bid").sequence)
    with transaction.atomic():
        corrupt()
        assert checks(quick(late)) == {Check.RESERVE, Check.FROZEN}
        transaction.set_rollback(True)


def test_quick_sees_a_transfer_that_came_since(traded):
    call_command("audit", "--full")
    fund(traded.world.carol.user, BTC="1")
    with transaction.atomic():
        LedgerEntry.objects.order_by("-id").first().delete()
        assert {Check.TRANSFER, Check.JOURNAL} <= checks(quick(Positions.of(AuditRun.objects.get().positions)))
        transaction.set_rollback(True)


def test_an_entry_that_nothing_caused(traded):
    entry = LedgerEntry.objects.order_by("id").first()
    for amount in (entry.amount, -entry.amount):
        entry.pk, entry.amount, entry.reference = None, amount, "a favour"
        entry.save(force_insert=True)
    assert checks(full()) == {Check.CAUSE}
    LedgerEntry.objects.filter(reference="a favour").delete()


def test_a_negative_balance():
    """The database refuses it, so the check is asked by itself."""
    report = Report()
    balances._check_balance(report, mock.Mock(), BalanceRow(1, 1, "USD", -1, 1), 0, 1)
    assert checks(report) == {Check.NEGATIVE}


def test_a_command_that_waits_too_long(traded):
    with transaction.atomic():
        Command.objects.update(created_at=timezone.now() - timedelta(seconds=31))
        assert checks(full(left_out=())) == checks(quick(left_out=())) == {Check.SERVED}
        transaction.set_rollback(True)


def test_many_findings_are_counted_and_few_are_kept():
    report = Report()
    for number in range(MOST_OF_A_CHECK + 50):
        report.add(Check.DENSE, "a gap", [f"event {number}"])
    assert (len(report.findings), report.total) == (MOST_OF_A_CHECK, MOST_OF_A_CHECK + 50)


def test_the_admin_shows_what_was_found(operator, world):
    world.play(world.bob, "sell 1 @ 100", clientOrderId="third")
    with transaction.atomic():
        corrupt()
        with pytest.raises(SystemExit):
            call_command("audit", "--full")
        row = AuditRun.objects.get()
        listed = operator.get(reverse("admin:audit_auditrun_changelist")).content.decode()
        assert "findings" in listed
        page = operator.get(reverse("admin:audit_auditrun_change", args=[row.pk])).content.decode()
        assert "order-reserves-its-rest" in page and "expected" in page
        transaction.set_rollback(True)


def test_the_admin_shows_one_that_could_not_run(operator, world: World):
    with pytest.raises(CommandError):
        call_command("audit", "--replay", "DOGE-USD")
    page = operator.get(reverse("admin:audit_auditrun_change", args=[AuditRun.objects.get().pk])).content.decode()
    assert "could not run" in page and "DOGE-USD" in page
