"""The form of the operators who move money in and out."""

from base.web.forms import DecimalText, Form, Identifier, Text
from markets.models import ASSET_PATTERN


class TransferForm(Form):
    """POST /balances/update."""

    user_id = Identifier()
    currency = Text(pattern=ASSET_PATTERN, limit=16)
    amount = DecimalText(signed=True)
    reason = Text(limit=200)
    reference = Text(pattern=r"[A-Za-z0-9._:-]{1,64}", limit=64)
