"""Balances over REST: reading them, and the operators' transfers."""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from balances import answers
from balances.approvals import ADJUST_PERMISSION, adjust
from balances.cache import read_balance, read_balances
from balances.models import Approval, Balance, LedgerEntry, Transfer
from base.web.answers import answer, body
from base.web.authentication import Holds, caller_id, permitted
from base.web.errors import (
    AccountDeactivated,
    AmountTooLarge,
    AssetNotFound,
    InsufficientFunds,
    PermissionRequired,
    ReferenceReused,
    UserNotFound,
)
from base.web.exports import Export
from base.web.forms import Form
from base.web.keys.scopes import OWNER, READ
from base.web.lists import answer_page, by_index, in_window
from base.web.openapi.operations import Call
from base.web.queries import WINDOW
from base.web.rules import IDENTIFIER, NOT_ZERO, line, text
from base.web.values import parse_id
from markets.models import ASSET_PATTERN
from markets.newest import newest_events, newest_events_with
from markets.services import asset_code
from users.acts import actor_of
from users.services import find_user

TAG = "balances"
VIEW_PERMISSION, LEDGER_PERMISSION = "balances.view_balance", "balances.view_ledgerentry"
_EXAMPLE = {"userId": 1, "currency": "USD", "amount": "500", "reason": "welcome", "reference": "welcome-1"}


class TransferForm(Form):
    """A deposit or a withdrawal."""

    user_id: Annotated[int, IDENTIFIER]
    currency: Annotated[str, text(ASSET_PATTERN, 16)]
    amount: Annotated[Decimal, NOT_ZERO]
    reason: Annotated[str, line(200)]
    reference: Annotated[str, text(r"[A-Za-z0-9._:-]{1,64}", 64)]


_TRANSFER = Call(
    *(TAG, "transfer", "Deposit or withdraw", answers.Balance),
    scope=OWNER,
    text=(
        "A positive amount is deposited, a negative one withdrawn, once per reference. Above the threshold of the asset"
        " it waits for a second person's approval (202)."
    ),
    instead={202: answers.Waiting},
    body=TransferForm,
    examples={"a deposit": _EXAMPLE},
    replayable=True,
    refusals=(
        *(UserNotFound, AssetNotFound, InsufficientFunds, AmountTooLarge, ReferenceReused, AccountDeactivated),
        "AMOUNT_OFF_SCALE",
    ),
)


class BalancesView(APIView):
    @Call(
        *(TAG, "listBalances", "Balances of an account", list[answers.Balance]),
        as_of=True,
        scope=READ,
        refusals=(PermissionRequired,),
    )
    def get(self, request: Request, user_id: str) -> Response:
        owner = readable_user_id(request, user_id, VIEW_PERMISSION)
        as_of = newest_events()
        return answer([answers.Balance.of(balance) for balance in read_balances(owner)], as_of=as_of)


class OwnBalancesView(APIView):
    @Call(TAG, "listOwnBalances", "One's own balances", list[answers.Balance], as_of=True, scope=READ)
    def get(self, request: Request) -> Response:
        as_of = newest_events()
        return answer([answers.Balance.of(balance) for balance in read_balances(caller_id(request))], as_of=as_of)


class BalanceView(APIView):
    @Call(
        *(TAG, "readBalance", "One balance", answers.Balance),
        text="Zeros for an asset never held.",
        as_of=True,
        scope=READ,
        refusals=(PermissionRequired,),
    )
    def get(self, request: Request, user_id: str, currency: str) -> Response:
        owner = readable_user_id(request, user_id, VIEW_PERMISSION)
        code = asset_code(currency)
        as_of = newest_events_with(code)
        return answer(answers.Balance.of(read_balance(owner, code)), as_of=as_of)


class LedgerView(APIView):
    @Call(
        *(TAG, "readLedger", "The statement of one balance, newest first", list[answers.LedgerEntry]),
        scope=READ,
        query=WINDOW,
        paged=True,
        as_of=True,
        csv=Export("ledger.csv", answers.LedgerEntry),
        refusals=(PermissionRequired,),
    )
    def get(self, request: Request, user_id: str, currency: str) -> HttpResponseBase:
        owner, code = readable_user_id(request, user_id, LEDGER_PERMISSION), asset_code(currency)
        as_of = newest_events_with(code)
        entries: QuerySet[LedgerEntry] = LedgerEntry.objects.filter(account=owner, currency_id=code)
        read = by_index(in_window(request, entries), "ledger_statement", answers.LedgerEntry.of)
        return answer_page(request, read, as_of=as_of)


class TransferView(APIView):
    permission_classes = [Holds.permission(ADJUST_PERMISSION)]

    @_TRANSFER
    def post(self, request: Request) -> Response:
        form = TransferForm.read(body(request))
        find_user(form.user_id)
        made, replayed = adjust(actor_of(request), **form.sent())
        if isinstance(made, Approval):
            return answer_waiting(made, replayed=replayed)
        return answer(answers.Balance.of(_after(made)), message="Balance updated", replayed=replayed)

    @replace(_TRANSFER, id="transferByPut")
    def put(self, request: Request) -> Response:
        return self.post(request)


def answer_waiting(asked: Approval, *, replayed: bool) -> Response:
    """The answer to what waits for a second person."""
    return answer(answers.Waiting.of(asked), message="Waits for approval", code=202, replayed=replayed)


def readable_user_id(request: Request, user_id: str, permission: str) -> int:
    """The account that the path names: the caller's own, or anybody's for staff who hold the permission.

    Raises UserNotFound and PermissionRequired.
    """
    wanted = parse_id(user_id)
    if wanted == request.user.pk:
        return caller_id(request)
    if not request.user.is_staff:
        raise UserNotFound("there is no such user")
    permitted(request, permission)
    return find_user(wanted).id


def _after(made: Transfer) -> Balance:
    """The balance as it was after the transfer, however often it is asked for again."""
    stored = Balance.objects.filter(user_id=made.account, currency_id=made.currency_id)
    return Balance(
        user_id=made.account,
        currency_id=made.currency_id,
        available=made.available_after,
        frozen=made.frozen_after,
        created_at=stored.values_list("created_at", flat=True).get(),
        updated_at=made.created_at,
    )
