"""What waits for a second person, over REST: the list, the decisions, and the payout of fees, which always waits."""

from decimal import Decimal
from typing import Annotated

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from balances import answers, approvals
from balances.approvals import APPROVE_PERMISSION, PAYOUT_PERMISSION
from balances.errors import ApprovalDecided, ApprovalNotFound, SamePerson
from balances.models import Approval, ApprovalStatus
from balances.views import TAG, answer_waiting
from base.web.answers import answer, body
from base.web.authentication import Holds
from base.web.errors import (
    AccountDeactivated,
    AmountTooLarge,
    AssetNotFound,
    InsufficientFunds,
    ReferenceReused,
)
from base.web.forms import Form
from base.web.keys.scopes import OWNER
from base.web.lists import read_page
from base.web.openapi.operations import Call
from base.web.queries import Query, parameters
from base.web.rules import POSITIVE, line, one_of, text
from base.web.values import parse_id
from markets.models import ASSET_PATTERN
from users.acts import REASON_LENGTH, actor_of

_EXAMPLE = {"currency": "USD", "amount": "500", "reason": "fees of March", "reference": "fees-2026-03"}
_STATUS = Query("status", one_of(ApprovalStatus), "Those with this status.")


class DecisionForm(Form):
    """Why it is decided so."""

    reason: Annotated[str, line(REASON_LENGTH)] = ""


class PayoutForm(Form):
    """How much of the collected fees."""

    currency: Annotated[str, text(ASSET_PATTERN, 16)]
    amount: Annotated[Decimal, POSITIVE]
    reason: Annotated[str, line(200)]
    reference: Annotated[str, text(r"[A-Za-z0-9._:-]{1,64}", 64)]


class ApprovalsView(APIView):
    permission_classes = [Holds.permission(APPROVE_PERMISSION)]

    @Call(
        *(TAG, "listApprovals", "What waits for a second person, and what was decided", list[answers.Approval]),
        scope=OWNER,
        text="Newest first.",
        query=(_STATUS,),
        paged=True,
    )
    def get(self, request: Request) -> HttpResponseBase:
        status = parameters(request)["status"]
        listed = Approval.objects.all() if status is None else Approval.objects.filter(status=status)
        return read_page(request, listed, answers.Approval.of)


class ApproveView(APIView):
    permission_classes = [Holds.permission(APPROVE_PERMISSION)]

    @Call(
        *(TAG, "approve", "Approve what another person asked for", answers.Approval),
        scope=OWNER,
        text="The money moves in the transaction of the decision. If it cannot move, it waits as before.",
        body=DecisionForm,
        examples={"a reason": {"reason": "seen on the bank statement"}},
        refusals=(
            *(SamePerson, ApprovalDecided, InsufficientFunds, AmountTooLarge, ReferenceReused, AccountDeactivated),
            "AMOUNT_OFF_SCALE",
        ),
    )
    def post(self, request: Request, approval_id: str) -> Response:
        form = DecisionForm.read(body(request))
        decided = approvals.approve(_id(approval_id), actor_of(request, form.reason))
        return answer(answers.Approval.of(decided), message="Approved")


class RefuseView(APIView):
    permission_classes = [Holds.permission(APPROVE_PERMISSION)]

    @Call(
        *(TAG, "refuse", "Refuse what another person asked for", answers.Approval),
        scope=OWNER,
        body=DecisionForm,
        examples={"a reason": {"reason": "the customer is unknown"}},
        refusals=(SamePerson, ApprovalDecided),
    )
    def post(self, request: Request, approval_id: str) -> Response:
        form = DecisionForm.read(body(request))
        decided = approvals.refuse_approval(_id(approval_id), actor_of(request, form.reason))
        return answer(answers.Approval.of(decided), message="Refused")


class FeePayoutView(APIView):
    permission_classes = [Holds.permission(PAYOUT_PERMISSION)]

    @Call(
        *(TAG, "payOutFees", "Pay collected fees out", answers.Waiting),
        scope=OWNER,
        text="As a withdrawal from the fee account, once per reference; always after a second person's approval.",
        status=202,
        body=PayoutForm,
        examples={"a payout": _EXAMPLE},
        replayable=True,
        refusals=(AssetNotFound, ReferenceReused, AmountTooLarge, "AMOUNT_OFF_SCALE"),
    )
    def post(self, request: Request) -> Response:
        asked, replayed = approvals.ask_for_payout(actor_of(request), **PayoutForm.read(body(request)).sent())
        return answer_waiting(asked, replayed=replayed)


def _id(text: str) -> int:
    wanted = parse_id(text)
    if wanted is None:
        raise ApprovalNotFound("there is no such approval")
    return wanted
