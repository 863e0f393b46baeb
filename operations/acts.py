"""What staff did last: to a user or a market on its page in the admin, and to anything on the first page."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from markets.models import Market
from users.models import StaffAct, User

VIEW_PERMISSION = "users.view_staffact"
MOST_SHOWN = 6


def newest_acts(most: int) -> list[StaffAct]:
    return _newest(StaffAct.objects.all(), most)


def acts_on_user(request: HttpRequest, user: User) -> SafeString | str:
    return _block(request, StaffAct.objects.filter(user=user), user.pk)


def acts_on_market(request: HttpRequest, market: Market) -> SafeString | str:
    return _block(request, StaffAct.objects.filter(subject=market.symbol), market.symbol)


def _block(request: HttpRequest, acts: QuerySet[StaffAct], word: Any) -> SafeString | str:
    """For who may see acts; the link finds all of them."""
    if not request.user.has_perm(VIEW_PERMISSION):
        return ""
    listed = f"{reverse('admin:users_staffact_changelist')}?q={word}"
    return render_to_string("admin/acts.html", {"acts": _newest(acts, MOST_SHOWN), "listed": listed})


def _newest(acts: QuerySet[StaffAct], most: int) -> list[StaffAct]:
    return list(acts.select_related("user", "operator").order_by("-id")[:most])
