"""What operators are answered over REST."""

from typing import Annotated

from typing_extensions import TypedDict

from base.web.values import Count, described


class KillSwitch(TypedDict):
    """What the kill switch did."""

    cancelled: Annotated[Count, described("The open orders for which a cancel was stored.")]
    blocked: Annotated[bool, described("Whether new orders of the account are refused now.")]
