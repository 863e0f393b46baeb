"""What clients see of the engine itself: what would become of an order."""

from typing import Annotated

from typing_extensions import TypedDict

from balances.answers import Balance
from base.web.openapi.refusals import FieldError
from base.web.values import Amount, described
from markets.answers import AssetCode
from orders.answers import OrderStatus, Reason, Role


class PreviewFill(TypedDict):
    """A fill that the order would have."""

    role: Role
    price: Amount
    quantity: Amount
    fee: Amount
    feeCurrency: AssetCode


class Preview(TypedDict):
    """What would become of an order if it were the next that the market's worker takes up."""

    status: Annotated[OrderStatus | None, described("After it was taken up; null where it would be refused.")]
    reason: Reason | None
    filledQuantity: Amount
    averagePrice: Amount | None
    filledQuote: Amount
    fee: Amount
    feeCurrency: AssetCode | None
    fills: list[PreviewFill]
    balancesAfter: Annotated[list[Balance], described("Of the two assets of the market.")]
    errors: Annotated[list[FieldError], described("Why it would be refused, as in VALIDATION_FAILED.")]
