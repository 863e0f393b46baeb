"""What operators do and ask over REST: the kill switch, users' limits, and which exchange answers."""

from typing import Annotated

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.authentication import Holds
from base.web.errors import UserNotFound
from base.web.forms import Form
from base.web.keys.scopes import OWNER, PUBLIC
from base.web.openapi.operations import Call
from base.web.rules import line
from base.web.values import parse_id
from operations import answers
from operations.caches import read_stats
from operations.info import info
from operations.limits import LimitsForm, read_changes
from orders.accounts import kill, lift
from users import answers as user_answers
from users.acts import REASON_LENGTH, actor_of
from users.limits import change_limits, read_limits, represent_limits

TAG = "operations"


class KillForm(Form):
    """Why."""

    reason: Annotated[str, line(REASON_LENGTH)]


class KillView(APIView):
    permission_classes = [Holds.permission("users.kill")]

    @Call(
        *(TAG, "kill", "The kill switch: cancel and block", answers.KillSwitch),
        scope=OWNER,
        text=(
            "Cancels all open orders of the account and refuses new ones, in one act: after the answer none can be"
            " accepted. Never refused by the rate limit or because a market is busy."
        ),
        body=KillForm,
        examples={"a reason": {"reason": "a runaway algorithm, by telephone"}},
    )
    def post(self, request: Request, user_id: str) -> Response:
        form = KillForm.read(body(request))
        cancelled = kill(_user_id(user_id), actor_of(request, form.reason))
        return _switched(cancelled, blocked=True, message="Account blocked")

    @Call(*(TAG, "liftKill", "Let the account place orders again", answers.KillSwitch), scope=OWNER)
    def delete(self, request: Request, user_id: str) -> Response:
        lift(_user_id(user_id), actor_of(request))
        return _switched(0, blocked=False, message="Account no longer blocked")


class CacheStatsView(APIView):
    permission_classes = [Holds.permission("operations.view")]

    @Call(
        *(TAG, "readCacheStats", "What the caches did and hold", dict[str, answers.CacheStats]),
        scope=OWNER,
        text="By cache. The counts are those of the process that answers, and of those that count with it.",
    )
    def get(self, request: Request) -> Response:
        return answer(read_stats())


class LimitsView(APIView):
    permission_classes = [Holds.permission("users.change_limits")]

    @Call(TAG, "readLimits", "A user's own limits", user_answers.Limits, scope=OWNER)
    def get(self, request: Request, user_id: str) -> Response:
        return answer(represent_limits(read_limits(_user_id(user_id))))

    @Call(
        *(TAG, "changeLimits", "Change a user's own limits", user_answers.Limits),
        scope=OWNER,
        text="What is not sent stays, null takes a limit away. Orders that are open already stay.",
        body=LimitsForm,
        examples={"a limit": {"openNotional": {"USD": "50000"}, "markets": ["BTC-USD"]}},
        refusals=("ASSET_NOT_FOUND", "MARKET_NOT_FOUND"),
    )
    def patch(self, request: Request, user_id: str) -> Response:
        wanted = _user_id(user_id)
        changes, reason = read_changes(body(request))
        changed = change_limits(wanted, changes, actor_of(request, reason))
        return answer(represent_limits(changed), message="Limits changed")


class InfoView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @Call(TAG, "readInfo", "Which exchange answers", answers.Info, scope=PUBLIC)
    def get(self, request: Request) -> Response:
        return answer(info())


def _switched(cancelled: int, *, blocked: bool, message: str) -> Response:
    done: answers.KillSwitch = {"cancelled": cancelled, "blocked": blocked}
    return answer(done, message=message)


def _user_id(text: str) -> int:
    wanted = parse_id(text)
    if wanted is None:
        raise UserNotFound("there is no such user")
    return wanted
