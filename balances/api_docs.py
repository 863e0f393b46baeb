"""Balances, as the API's description tells of them."""

from balances.forms import TransferForm
from balances.models import EntryKind
from base.web.errors import AmountTooLarge, AssetNotFound, InsufficientFunds, ReferenceReused, UserNotFound
from base.web.openapi.operations import Call, Who, describe
from base.web.openapi.shapes import (
    AMOUNT,
    ID,
    INSTANT,
    SIGNED_AMOUNT,
    TEXT,
    Schema,
    Shape,
    list_of,
    matching,
    nullable,
    record,
    word,
)
from markets.models import ASSET_PATTERN

TAG = "balances"
CURRENCY: Schema = matching(ASSET_PATTERN, "The code of an asset.", examples=["BTC"])
OWNER = {"user_id": ID}
OWN_CURRENCY = {"user_id": ID, "currency": CURRENCY}
BALANCE = Shape(
    "Balance",
    record(
        {
            "userId": ID,
            "currency": CURRENCY,
            "availableBalance": AMOUNT,
            "frozenBalance": AMOUNT,
            "totalBalance": AMOUNT,
            "updatedAt": nullable(INSTANT, "Null for an asset that was never held."),
        }
    ),
)
ENTRY = Shape(
    "LedgerEntry",
    record(
        {
            "entryId": ID,
            "kind": word(*EntryKind.values),
            "amount": SIGNED_AMOUNT,
            "reference": {**TEXT, "description": "`transfer:` or `trade:`, and the transfer's or the trade's own."},
            "createdAt": INSTANT,
        }
    ),
)

LIST_BALANCES = describe(
    Call(
        id="listBalances",
        tag=TAG,
        summary="Balances of an account",
        path=OWNER,
        data=list_of(BALANCE),
        refusals=(UserNotFound,),
    )
)
READ_BALANCE = describe(
    Call(
        id="readBalance",
        tag=TAG,
        summary="One balance",
        text="Zeros for an asset never held.",
        path=OWN_CURRENCY,
        data=BALANCE,
        refusals=(UserNotFound, AssetNotFound),
    )
)
READ_LEDGER = describe(
    Call(
        id="readLedger",
        tag=TAG,
        summary="The statement of one balance, newest first",
        path=OWN_CURRENCY,
        data=list_of(ENTRY),
        paged=True,
        refusals=(UserNotFound, AssetNotFound),
    )
)


def _transfer(name: str) -> Call:
    return Call(
        id=name,
        tag=TAG,
        summary="Deposit or withdraw",
        text="A positive amount is deposited, a negative one withdrawn, once per reference.",
        who=Who.STAFF,
        body=TransferForm,
        examples={
            "a deposit": {
                "userId": 1,
                "currency": "USD",
                "amount": "500",
                "reason": "welcome",
                "reference": "welcome-1",
            }
        },
        data=BALANCE,
        replayable=True,
        refusals=(
            *(UserNotFound, AssetNotFound, InsufficientFunds, AmountTooLarge, ReferenceReused),
            "AMOUNT_OFF_SCALE",
        ),
    )


TRANSFER = describe(_transfer("transfer"))
TRANSFER_BY_PUT = describe(_transfer("transferByPut"))
