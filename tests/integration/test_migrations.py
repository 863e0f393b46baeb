"""The data of the version before goes on: what its rows say is what the migrated rows say."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from balances.models import Balance, LedgerEntry
from base.storage.steps import id_ranges
from base.web.errors import UsernameTaken
from core.money import MAX_AMOUNT
from exchange.celery import app
from markets.models import Asset, Market
from matching.models import WorkerHeartbeat
from matching.worker.tasks import fill_missing_keys
from orders.models import Order
from tests.support.world import World
from users.models import User
from users.services import register

pytestmark = pytest.mark.dialect

# The tables as the version before knows them.
RELEASED = [
    *(("users", "0003_operators_are_found"), ("markets", "0002_status_choices"), ("balances", "0002_initial")),
    *(("matching", "0004_commands_and_heartbeats"), ("commands", "0001_initial"), ("orders", "0003_phase")),
]
BEFORE = [("orders", "0002_initial"), ("commands", None), ("matching", "0003_attendance")]


def migrate(*targets: tuple[str, str | None]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(list(targets))
    return executor.loader.project_state([target for target in targets if target[1]]).apps


def models_of(*targets: tuple[str, str]) -> Any:
    """As a process of before has them, whatever the tables are."""
    return MigrationExecutor(connection).loader.project_state(list(targets)).apps


def upgrade() -> None:
    call_command("migrate", verbosity=0)


@pytest.fixture(autouse=True)
def upgraded() -> Iterator[None]:
    """Whatever happened, the tests after this one find today's tables."""
    yield
    upgrade()


@pytest.mark.django_db(transaction=True)
def test_orders_keep_their_place_in_life() -> None:
    """Resting, closed, not applied yet, and a taker that was on its way through the book."""
    market = World.make().market
    old = migrate(*BEFORE)
    now = timezone.now()
    fields = {
        "market_id": market.symbol, "user_id": 1, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "price": 1,
        "quantity": 2, "self_trade_prevention": "NONE", "created_at": now, "updated_at": now, "budget": None,
    }  # fmt: skip
    rows = (
        ("OPEN", True), ("PARTIALLY_FILLED", True), ("PARTIALLY_FILLED", False), ("PENDING", True), ("FILLED", False),
        ("PARTIALLY_FILLED", True),
    )  # fmt: skip
    model = old.get_model("orders", "Order")
    ids = [model.objects.create(status=status, active=active, **fields).pk for status, active in rows]
    old.get_model("matching", "OrderBook").objects.create(market_id=market.symbol, unfinished_order_id=ids[-1])
    upgrade()
    phases = ["RESTING", "RESTING", "CLOSED", "TAKING", "CLOSED", "TAKING"]
    assert list(Order.objects.order_by("id").values_list("phase", flat=True)) == phases
    assert [order.active for order in Order.objects.order_by("id")] == [active for _, active in rows]
    Order.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_names_that_differ_in_case_are_known_exactly() -> None:
    """And a balance is as old as its first ledger entry."""
    old = migrate(("users", "0005_sessions"), ("balances", "0002_initial"))
    names = ("dora", "Dora", "bob")
    ids = [
        old.get_model("users", "User").objects.create(username=name, email=f"{name}@example.com").pk for name in names
    ]
    old.get_model("markets", "Asset").objects.create(code="USD", supply=5)
    first, later = timezone.now() - timedelta(days=2), timezone.now() - timedelta(days=1)
    for instant, account, amount, kind in ((first, ids[2], 2, "1"), (later, ids[2], 3, "2")):
        entry = {"currency_id": "USD", "kind": "DEPOSIT", "reference": f"transfer:{kind}", "created_at": instant}
        for owner, moved in ((account, amount), (0, -amount)):
            old.get_model("balances", "LedgerEntry").objects.create(account=owner, amount=moved, **entry)
    for owner, owned in ((ids[2], 5), (ids[0], 0)):
        old.get_model("balances", "Balance").objects.create(user_id=owner, currency_id="USD", available=owned)
    upgrade()
    known = {typed: User.objects.get_by_natural_key(typed).username for typed in (*names, "BOB")}
    assert known == {"dora": "dora", "Dora": "Dora", "bob": "bob", "BOB": "bob"}
    with pytest.raises(User.DoesNotExist):
        User.objects.get_by_natural_key("DORA")
    for name in ("DORA", "Bob"):
        with pytest.raises(UsernameTaken):
            register(username=name, email="other@example.com", password="correct horse")
    assert Balance.objects.get(user_id=ids[2]).created_at == first
    untouched = Balance.objects.get(user_id=ids[0])
    assert untouched.created_at == untouched.updated_at
    User.objects.get(username="dora").save()
    assert User.objects.get_by_natural_key("dora").username == "dora"
    LedgerEntry.objects.all().delete()
    Balance.objects.all().delete()
    Asset.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_permissions_go_with_their_models() -> None:
    migrate(*BEFORE)
    kinds = ContentType.objects.using("default")
    kinds.filter(app_label="commands", model="command").update(app_label="matching")
    kinds.filter(app_label="matching", model="workerheartbeat").update(model="attendance")
    held = Permission.objects.get(content_type__model="attendance", codename__startswith="view_")
    Permission.objects.filter(pk=held.pk).update(codename="view_attendance")
    upgrade()
    assert Permission.objects.get(pk=held.pk).codename == "view_workerheartbeat"
    assert kinds.filter(app_label="commands", model="command").exists()
    assert kinds.filter(app_label="matching", model="workerheartbeat").exists()


def test_a_process_of_before_stores_its_rows(world: World) -> None:
    """It does not know the new columns. MySQL would refuse the row, or store zeros where conflicts are ignored."""
    old, start = models_of(*RELEASED), timezone.now() - timedelta(seconds=1)
    user = old.get_model("users", "User").objects.create(username="Dora", email="Dora@example.com")
    old.get_model("balances", "Balance").objects.bulk_create(
        [old.get_model("balances", "Balance")(user_id=user.pk, currency_id="USD")], ignore_conflicts=True
    )
    steps = {"tick_size": 1, "lot_size": 1, "min_quantity": 1, "maker_fee_rate": 0, "taker_fee_rate": 0}
    old.get_model("markets", "Market").objects.create(symbol="USD-BTC", base_id="USD", quote_id="BTC", **steps)
    seen = {"started_at": timezone.now(), "seen_at": timezone.now()}
    old.get_model("matching", "WorkerHeartbeat").objects.create(name="old@host", serves_all=True, **seen)
    new = User.objects.get(pk=user.pk)
    assert (new.is_blocked, new.has_limits, new.stamp, new.username_key, new.email_key) == (
        False,
        False,
        "",
        None,
        None,
    )
    assert new.updated_at >= start
    assert Balance.objects.get(user_id=user.pk).created_at >= start
    market = Market.objects.get(symbol="USD-BTC")
    assert (market.max_notional, market.max_open_orders) == (MAX_AMOUNT, 500)
    assert WorkerHeartbeat.objects.get(name="old@host").is_beat is False


def test_users_of_a_process_of_before_get_their_keys(world: World) -> None:
    """One whose name is another's in another case takes nothing from that one."""
    old = models_of(*RELEASED).get_model("users", "User")
    for name in ("Dora", "ALICE"):
        old.objects.create(username=name, email=f"{name}@elsewhere.org")
    with pytest.raises(UsernameTaken):
        register(username="Dora", email="other@example.com", password="correct horse")
    task = app.conf.beat_schedule["fill-missing-keys"]["task"]
    assert app.tasks[task] == fill_missing_keys
    assert [fill_missing_keys(), fill_missing_keys()] == [4, 0]
    assert not User.objects.filter(username_key="Dora").exists(), "the column is compared exactly"
    known = {typed: User.objects.get_by_natural_key(typed).username for typed in ("dora", "ALICE", "alice", "Alice")}
    assert known == {"dora": "Dora", "ALICE": "ALICE", "alice": "alice", "Alice": "alice"}
    with pytest.raises(UsernameTaken):
        register(username="DORA", email="other@example.com", password="correct horse")


@pytest.mark.django_db(transaction=True)
def test_what_was_broken_off_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it stopped in the middle: each step is committed by itself."""
    old = migrate(("users", "0006_caseless_names"), ("balances", "0004_mark_price"))
    users, balances = old.get_model("users", "User"), old.get_model("balances", "Balance")
    before = models_of(*RELEASED)
    for number in range(3):
        user = before.get_model("users", "User").objects.create(username=f"User{number}", email=f"{number}@example.com")
        before.get_model("balances", "Balance").objects.create(user_id=user.pk, currency_id="USD")
    users.objects.update(updated_at=None)
    balances.objects.update(created_at=None)
    monkeypatch.setattr(id_ranges, "__defaults__", (1,))
    first = users.objects.order_by("id").first()
    users.objects.filter(pk=first.pk).update(username_key="user0", email_key="0@example.com")
    balances.objects.filter(user_id=first.pk).update(created_at=timezone.now() - timedelta(days=9))
    upgrade()
    assert list(User.objects.order_by("id").values_list("username_key", flat=True)) == ["user0", "user1", "user2"]
    assert not User.objects.filter(updated_at=None).exists()
    assert not Balance.objects.filter(created_at=None).exists()
    assert Balance.objects.get(user_id=first.pk).created_at < timezone.now() - timedelta(days=8)
    Balance.objects.all().delete()
