"""A class as everybody sees it, over REST and on its page."""

import threading
from typing import Any

from cachetools import TTLCache, cached
from django.utils import timezone

from base.web.errors import timestamp
from classroom import answers
from classroom.models import Round
from classroom.news import newest_news
from classroom.rounds import elapsed, latest_round, seconds_left
from classroom.standing import REMEMBERED_SECONDS, Shown, find_standing
from core.money import plain

# Shown on the page; what they say is what `profit` and `standing` do.
RULES = (
    "Profit is what you own now less what you had when the round began, in {currency}.",
    "Every other asset counts at the price of its market's last trade in this round.",
    "Before the first trade it counts at the middle of the best bid and the best ask, else at the price of the start.",
    "What your open orders have reserved is yours and counts; fees are paid and do not.",
    "Who has the same profit has the same rank. The house's bots are not in the list.",
)


def rules_of(currency: str) -> list[str]:
    return [rule.format(currency=currency) for rule in RULES]


@cached(TTLCache[Any, answers.Class](1, REMEMBERED_SECONDS), condition=threading.Condition())
def find_class() -> answers.Class:
    """The same as it was within the last second, for all who look at it."""
    return represent_class()


def represent_class() -> answers.Class:
    """The round that is open, else the last one."""
    found = latest_round()
    if found is None:
        return {"round": None, "standing": [], "marks": [], "news": [], "students": 0}
    shown: Shown = find_standing(found)
    news = newest_news(found)
    return {
        "round": _represent_round(found),
        "standing": [
            {"rank": each.rank, "name": each.name, "team": each.team, "profit": plain(each.profit)}
            for each in shown.lines
        ],
        "marks": [
            {"symbol": each.symbol, "asset": each.asset, "price": plain(each.price), "source": each.source}
            for each in shown.marks
        ],
        "news": [{"text": each.text, "publishedAt": timestamp(each.published_at)} for each in news],
        "students": len(shown.lines),
    }


def _represent_round(found: Round) -> answers.Round:
    now = timezone.now()
    left = seconds_left(found, now)
    return {
        "round": found.pk,
        "title": found.title,
        "about": str(found.plan.get("about", "")),
        "state": found.state,
        "currency": found.currency_id,
        "startedAt": timestamp(found.started_at),
        "endedAt": timestamp(found.ended_at) if found.ended_at else None,
        "secondsTraded": round(elapsed(found, now), 1),
        "secondsLeft": round(left, 1) if left != float("inf") else None,
    }
