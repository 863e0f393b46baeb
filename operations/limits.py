"""A user's limits as they are sent, over REST and by the admin's form, and whether what they name exists."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from base.web.errors import InvalidField, refuse
from base.web.forms import Form, printable
from base.web.ratelimit import MOST_PER_SECOND
from base.web.rules import amounts_by, line, or_null, texts, whole
from markets.models import ASSET_PATTERN, SYMBOL_PATTERN, Asset, Market
from users.acts import REASON_LENGTH

MOST_NAMED = 100


class LimitsForm(Form):
    """The limits to change. One that is not sent stays, null takes it away; `openNotional` is replaced as a whole."""

    requests_per_second: Annotated[int | None, or_null(whole(0, MOST_PER_SECOND))] = None
    open_notional: Annotated[dict[str, Decimal] | None, amounts_by(ASSET_PATTERN, MOST_NAMED)] = None
    markets: Annotated[list[str] | None, texts(SYMBOL_PATTERN, 33, MOST_NAMED)] = None
    reason: Annotated[str, line(REASON_LENGTH)] = ""


def read_changes(sent: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The limits that the request changes, and its reason. Raises InvalidField and ValidationFailed."""
    changes = LimitsForm.read(sent).sent()
    reason = changes.pop("reason", "")
    refuse(_unknown(changes))
    if "open_notional" in changes:
        changes["open_notional"] = changes["open_notional"] or {}
    if changes.get("markets") is not None:
        changes["markets"] = tuple(dict.fromkeys(changes["markets"]))
    return changes, reason


def _unknown(changes: Mapping[str, Any]) -> list[InvalidField]:
    currencies, symbols = set(changes.get("open_notional") or ()), set(changes.get("markets") or ())
    assets = set(Asset.objects.filter(code__in=currencies).values_list("code", flat=True))
    markets = set(Market.objects.filter(symbol__in=symbols).values_list("symbol", flat=True))
    errors = [
        InvalidField("openNotional", "ASSET_NOT_FOUND", f"there is no asset {printable(code)}")
        for code in sorted(currencies - assets)[:1]
    ]
    return errors + [
        InvalidField("markets", "MARKET_NOT_FOUND", f"there is no market {printable(symbol)}")
        for symbol in sorted(symbols - markets)[:1]
    ]
