"""Faults over REST. Without a sandbox nothing is here."""

from typing import Annotated, Any

from django.conf import settings
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.authentication import Holds, caller_id, credential_of
from base.web.errors import NotFound, UserNotFound
from base.web.forms import Form
from base.web.keys.scopes import OWNER, READ, TRADE
from base.web.openapi.operations import Call
from base.web.rules import whole
from base.web.values import parse_id
from sandbox import answers
from sandbox.faults import MOST_DELAY_MS, MOST_LATE_MS, MOST_SEED, Plan
from sandbox.models import OF_THE_ACCOUNT
from sandbox.services import end_faults, order_faults, read_faults
from users.acts import actor_of
from users.services import find_user

TAG = "sandbox"
# Where there is no sandbox.
GONE = (NotFound,)
_SEED, _PERCENT = whole(0, MOST_SEED), whole(0, 100)
_EXAMPLE = {"seed": 7, "delayMs": 200, "delayPercent": 20, "tooManyPercent": 5, "lostAnswerPercent": 10}


class FaultsForm(Form):
    """What is not sent is 0: no such fault."""

    seed: Annotated[int, _SEED]
    delay_ms: Annotated[int, whole(0, MOST_DELAY_MS)] = 0
    delay_percent: Annotated[int, _PERCENT] = 0
    too_many_percent: Annotated[int, _PERCENT] = 0
    lost_answer_percent: Annotated[int, _PERCENT] = 0
    reject_percent: Annotated[int, _PERCENT] = 0
    cut_percent: Annotated[int, _PERCENT] = 0
    duplicate_percent: Annotated[int, _PERCENT] = 0
    late_ms: Annotated[int, whole(0, MOST_LATE_MS)] = 0
    late_percent: Annotated[int, _PERCENT] = 0


class SandboxView(APIView):
    """Before all permissions it looks whether there is a sandbox, so that nobody learns more than that nothing is here.

    That is no permission of its own, because the description names the same permissions wherever it is made.
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not settings.SANDBOX:
            raise NotFound("nothing is here")
        super().initial(request, *args, **kwargs)


class OwnFaultsView(SandboxView):
    """Of the account, or of the key that signs the request."""

    permission_classes = [IsAuthenticated]

    @Call(TAG, "readOwnFaults", "The faults that were ordered", answers.Faults, scope=READ, refusals=GONE)
    def get(self, request: Request) -> Response:
        return answer(answers.shown(read_faults(*_own(request))))

    @Call(
        *(TAG, "orderOwnFaults", "Order faults", answers.Faults),
        scope=TRADE,
        text=(
            "For the account, or signed by a key for that key alone. The requests and events from then on are"
            " numbered, and the same seed gives the same faults to the same numbers."
        ),
        body=FaultsForm,
        examples={"lost answers and delays": _EXAMPLE},
        refusals=GONE,
    )
    def put(self, request: Request) -> Response:
        plan = Plan(**FaultsForm.read(body(request)).sent())
        order_faults(*_own(request), plan)
        return answer(answers.shown(plan), message="Faults ordered")

    @Call(TAG, "endOwnFaults", "Order no more faults", None, scope=TRADE, status=204, refusals=GONE)
    def delete(self, request: Request) -> Response:
        end_faults(*_own(request))
        return Response(status=204)


class FaultsView(SandboxView):
    """Of another user's account, by staff."""

    permission_classes = [Holds.permission("sandbox.set_faults")]

    @Call(TAG, "readFaults", "The faults of a user", answers.Faults, scope=OWNER, refusals=GONE)
    def get(self, request: Request, user_id: str) -> Response:
        return answer(answers.shown(read_faults(_user_id(user_id))))

    @Call(
        *(TAG, "orderFaults", "Order faults for a user", answers.Faults),
        scope=OWNER,
        body=FaultsForm,
        examples={"lost answers and delays": _EXAMPLE},
        refusals=GONE,
    )
    def put(self, request: Request, user_id: str) -> Response:
        plan = Plan(**FaultsForm.read(body(request)).sent())
        order_faults(_user_id(user_id), OF_THE_ACCOUNT, plan, actor_of(request))
        return answer(answers.shown(plan), message="Faults ordered")

    @Call(TAG, "endFaults", "Order no more faults for a user", None, scope=OWNER, status=204, refusals=GONE)
    def delete(self, request: Request, user_id: str) -> Response:
        end_faults(_user_id(user_id), OF_THE_ACCOUNT, actor_of(request))
        return Response(status=204)


def _own(request: Request) -> tuple[int, int]:
    return caller_id(request), credential_of(request).key_id or OF_THE_ACCOUNT


def _user_id(text: str) -> int:
    wanted = parse_id(text)
    if wanted is None:
        raise UserNotFound("there is no such user")
    return int(find_user(wanted).pk)
