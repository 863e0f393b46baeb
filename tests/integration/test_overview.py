"""The admin's first page: what it tells, to whom, and at what cost."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditRun
from base.storage.time_limit import TimeLimit
from commands.models import Command
from marketdata.candles import opens_at
from markets.models import Candle, Market
from markets.services import create_market
from matching.models import DeadLetter
from matching.worker.heartbeat import Heartbeat
from operations import overview
from operations.overview import Line, age, bars, read_overview
from tests.support.world import World, allow

EVERYTHING = (
    "markets.view_market",
    "commands.view_command",
    "matching.view_workerheartbeat",
    "markets.view_trade",
    "matching.view_deadletter",
    "audit.view_auditrun",
    "orders.view_order",
)


@pytest.fixture
def traded(world: World) -> World:
    """A trade at 100, an ask and a bid that rest, and a worker."""
    world.play(world.bob, "sell 2 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    world.play(world.alice, "buy 1 @ 90")
    Heartbeat("matcher@host", serves_all=True, symbols=()).refresh()
    return world


@pytest.fixture
def letter(world: World) -> DeadLetter:
    return DeadLetter.objects.create(
        market=world.market, kind="HALT", error="x", traceback="x", attempts=4, created_at=timezone.now()
    )


def read(*permissions: str) -> overview.Overview:
    return read_overview((permissions or EVERYTHING).__contains__)


def line(found: overview.Overview, symbol: str = "BTC-USD") -> Line:
    assert found.lines is not None
    return next(line for line in found.lines if line.symbol == symbol)


def test_a_market_that_is_well(traded):
    btc = line(read())
    assert (btc.bid, btc.ask, btc.last, btc.last_hour) == ("90", "100", "100", 1)
    assert (btc.waiting.text, btc.workers.text, btc.workers.is_alarming) == ("0", "1", False)


def test_a_market_that_is_late_and_not_served(world):
    world.place(world.alice, "buy 1 @ 90")
    Command.objects.update(created_at=timezone.now() - timedelta(minutes=3))
    found = read()
    btc = line(found)
    assert (btc.waiting.text, btc.waiting.note, btc.waiting.is_alarming) == ("1", "oldest 3 min", True)
    assert (btc.workers.text, btc.workers.is_alarming, found.workers.is_alarming) == ("0", True, True)
    assert (found.waiting.text, btc.bid, btc.last) == ("1", None, None)


def test_markets_that_do_not_trade_come_first_and_need_no_worker(world):
    create_market(symbol="AAA-USD", base="BTC", quote="USD", tick_size=Decimal(1), lot_size=Decimal(1))
    world.switch("HALTED")
    found = read()
    assert [row.symbol for row in found.lines] == ["BTC-USD", "AAA-USD"]
    assert (line(found).workers.is_alarming, line(found, "AAA-USD").workers.is_alarming) == (False, True)


def test_markets_that_trade_are_told_where_there_are_too_many(traded, monkeypatch):
    """And what the others traded is not said to be nothing."""
    monkeypatch.setattr(overview, "MOST_MARKETS", 1)
    halted = create_market(symbol="AAA-USD", base="BTC", quote="USD", tick_size=Decimal(1), lot_size=Decimal(1))
    Market.objects.filter(pk=halted.pk).update(status="HALTED")
    found = read()
    assert ([row.symbol for row in found.lines], found.has_more_markets) == (["BTC-USD"], True)
    assert found.trades.text in {"0+", "1+"}
    assert found.trades.note == "1+ in the last hour"


@pytest.mark.parametrize("markets", ["not allowed", "not read"])
def test_without_the_markets_no_trades_are_told(traded, markets, monkeypatch):
    def away(*_: object) -> None:
        raise OperationalError("gone")

    assert read().trades.note == "1 in the last hour"
    with monkeypatch.context() as patches:
        if markets == "not read":
            patches.setattr(overview, "listed_markets", away)
        found = read(*(name for name in EVERYTHING if markets == "not read" or name != "markets.view_market"))
    assert (found.lines, found.trades) == (None, None)


def test_what_is_counted_is_counted_no_further_than_somebody_would_look(traded, letter, monkeypatch):
    for name in ("MOST_WAITING", "MOST_MARKETS", "NEWEST_ORDERS"):
        monkeypatch.setattr(overview, name, 1)
    monkeypatch.setattr(overview, "MOST_LETTERS", 0)
    create_market(symbol="ZZZ-USD", base="BTC", quote="USD", tick_size=Decimal(1), lot_size=Decimal(1))
    traded.place(traded.alice, "buy 1 @ 91")
    traded.place(traded.alice, "buy 1 @ 92")
    found = read()
    assert (found.waiting.text, found.dead_letters.text) == ("1+", "0+")
    assert ([row.symbol for row in found.lines], found.has_more_markets) == (["BTC-USD"], True)
    assert found.statuses == [("PENDING", 1)]
    traded.match()


def test_trades_of_the_last_whole_minute_and_of_the_hour(world):
    now = opens_at(timezone.now(), 60)
    price = dict.fromkeys(("open", "high", "low", "close", "volume", "quote_volume"), Decimal(1))
    for minutes_ago, trades in ((0, 7), (1, 5), (2, 3), (59, 2), (61, 100)):
        opened = now - timedelta(minutes=minutes_ago)
        Candle.objects.create(market=world.market, interval=60, opens_at=opened, trades=trades, **price)
    btc = line(read())
    Candle.objects.all().delete()
    # The minute may have turned meanwhile.
    assert (btc.last_minute, btc.last_hour) in {(5, 17), (7, 15)}
    assert btc.picture.count("M") in {3, 4}


def test_the_last_audit(world):
    assert read().audit.text == "never"
    run = AuditRun.objects.create(mode="QUICK", started_at=timezone.now(), seconds=1, outcome=1, found=3)
    found = read()
    assert (found.audit.text, found.audit.note, found.audit.is_alarming, found.audit_id) == (
        "3 findings",
        "quick, 0 s ago",
        True,
        run.pk,
    )
    AuditRun.objects.create(mode="FULL", started_at=timezone.now(), seconds=1, outcome=2)
    assert (read().audit.text, read().audit.is_alarming) == ("could not run", True)


@pytest.mark.parametrize("permission", EVERYTHING)
def test_each_figure_takes_its_permission(traded, letter, permission):
    """With all but one nothing of that one is read; trades are told by market, and so take both."""
    shown = {
        "markets.view_market": lambda found: found.lines,
        "commands.view_command": lambda found: found.waiting,
        "matching.view_workerheartbeat": lambda found: found.workers,
        "markets.view_trade": lambda found: found.trades,
        "matching.view_deadletter": lambda found: found.dead_letters,
        "audit.view_auditrun": lambda found: found.audit,
        "orders.view_order": lambda found: found.statuses,
    }
    found = read(*(other for other in EVERYTHING if other != permission))
    missing = {permission} | ({"markets.view_trade"} if permission == "markets.view_market" else set())
    assert {name for name, figure in shown.items() if figure(found) is None} == missing


def test_the_page_shows_what_its_reader_may_see(traded, letter, operator):
    page = operator.get("/admin/").content.decode()
    for told in ("BTC-USD", "dead letters", "last audit", "?resolution__isempty=1", 'class="picture'):
        assert told in page, told
    client, clerk = Client(), traded.clerk()
    client.force_login(clerk.user)
    page = client.get("/admin/").content.decode()
    for hidden in ("BTC-USD", "dead letters", "last audit", 'class="picture'):
        assert hidden not in page, hidden
    allow(clerk, "markets.view_market")
    page = client.get("/admin/").content.decode()
    assert "BTC-USD" in page
    assert "Workers" not in page


def test_the_fragment_is_for_staff(traded, operator):
    fragment = operator.get(reverse("overview"))
    assert "BTC-USD" in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    assert "no-store" in fragment["Cache-Control"]
    client = Client()
    for signed_in in (False, True):
        if signed_in:
            client.force_login(traded.alice.user)
        assert client.get(reverse("overview")).status_code == 302
    assert operator.post(reverse("overview")).status_code == 405


def test_nothing_on_the_page_is_inline_or_from_elsewhere(traded, operator):
    """A strict content security policy would leave the page as it is."""
    fragment = operator.get(reverse("overview")).content.decode()
    assert not any(mark in fragment for mark in ("<script", "style=", "onclick", "http"))
    index = operator.get("/admin/").content.decode()
    assert 'src="/static/operations/overview.js"' in index


def test_links_elsewhere_are_shown_where_they_are_set(world, operator):
    assert "Grafana" not in operator.get("/admin/").content.decode()
    with override_settings(GRAFANA_URL="https://watch.example.com/d/1"):
        page = operator.get("/admin/").content.decode()
    assert 'href="https://watch.example.com/d/1"' in page
    assert "Flower" not in page


def test_it_costs_the_same_however_many_markets_there_are(traded, letter, operator, django_assert_num_queries):
    def markets(number: int) -> None:
        while (there := Market.objects.count()) < number:
            create_market(
                symbol=f"A{there}-USD", base="BTC", quote="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.01")
            )

    # Two to sign in, fifteen for the figures, and two to set the time that they may take.
    queries = 17 if connection.vendor == "sqlite" else 19
    for number in (2, 20):
        markets(number)
        with django_assert_num_queries(queries):
            operator.get(reverse("overview"))


def test_without_a_figure_the_page_comes_all_the_same(traded, operator, monkeypatch):
    def away(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(overview, "read_bests", away)
    monkeypatch.setattr(overview, "live_workers", away)
    response = operator.get("/admin/")
    page = response.content.decode()
    assert response.status_code == 200
    assert "figures are missing" in page
    assert "BTC-USD" in page


def test_without_redis_it_is_the_same(traded, operator):
    location = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
    with override_settings(REDIS_URL="redis://127.0.0.1:1", CACHES=location):
        assert "BTC-USD" in operator.get("/admin/").content.decode()


def test_the_time_limit_ends(db):
    with TimeLimit(each=1, total=0) as time_limit:
        assert time_limit.read(Market.objects.count) is None
        assert time_limit.was_exceeded


COUNTING = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT MAX(i) FROM n"


@pytest.mark.dialect
def test_a_read_that_takes_too_long_is_broken_off_and_the_next_session_has_time(db):
    def read(sql: str) -> object:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()

    columns = "information_schema.columns"
    slow = f"SELECT COUNT(*) FROM {columns} a, {columns} b, {columns} c WHERE a.column_name <> b.column_name"
    if connection.vendor == "sqlite":
        slow = COUNTING.format(10**9)
    began = time.monotonic()
    with TimeLimit(each=0.1, total=5) as limit:
        assert limit.read(lambda: read(slow)) is None
        assert time.monotonic() - began < 2
        assert limit.read(Market.objects.count) == 0
    if connection.vendor == "sqlite":
        assert read(COUNTING.format(1_000_000)) == (1_000_000,)
        return
    variable = "max_statement_time" if connection.mysql_is_mariadb else "max_execution_time"
    assert read(f"SELECT @@SESSION.{variable}") == (0,)


def test_a_picture_of_numbers():
    assert bars([]) == bars([0, 0]) == ""
    assert bars([1, 0, 1000]) == "M0 24v-1h32v1zM80 24v-24h32v24z"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (59, "59 s"), (61, "1 min"), (7_300, "2 h"), (900_000, "10 d")]
)
def test_ages(seconds, text):
    assert age(seconds) == text
