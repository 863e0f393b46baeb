"""Fee tiers: who has which, what orders are charged, how volume is counted, and what is kept of a change."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from markets import fees, volumes
from markets.fee_tier import FeeStanding, FeeTier, TradedVolume, VolumeCursor
from markets.models import Market, Trade
from markets.services import change_market, create_market
from matching.drain import drain
from matching.worker.tasks import count_volumes
from tests.support.tape import parse
from tests.support.world import Person, World, fund
from users.models import StaffAct

pytestmark = pytest.mark.dialect


@pytest.fixture
def charged(world: World) -> World:
    """The market takes 0.2 % and 0.4 %; a tier from 500 USD on, one from 20,000 on, and one for a group."""
    change_market(world.market, maker_fee_rate=Decimal("0.002"), taker_fee_rate=Decimal("0.004"))
    insiders = Group.objects.create(name="insiders")
    for level, needed, group, maker, taker in (
        (1, Decimal(500), None, "0.001", "0.003"),
        (2, Decimal(20000), None, "0", "0.002"),
        (3, None, insiders, "-0.0001", "0.001"),
    ):
        rates = {"maker_fee_rate": Decimal(maker), "taker_fee_rate": Decimal(taker)}
        FeeTier.objects.create(level=level, volume=needed, group=group, **rates)
    return world


def count() -> None:
    """What beat has a worker do, with all the time that it needs; then everybody has forgotten what was before."""
    rest: list[str] | None = None
    while (rest := volumes.count_volumes(rest, time.monotonic() + 60)) is not None:
        continue
    fees.known_tiers.cache_clear()
    fees.known_tier.cache_clear()


def mine(who: Person, symbol: str = "BTC-USD") -> dict[str, Any]:
    [found] = [each for each in who.get("/fees") if each["symbol"] == symbol]
    return found


def volume(who: Person) -> Decimal:
    return FeeStanding.objects.get(user=who.user).volume


def swap(world: World, line: str, times: int = 1) -> None:
    """Alice buys and Bob sells."""
    for _ in range(times):
        world.play(world.bob, f"sell {line}")
        world.play(world.alice, f"buy {line}")


def test_a_tier_follows_from_volume_and_orders_keep_their_rates(charged: World) -> None:
    world = charged
    assert mine(world.alice) == {
        "symbol": "BTC-USD",
        "makerFeeRate": "0.002",
        "takerFeeRate": "0.004",
        "feeCurrency": "RECEIVED",
        "tier": None,
        "nextTier": {
            "tier": 1,
            "makerFeeRate": "0.001",
            "takerFeeRate": "0.003",
            "volume": "500",
            "volumeLacking": "500",
            "volumeCurrency": "USD",
        },
    }
    swap(world, "4 @ 100")
    world.play(world.alice, "buy 1 @ 99")
    count()
    assert mine(world.alice)["nextTier"]["volumeLacking"] == "100"
    swap(world, "2 @ 100")
    count()
    assert (mine(world.alice)["tier"], mine(world.alice)["nextTier"]["tier"]) == (1, 2)
    # The order of before the tier makes at 0.2 %; the next one takes at 0.3 %.
    world.play(world.bob, "sell 1 @ 99")
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    assert [fill["fee"] for fill in world.alice.get("/fills")[:2]] == ["0.003", "0.002"]
    assert mine(world.carol)["tier"] is None


def test_members_of_a_group_have_its_tier(charged: World, operator: Client) -> None:
    charged.carol.user.groups.add(Group.objects.get(name="insiders"))
    own = mine(charged.carol)
    assert (own["tier"], own["makerFeeRate"], own["takerFeeRate"], own["nextTier"]) == (3, "-0.0001", "0.001", None)
    page = operator.get(reverse("admin:users_user_change", args=[charged.carol.user.pk])).content.decode()
    assert "Fee tier 3; 0 USD traded in 30 days" in page


def test_a_tier_raises_nobodys_rates(charged: World) -> None:
    """A market without fees stays so, and none pays back what nobody paid."""
    create_market(symbol="ETH-USD", base="ETH", quote="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
    charged.carol.user.groups.add(Group.objects.get(name="insiders"))
    assert (mine(charged.carol, "ETH-USD")["takerFeeRate"], mine(charged.bob, "ETH-USD")["makerFeeRate"]) == ("0", "0")


def test_volume_is_counted_once_in_the_reference_asset(charged: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In steps of one trade. ETH-BTC is worth what BTC was then, BTC-EUR what its BTC was, and XYZ-ABC nothing."""
    world = charged
    for symbol in ("ETH-BTC", "BTC-EUR", "XYZ-ABC"):
        base, quote = symbol.split("-")
        create_market(symbol=symbol, base=base, quote=quote, tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
    fund(world.alice.user, BTC="5", EUR="1000", ABC="1000")
    fund(world.bob.user, ETH="5", XYZ="5")
    monkeypatch.setattr(volumes, "STEP", 1)

    def trade(symbol: str, line: str) -> None:
        for who, side in ((world.bob, "sell"), (world.alice, "buy")):
            assert who.call("POST", "/orders", parse(f"{side} {line}").body(symbol)).status_code == 202
        drain(symbol)

    trade("BTC-USD", "1 @ 100")
    trade("ETH-BTC", "2 @ 0.5")
    trade("BTC-EUR", "0.5 @ 90")
    trade("XYZ-ABC", "1 @ 7")
    trade("BTC-USD", "1 @ 300")
    count()
    # 100 + 2 x 0.5 x 100 + 0.5 x 100 + 300.
    assert (volume(world.alice), volume(world.bob)) == (Decimal(550), Decimal(550))
    trade("ETH-BTC", "1 @ 0.5")
    count()
    count()
    assert volume(world.alice) == Decimal(700)


def test_a_trade_with_oneself_is_no_volume(charged: World) -> None:
    fund(charged.alice.user, BTC="5")
    charged.play(charged.alice, "sell 1 @ 100")
    charged.play(charged.alice, "buy 1 @ 100 none")
    count()
    assert not FeeStanding.objects.exists()


def test_days_go_by(charged: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 30 days the volume and its rows are gone; what is older is not even counted."""
    swap(charged, "6 @ 100")
    count()
    assert mine(charged.alice)["tier"] == 1
    today = volumes.today()
    monkeypatch.setattr(volumes, "today", lambda: today + 29)
    count()
    assert mine(charged.alice)["tier"] == 1
    monkeypatch.setattr(volumes, "today", lambda: today + 30)
    count()
    assert mine(charged.alice)["tier"] is None
    assert not FeeStanding.objects.exists()
    assert not TradedVolume.objects.exists()


def test_trades_of_before_the_window_are_passed_over(charged: World) -> None:
    swap(charged, "6 @ 100")
    made = Trade.objects.get().created_at
    Trade.objects.update(created_at=made - timedelta(days=31))
    swap(charged, "1 @ 100")
    count()
    assert volume(charged.alice) == Decimal(100)
    Trade.objects.filter(created_at__lt=made).update(created_at=made)


def test_without_tiers_nobody_counts_and_intake_asks_nothing(world: World) -> None:
    swap(world, "1 @ 100")
    count()
    assert not TradedVolume.objects.exists()
    market = Market.objects.get()
    fees.known_tiers()
    with CaptureQueriesContext(connection) as queries:
        assert fees.rates_of(world.alice.user.id, market) == (0, 0)
    assert not queries.captured_queries


def test_intake_asks_for_a_users_tier_once_in_a_while(charged: World) -> None:
    market = Market.objects.get()
    fees.rates_of(charged.alice.user.id, market)
    with CaptureQueriesContext(connection) as queries:
        fees.rates_of(charged.alice.user.id, market)
    assert not queries.captured_queries


def test_beats_task_counts(charged: World) -> None:
    swap(charged, "6 @ 100")
    count_volumes()
    assert mine(charged.alice)["tier"] == 1


@pytest.mark.django_db(transaction=True)
def test_two_who_count_at_once_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it may be where Redis lost the lock: the second one waits for the row, and reads what comes after it."""
    world = World.make()
    FeeTier.objects.create(level=1, volume=Decimal(5), maker_fee_rate=Decimal(0), taker_fee_rate=Decimal(0))
    swap(world, "1 @ 100")
    VolumeCursor.objects.create(market=world.market)
    both, read = threading.Barrier(2), volumes._trades_after

    def read_together(*args: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return read(*args)

    def act(_: int) -> IntegrityError | None:
        try:
            count()
        except IntegrityError as error:
            return error
        finally:
            connection.close()
        return None

    monkeypatch.setattr(volumes, "_trades_after", read_together)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(act, range(2))) == [None, None], "both have made the same user's day"
    assert (volume(world.alice), volume(world.bob)) == (Decimal(100), Decimal(100))


TIER = {"level": "1", "volume": "1000", "group": "", "maker_fee_rate": "-0.0001", "taker_fee_rate": "0.001"}


def test_staff_change_tiers_and_rows_are_kept(world: World, operator: Client) -> None:
    fees.known_tiers()
    added = operator.post(reverse("admin:markets_feetier_add"), {**TIER, "reason": "spring"})
    assert added.status_code == 302, added.context["adminform"].form.errors
    tier = FeeTier.objects.get()
    assert [known.level for known in fees.known_tiers()] == [1]
    assert "-0.0001" in operator.get(reverse("admin:markets_feetier_changelist")).content.decode()
    page = reverse("admin:markets_feetier_change", args=[tier.pk])
    assert 'value="1000"' in operator.get(page).content.decode()
    assert operator.post(page, {**TIER, "taker_fee_rate": "0.002"}).status_code == 302
    assert operator.post(reverse("admin:markets_feetier_delete", args=[tier.pk]), {"post": "yes"}).status_code == 302
    acts = StaffAct.objects.filter(subject="fee tier 1").order_by("id")
    assert [(act.kind, act.reason) for act in acts] == [
        ("FEE_TIER_ADDED", "spring"),
        ("FEE_TIER_CHANGED", "by a form of the admin"),
        ("FEE_TIER_REMOVED", "by a form of the admin"),
    ]
    assert (acts[1].before["takerFeeRate"], acts[1].after["takerFeeRate"], acts[2].after) == ("0.001", "0.002", None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("level", "0"),
        ("level", "1"),
        ("volume", ""),
        ("volume", "0"),
        ("volume", "400"),
        ("maker_fee_rate", "-1"),
        ("taker_fee_rate", "-0.1"),
        ("taker_fee_rate", "1"),
        ("taker_fee_rate", "0.000000001"),
        ("group", "77"),
    ],
)
def test_tiers_that_are_none(charged: World, operator: Client, field: str, value: str) -> None:
    response = operator.post(
        reverse("admin:markets_feetier_add"), {**TIER, "level": "4", "volume": "30000", field: value}
    )
    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    assert FeeTier.objects.count() == 3
