"""Rounds of a class: money, trading status, the leaderboard, and a file of each that is played again."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from balances.models import Transfer
from classroom import beginning, rounds
from classroom.exporting import export_round
from classroom.history.archive import read_archive, write_archive
from classroom.history.replay import replay
from classroom.models import News, Round, RoundState, Seat
from classroom.news import publish
from classroom.rounds import RoundRefused
from core.types import MarketStatus
from markets.models import Market
from markets.services import create_market, known_market
from matching.drain import drain
from orders.models import Order
from tests.support.rounds import SYMBOL, Class
from tests.support.tape import parse
from tests.support.world import allow, fund, person
from users.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def course(monkeypatch: pytest.MonkeyPatch) -> Class:
    """Whoever waits for the engine waits for the worker of this process, and for nobody else."""
    made = Class.make()
    monkeypatch.setattr(rounds, "sleep", lambda _seconds: made.match())
    return made


def test_everybody_begins_with_the_same_money(course: Class) -> None:
    beginning.list_markets(course.plan, course.actor)
    fund(course.ann.user, USD="77", ACME="103")
    course.begin()
    assert (course.ann.holds("USD"), course.ann.holds("ACME")) == ("10000 0", "100 0")
    assert course.ben.holds("USD") == "20000 0"
    assert course.play(course.ann, "sell 1 @ 100").status_code == 202
    assert set(course.standing()) == {"ann", "ben"}, "bots are not ranked"


@pytest.mark.dialect
def test_profit_is_marked_at_the_last_trade_and_fees_are_paid(course: Class) -> None:
    course.begin()
    course.play(course.ann, "sell 10 @ 100")
    course.play(course.ben, "buy 10 @ 100")
    # The taker has paid a thousandth of 1,000.
    assert course.standing() == {"ann": Decimal(0), "ben": Decimal(-1)}
    course.play(course.maker, "sell 1 @ 105")
    course.play(course.ann, "buy 1 @ 105")
    # Ann has sold nine at 100 that are worth 105 now, and paid the fee of one at 105.
    assert course.standing() == {"ann": Decimal("-50.105"), "ben": Decimal(49)}
    course.play(course.ben, "sell 5 @ 107")
    assert course.standing()["ben"] == Decimal(49), "what is reserved is still owned"


@pytest.mark.dialect
def test_a_reset_keeps_the_history_and_begins_anew(course: Class) -> None:
    first = course.begin()
    User.objects.filter(pk=course.maker.user.pk).update(is_active=False)
    course.play(course.ann, "sell 10 @ 100")
    course.play(course.ben, "buy 4 @ 100")
    course.play(course.ben, "buy 1 @ 90")
    second = beginning.reset_round(course.actor)
    course.match()
    first.refresh_from_db()
    assert (first.state, first.is_open, second.is_open, second.seed) == (RoundState.CLOSED, None, True, 7)
    assert Seat.objects.get(round=first, name="ben").profit == Decimal("-0.4")
    assert [order.status for order in Order.objects.order_by("id")] == ["CANCELLED", "FILLED", "CANCELLED"]
    assert (course.ann.holds("USD"), course.ben.holds("ACME")) == ("10000 0", "0 0")
    assert set(course.standing().values()) == {Decimal(0)}
    given = dict(Transfer.objects.filter(user=course.ben.user).values_list("reference", "amount"))
    ben = course.ben.user.pk
    assert (given[f"round-2-{ben}-ACME"], given[f"round-2-{ben}-USD"]) == (-4, Decimal("400.4"))
    assert course.play(course.ann, "sell 1 @ 100").status_code == 202
    assert not Seat.objects.filter(round=second, name="bot-maker-1").exists(), "who was deactivated has no seat"


def test_a_pause_keeps_orders_and_stops_the_clock(course: Class) -> None:
    round_ = course.begin()
    course.play(course.ann, "sell 1 @ 100")
    rounds.pause(course.actor)
    course.match()
    assert course.play(course.ben, "buy 1 @ 100").body["error"] == "MARKET_NOT_TRADING"
    round_.refresh_from_db()
    now = timezone.now()
    assert rounds.elapsed(round_, now) == rounds.elapsed(round_, now + timezone.timedelta(hours=1))
    rounds.resume(course.actor)
    course.match()
    course.play(course.ben, "buy 1 @ 100")
    assert Order.objects.filter(status="FILLED").count() == 2
    for refused in (rounds.resume, rounds.pause, rounds.pause):
        refused(course.actor)
    with pytest.raises(RoundRefused, match="open already"):
        beginning.begin_round(course.plan, course.places, course.actor, 7)


def test_no_round_begins_or_ends_while_orders_are_open(course: Class) -> None:
    round_ = course.begin()
    course.play(course.ann, "sell 1 @ 100")
    rounds.close_round(course.actor)
    with pytest.raises(RoundRefused, match="still being cancelled"):
        rounds.finish_round(round_)
    course.match()
    assert rounds.finish_round(round_).state == RoundState.CLOSED
    assert rounds.finish_round(round_).state == RoundState.CLOSED
    with pytest.raises(RoundRefused, match="no round is open"):
        rounds.close_round(course.actor)
    # Accepted by a process that has not noticed the halt.
    Market.objects.update(status=MarketStatus.TRADING)
    known_market.cache_clear()
    course.ann.call("POST", "/orders", parse("sell 1 @ 100").body(SYMBOL))
    with pytest.raises(RoundRefused, match="still open"):
        beginning.begin_round(course.plan, course.places, course.actor, 7)
    course.match()
    beginning.begin_round(course.plan, course.places, course.actor, 7)
    assert Order.objects.latest("id").reason == "MARKET_HALTED"


def test_a_round_is_exported_and_played_again(course: Class, tmp_path: Path) -> None:
    course.begin()
    course.play(course.ann, "sell 3 @ 100")
    course.end()
    round_ = beginning.begin_round(course.plan, course.places, course.actor, 7)
    course.match()
    for who, line in (
        (course.ann, "sell 10 @ 100 show 2"),
        (course.ben, "buy 4 @ 101"),
        (course.ben, "buy 3 @ 99 post-only"),
        (course.ben, "sell 2 @ market stop 99"),
        (course.maker, "sell 5 @ 99"),
        (course.ann, "buy market 200 quote"),
        (course.ben, "buy 1 @ 50 fok"),
    ):
        course.play(who, line)
    rounds.pause(course.actor)
    rounds.resume(course.actor)
    course.match()
    with pytest.raises(RoundRefused, match="closed"):
        export_round(round_)
    closed = course.end()
    path = tmp_path / "round.zip"
    write_archive(path, export_round(closed))
    archive = read_archive(path)
    [verdict] = replay(archive)
    assert verdict.is_same, verdict
    assert verdict.market.trades >= 3
    assert verdict.market.first_sequence > 1
    assert set(archive.members) == {
        *("scenario.json", "people.csv", "standing.csv", "news.csv"),
        *(f"{SYMBOL}/{name}" for name in ("commands.jsonl", "orders.csv", "events.csv", "trades.csv")),
    }


def test_news_are_published_once_each_and_shown_to_everybody(course: Class) -> None:
    round_ = course.begin()
    item = course.plan.news[0]
    assert publish(round_, item.text, item.move, 1) is not None
    assert publish(round_, item.text, item.move, 1) is None
    publish(round_, "<b>bold</b> & true")
    shown = course.ann.get("/class")
    assert [each["text"] for each in shown["news"]] == ["<b>bold</b> & true", "ACME wins an order."]
    page = Client().get("/leaderboard").content.decode()
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; true" in page
    assert "Profit is what you own now" in page
    assert News.objects.get(place=1).moves == {SYMBOL: "0.1"}
    for bad in ("", " ", "x" * 301, "a\x00b"):
        with pytest.raises(RoundRefused):
            publish(round_, bad)


def test_without_a_round_the_page_says_so(course: Class) -> None:
    assert course.ann.get("/class")["round"] is None
    assert "No round yet" in Client().get("/leaderboard").content.decode()


def test_who_may_not_run_rounds_sees_and_does_nothing(course: Class) -> None:
    course.begin()
    clerk = person("clerk", is_staff=True)
    client = Client()
    assert client.get("/admin/class/").status_code == 302
    client.force_login(clerk.user)
    for answer in (
        client.get("/admin/class/"),
        client.post("/admin/class/", {"do": "end"}),
        client.get("/admin/class/export/1/"),
    ):
        assert answer.status_code == 403
    allow(clerk, "teachers")
    assert client.get("/admin/class/").status_code == 200
    assert Round.objects.get().state == RoundState.RUNNING


def test_the_teachers_page(course: Class) -> None:
    course.begin()
    course.play(course.ann, "sell 1 @ 100")
    client = Client()
    client.force_login(course.teacher.user)

    def press(do: str, **fields: str) -> str:
        answer = client.post("/admin/class/", {"do": do, "round": Round.objects.latest("id").pk, **fields}, follow=True)
        assert answer.status_code == 200
        course.match()
        return answer.content.decode()

    assert "is paused" in press("pause")
    assert "goes on" in press("resume")
    assert "trade at 40 %" in press("strength", strength="40")
    for bad in ("301", "-1", "x", "9" * 50, "\u0661"):
        assert 'class="said error"' in press("strength", strength=bad)
    assert "Published" in press("news", text="something new")
    assert 'class="said error"' in press("explode")
    assert Round.objects.get().strength == 40
    assert "has begun" in press("reset")
    assert "has ended" in press("end")
    exported = client.get(f"/admin/class/export/{Round.objects.earliest('id').pk}/")
    assert (exported.status_code, exported["Content-Type"]) == (200, "application/zip")
    assert client.get("/admin/class/export/99/").status_code == 404
    assert "form-action 'self'" in client.get("/admin/class/")["Content-Security-Policy"]
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(course.teacher.user)
    assert forged.post("/admin/class/", {"do": "reset"}).status_code == 403


def test_the_command_does_the_same(course: Class, tmp_path: Path, capsys: Any) -> None:
    course.begin()
    for words, said in (
        (("pause",), "paused"),
        (("resume",), "running"),
        (("strength", "150"), "150 %"),
        (("news", "hear"), "published"),
        (("standing",), "ann"),
        (("reset",), "round 2 is running"),
        (("end",), "round 2 is closed"),
        (("export", "--to", str(tmp_path)), "round-2.zip"),
        (("export", "--round", "1", "--to", str(tmp_path)), "round-1.zip"),
    ):
        call_command("classroom", *words)
        course.match()
        assert said in capsys.readouterr().out, words
    for words, said in ((("pause",), "no round is open"), (("export", "--round", "7"), "no such round")):
        with pytest.raises(CommandError, match=said):
            call_command("classroom", *words)


def test_a_round_that_cannot_begin_gives_nobody_anything(course: Class) -> None:
    """Ben's dollars are reserved in a market that is not of the round, so they cannot be withdrawn."""
    course.begin()
    course.end()
    other = create_market(symbol="X-USD", base="X", quote="USD", tick_size=Decimal(1), lot_size=Decimal(1))
    course.ben.call("POST", "/orders", parse("buy 1 @ 19000").body(other.symbol))
    fund(course.ann.user, USD="5")
    poorer = [replace(each, money={"USD": Decimal(100), "ACME": Decimal(0)}) for each in course.places]
    with pytest.raises(RoundRefused, match="ben cannot be given 100 USD: 19900 USD needed"):
        beginning.begin_round(course.plan, poorer, course.actor, 7)
    assert course.ann.holds("USD") == "10005 0"
    assert rounds.open_round() is None
    drain(other.symbol)
