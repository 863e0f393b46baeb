"""The caller's account as a whole, over REST: what it owns and may do, and its end.

It stands here because it shows orders, and because who closes an account must own nothing.
"""

from dataclasses import replace
from typing import Annotated, Any

from django.conf import settings
from django.db.models import Sum
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from balances.answers import Balance
from balances.cache import read_balances
from base.web.answers import answer, body
from base.web.authentication import caller_id
from base.web.errors import AccountNotEmpty, InvalidCredentials, SignInLocked, SignInsBusy
from base.web.forms import Form
from base.web.keys.scopes import OWNER, READ
from base.web.openapi.operations import Call
from base.web.rules import line
from markets.newest import newest_events
from orders import answers
from orders.accounts import close
from orders.models import OpenOrders
from users import views as users
from users.acts import actor_of
from users.limits import Limits, read_limits, represent_limits
from users.services import find_user


class CloseForm(Form):
    """Who closes an account gives its password."""

    password: Annotated[str, line(128)]


class MeView(users.MeView):
    @Call(
        *("users", "closeMe", "Deactivate one's own account", None),
        scope=OWNER,
        text="It must own nothing, frozen funds included. Its open orders are cancelled, and its sessions end.",
        status=204,
        body=CloseForm,
        examples={"a password": {"password": "correct horse"}},
        refusals=(InvalidCredentials, SignInLocked, SignInsBusy, AccountNotEmpty),
    )
    def delete(self, request: Request) -> Response:
        form = CloseForm.read(body(request))
        close(caller_id(request), form.password, actor_of(request, "closed by its owner"))
        return Response(status=204)


class AccountView(APIView):
    @Call("users", "readAccount", "One's own account as a whole", answers.Account, as_of=True, scope=READ)
    def get(self, request: Request) -> Response:
        user = find_user(caller_id(request))
        as_of = newest_events()
        # By market too, because that is how the rows are found.
        open_orders = OpenOrders.objects.filter(market_id__in=as_of, user_id=user.pk)
        # Dictionaries of that type.
        balances: Any = [Balance.of(balance) for balance in read_balances(user.pk)]
        account: answers.Account = {
            "userId": user.pk,
            "username": user.username,
            "balances": balances,
            "limits": represent_limits(_in_force(read_limits(user.pk))),
            "openOrders": open_orders.aggregate(number=Sum("number", default=0))["number"],
        }
        return answer(account, as_of=as_of)


def _in_force(limits: Limits) -> Limits:
    """With the rate of everybody where the user has none of their own; 0 is no limit."""
    own = limits.requests_per_second
    return replace(limits, requests_per_second=(settings.RATE_LIMIT or 0) if own is None else own)
