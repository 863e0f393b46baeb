"""Balances over REST: looking, and the operators' transfers."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from balances import api_docs
from balances.forms import TransferForm
from balances.models import Balance, LedgerEntry, Transfer
from balances.services import transfer
from base.web.answers import answer, body
from base.web.authentication import IsStaff, caller_id
from base.web.errors import UserNotFound, timestamp
from base.web.forms import parse_id
from base.web.pages import read_page
from core.money import plain
from markets.services import known_asset
from users.services import find_user


@extend_schema_view(get=api_docs.LIST_BALANCES)
class BalancesView(APIView):
    def get(self, request: Request, user_id: str) -> Response:
        owner = readable_user_id(request, user_id)
        mine = Balance.objects.filter(user_id=owner).order_by("currency_id")
        return answer([represent_balance(balance) for balance in mine])


@extend_schema_view(get=api_docs.READ_BALANCE)
class BalanceView(APIView):
    def get(self, request: Request, user_id: str, currency: str) -> Response:
        owner = readable_user_id(request, user_id)
        code = known_asset(currency).code
        balance = Balance.objects.filter(user_id=owner, currency_id=code).first()
        return answer(represent_balance(balance or Balance(user_id=owner, currency_id=code)))


@extend_schema_view(get=api_docs.READ_LEDGER)
class LedgerView(APIView):
    def get(self, request: Request, user_id: str, currency: str) -> Response:
        owner = readable_user_id(request, user_id)
        entries: QuerySet[LedgerEntry] = LedgerEntry.objects.filter(account=owner, currency=known_asset(currency))
        return read_page(request, entries, represent_entry)


@extend_schema_view(post=api_docs.TRANSFER, put=api_docs.TRANSFER_BY_PUT)
class TransferView(APIView):
    permission_classes = [IsStaff]

    def post(self, request: Request) -> Response:
        values = TransferForm().read(body(request))
        find_user(values["user_id"])
        made, replayed = transfer(operator_id=request.user.pk, **values)
        return answer(represent_transfer(made), message="Balance updated", replayed=replayed)

    def put(self, request: Request) -> Response:
        return self.post(request)


def readable_user_id(request: Request, user_id: str) -> int:
    """The account that the path names: the caller's own, or anybody's for staff. Raises UserNotFound."""
    wanted = parse_id(user_id)
    if wanted == request.user.pk:
        return caller_id(request)
    if not request.user.is_staff:
        raise UserNotFound("there is no such user")
    return find_user(wanted).id


def represent_balance(balance: Balance) -> dict[str, Any]:
    return {
        "userId": balance.user_id,
        "currency": balance.currency_id,
        "availableBalance": plain(balance.available),
        "frozenBalance": plain(balance.frozen),
        "totalBalance": plain(balance.total),
        "updatedAt": timestamp(balance.updated_at) if balance.updated_at else None,
    }


def represent_transfer(made: Transfer) -> dict[str, Any]:
    """The balance as it was after the transfer, however often it is asked for again."""
    return {
        "userId": made.user_id,
        "currency": made.currency_id,
        "availableBalance": plain(made.available_after),
        "frozenBalance": plain(made.frozen_after),
        "totalBalance": plain(made.available_after + made.frozen_after),
        "updatedAt": timestamp(made.created_at),
    }


def represent_entry(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "entryId": entry.id,
        "kind": entry.kind,
        "amount": plain(entry.amount),
        "reference": entry.reference,
        "createdAt": timestamp(entry.created_at),
    }
