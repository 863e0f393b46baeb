"""A class under attack: what students, a second teacher or an operator do at the wrong moment, and the money of it."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from base.web.keys.scopes import Scope
from classroom import beginning, rounds
from classroom.exporting import export_round
from classroom.models import NEWS_LENGTH, News, Round, RoundState, Seat
from classroom.news import MOST_NEWS, publish
from classroom.rounds import RoundRefused
from core.money import MAX_AMOUNT
from core.types import MarketStatus
from markets.services import change_market, read_market
from orders.models import Order
from page.pages import POLICY
from tests.support.rounds import SYMBOL, TEXT, Class, forget, scenario
from tests.support.world import fund, person
from tools.classroom.plan import Person
from tools.classroom.seed import _admitted
from users.api_keys import KeyTerms, keys_of, make_key
from users.models import User

pytestmark = [pytest.mark.django_db]


@pytest.fixture
def course(monkeypatch: pytest.MonkeyPatch) -> Class:
    made = Class.make()
    monkeypatch.setattr(rounds, "sleep", lambda _seconds: made.match())
    return made


def test_what_a_team_does_not_begin_with_counts_and_does_not_outlive_the_round(course: Class) -> None:
    course.plan = scenario(TEXT.replace("USD: 20000, ACME: 0", "USD: 20000"))
    course.begin()
    course.play(course.ann, "sell 10 @ 100")
    course.play(course.ben, "buy 10 @ 100")
    assert course.standing()["ben"] == Decimal(-1), "ten shares at the last price, less the fee"
    beginning.reset_round(course.actor)
    course.match()
    assert (course.ben.holds("ACME"), course.ben.holds("USD")) == ("0 0", "20000 0")


def test_a_round_whose_market_was_delisted_can_be_ended(course: Class) -> None:
    round_ = course.begin()
    course.play(course.ann, "sell 10 @ 100")
    change_market(read_market(SYMBOL), course.actor, status=MarketStatus.DELISTED)
    course.match()
    assert rounds.end_round(course.actor).pk == round_.pk
    assert Round.objects.get().state == RoundState.CLOSED
    with pytest.raises(RoundRefused, match="delisted"):
        beginning.reset_round(course.actor)


def test_a_price_that_nobody_could_pay_for_all_does_not_keep_a_round_open(course: Class) -> None:
    """The last trade marks all that somebody owns, and one of a lot costs little."""
    rich = TEXT.replace(" price_band: 0.1,", "").replace("{USD: 10000,", "{USD: 90000000,")
    course.plan = scenario(rich.replace("ACME: 500", "ACME: 9000"))
    course.begin()
    for quantity, price in (("5000", "1"), ("1", "50000000")):
        course.play(course.maker, f"sell {quantity} @ {price}")
        course.play(course.ann, f"buy {quantity} @ {price}")
    assert course.end().state == RoundState.CLOSED
    assert Seat.objects.get(name="ann").profit == MAX_AMOUNT


def test_who_was_deactivated_keeps_nobody_from_a_round(course: Class) -> None:
    User.objects.filter(pk=course.ben.user.pk).update(is_active=False)
    course.begin()
    assert set(course.standing()) == {"ann"}


def test_a_button_of_a_page_of_before_does_nothing(course: Class) -> None:
    """Two teachers press at once, or one presses twice: the second would throw away the round that has just begun."""
    first = course.begin()
    client = Client()
    client.force_login(course.teacher.user)
    page = client.get("/admin/class/").content.decode()
    assert page.count(f'<input type="hidden" name="round" value="{first.pk}">') == page.count('<form method="post"')
    for said in ("has begun", "another round than the page"):
        answer = client.post("/admin/class/", {"do": "reset", "round": first.pk}, follow=True)
        assert said in answer.content.decode()
        course.match()
    assert Round.objects.filter(is_open=True).count() == 1
    assert Round.objects.count() == 2


def test_of_two_resets_at_once_the_second_leaves_the_new_round_alone(
    course: Class, monkeypatch: pytest.MonkeyPatch
) -> None:
    course.begin()
    course.play(course.ann, "sell 1 @ 100")

    def meanwhile(_seconds: float) -> None:
        """While the second one waits for the engine, the first one's round begins, and Ann trades in it."""
        monkeypatch.setattr(rounds, "sleep", lambda _seconds: course.match())
        beginning.reset_round(course.actor)
        course.match()
        course.play(course.ann, "sell 1 @ 101")

    monkeypatch.setattr(rounds, "sleep", meanwhile)
    with pytest.raises(RoundRefused, match="open already"):
        beginning.reset_round(course.actor)
    course.match()
    assert [each.status for each in Order.objects.order_by("id")] == ["CANCELLED", "OPEN"]


def test_the_teachers_own_news_leave_room_for_those_of_the_scenario(course: Class) -> None:
    round_ = course.begin()
    News.objects.bulk_create(
        News(round=round_, text="x" * NEWS_LENGTH, at_seconds=1, published_at=round_.started_at)
        for _ in range(MOST_NEWS)
    )
    with pytest.raises(RoundRefused, match="at most"):
        publish(round_, "one more")
    assert publish(round_, "of the scenario", {}, 1) is not None


def test_news_are_no_formula_in_the_rounds_file(course: Class) -> None:
    round_ = course.begin()
    publish(round_, '=HYPERLINK("http://192.0.2.1/","ACME")')
    assert b",\"'=HYPERLINK(" in export_round(course.end()).members["news.csv"]


def test_who_took_a_name_of_the_next_class_does_not_keep_its_account() -> None:
    """The name of a later seat is free, and can be guessed: whoever took it would trade with that seat's money."""
    thief = person("student-31")
    make_key(thief.user.pk, thief.user.stamp, KeyTerms("mine", [Scope.READ, Scope.TRADE]))
    seat = Person("student-31", "olive-river-stone-42", "red", {})
    assert _admitted(seat, is_known=False, number=1, count=1).user_id == thief.user.pk
    assert not keys_of(thief.user.pk).exists()
    assert User.objects.get(pk=thief.user.pk).stamp != thief.user.stamp


def test_only_a_demo_tells_a_password(settings: Any) -> None:
    """Neither an exchange that trades nor a class, whose accounts have passwords of their own."""
    pages = ("/", "/account", "/leaderboard", "/swagger-ui.html")
    for demo, classroom, known in (
        (True, False, True),
        (True, True, False),
        (False, False, False),
        (False, True, False),
    ):
        settings.DEMO, settings.CLASSROOM = demo, classroom
        forget()
        found = [b"exchange-demo" in Client().get(page, secure=True).content for page in pages]
        assert found == [known] * len(pages), (demo, classroom)


def test_the_leaderboard_is_written_once_a_second_whoever_loads_it(
    course: Class, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_ = course.begin()
    forget()
    first = Client().get("/leaderboard")
    publish(round_, "later")
    monkeypatch.setattr("classroom.pages.answer", None)
    with django_assert_num_queries(0):
        again = Client().get("/leaderboard")
    assert again.content == first.content
    assert again["Content-Security-Policy"] == first["Content-Security-Policy"] == POLICY


def test_nobody_is_given_play_money_on_an_exchange_that_trades(course: Class, settings: Any) -> None:
    """The permission to run rounds is none to move money."""
    course.begin()
    settings.DEMO = False
    fund(course.ann.user, USD="1")
    with pytest.raises(RoundRefused, match="play money"):
        beginning.reset_round(course.actor)
    assert course.ann.holds("USD") == "10001 0"
