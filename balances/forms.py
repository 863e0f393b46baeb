"""The form of the operators who move money in and out."""

from decimal import Decimal
from typing import Annotated

from base.web.forms import Form
from base.web.rules import DecimalText, Identifier, Text
from markets.models import ASSET_PATTERN


class TransferForm(Form):
    """A deposit or a withdrawal."""

    user_id: Annotated[int, Identifier()]
    currency: Annotated[str, Text(ASSET_PATTERN, 16)]
    amount: Annotated[Decimal, DecimalText(signed=True)]
    reason: Annotated[str, Text(limit=200)]
    reference: Annotated[str, Text(r"[A-Za-z0-9._:-]{1,64}", 64)]
