"""The form of the operators who move money in and out."""

from decimal import Decimal
from typing import Annotated

from base.web.forms import Form
from base.web.rules import IDENTIFIER, NOT_ZERO, line, text
from markets.models import ASSET_PATTERN


class TransferForm(Form):
    """A deposit or a withdrawal."""

    user_id: Annotated[int, IDENTIFIER]
    currency: Annotated[str, text(ASSET_PATTERN, 16)]
    amount: Annotated[Decimal, NOT_ZERO]
    reason: Annotated[str, line(200)]
    reference: Annotated[str, text(r"[A-Za-z0-9._:-]{1,64}", 64)]
