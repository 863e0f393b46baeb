"""The leaderboard, and the teacher's page below /admin/."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from cachetools import TTLCache, cached
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from base.web.errors import ExchangeError
from base.web.values import parse_id
from classroom import beginning, rounds
from classroom.exporting import export_round, file_name
from classroom.history.archive import packed
from classroom.models import MOST_STRENGTH, NEWS_LENGTH, Round
from classroom.news import publish
from classroom.representation import find_class, represent_class, rules_of
from classroom.rounds import RoundRefused
from classroom.standing import REMEMBERED_SECONDS
from page.pages import POLICY, answer
from users.acts import Actor, actor_of

POWER = "classroom.run_round"
PATH = "/admin/class/"
# A page with forms of its own sends them to this server.
FORMS_POLICY = POLICY.replace("form-action 'none'", "form-action 'self'")
SHOWN_ROUNDS = 20
# Longer than any number that is meant.
_DIGITS = 4


@require_safe
def leaderboard(request: HttpRequest) -> HttpResponse:
    """The standing, the news and the rules. It is complete without scripts; one renews it."""
    content, headers = find_leaderboard(request)
    return HttpResponse(content, headers=headers)


@cached(
    TTLCache[Any, tuple[bytes, dict[str, str]]](1, REMEMBERED_SECONDS), lambda _: (), condition=threading.Condition()
)
def find_leaderboard(request: HttpRequest) -> tuple[bytes, dict[str, str]]:
    """The page as it was within the last second, for all who look at it: to write two hundred lines takes as long as
    several orders, and no rate limit counts who loads pages.
    """
    shown = find_class()
    currency = shown["round"]["currency"] if shown["round"] else ""
    context = {"class": shown, "rules": rules_of(currency) if currency else []}
    response = answer(request, "classroom/leaderboard.html", package="classroom", **context)
    return response.content, dict(response.headers)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def teacher(request: HttpRequest) -> HttpResponse:
    """What a teacher sees and does. For staff alone, because the URL is the admin's."""
    if not request.user.has_perm(POWER):
        raise PermissionDenied
    if request.method == "POST":
        return _act(request)
    found = rounds.latest_round()
    context = {
        "class": represent_class(),
        "found": found,
        "most_strength": MOST_STRENGTH,
        "news_length": NEWS_LENGTH,
        "closed": Round.objects.filter(is_open__isnull=True).order_by("-id")[:SHOWN_ROUNDS],
    }
    response = answer(request, "classroom/teacher.html", package="classroom", **context)
    response["Content-Security-Policy"] = FORMS_POLICY
    return response


@never_cache
@require_safe
def download(request: HttpRequest, round_id: str) -> HttpResponse:
    """A round that is closed as a file."""
    if not request.user.has_perm(POWER):
        raise PermissionDenied
    found = Round.objects.filter(pk=parse_id(round_id) or 0).first()
    if found is None:
        raise Http404
    try:
        content = packed(export_round(found))
    except RoundRefused as refusal:
        messages.error(request, str(refusal))
        return redirect(PATH)
    headers = {"Content-Disposition": f'attachment; filename="{file_name(found)}"'}
    return HttpResponse(content, content_type="application/zip", headers=headers)


def _act(request: HttpRequest) -> HttpResponse:
    """One button of the page. What is refused is said in words, and nothing else has changed."""
    do = _BUTTONS.get(request.POST.get("do", ""))
    shown = rounds.latest_round()
    try:
        if do is None:
            raise RoundRefused("there is no such button")
        if request.POST.get("round", "") != ("" if shown is None else str(shown.pk)):
            # It was pressed twice, or by two teachers at once.
            raise RoundRefused("there is another round than the page has shown: look at it first")
        messages.success(request, do(actor_of(request, "on the teacher's page"), request.POST))
    except RoundRefused as refusal:
        messages.error(request, str(refusal))
    except ExchangeError as refusal:
        messages.error(request, refusal.message)
    return redirect(PATH)


def _pause(actor: Actor, _: Mapping[str, Any]) -> str:
    return f"Round {rounds.pause(actor).pk} is paused: nothing trades, and orders stay where they are."


def _resume(actor: Actor, _: Mapping[str, Any]) -> str:
    return f"Round {rounds.resume(actor).pk} goes on."


def _reset(actor: Actor, _: Mapping[str, Any]) -> str:
    return f"Round {beginning.reset_round(actor).pk} has begun, and everybody has the starting money again."


def _end(actor: Actor, _: Mapping[str, Any]) -> str:
    return f"Round {rounds.end_round(actor).pk} has ended."


def _set_strength(_: Actor, form: Mapping[str, Any]) -> str:
    digits = str(form.get("strength", ""))
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS):
        raise RoundRefused("the strength is a whole number of percent")
    return f"The bots trade at {rounds.set_strength(int(digits)).strength} %."


def _publish(_: Actor, form: Mapping[str, Any]) -> str:
    publish(rounds.required_round(), str(form.get("text", "")))
    return "Published."


_BUTTONS: dict[str, Callable[[Actor, Mapping[str, Any]], str]] = {
    "pause": _pause,
    "resume": _resume,
    "reset": _reset,
    "end": _end,
    "strength": _set_strength,
    "news": _publish,
}
