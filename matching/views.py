"""What would become of an order, over REST."""

from copy import copy
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from balances.answers import Balance
from balances.cache import read_balance
from base.web.answers import answer, body
from base.web.authentication import caller_id
from base.web.errors import (
    AccountBlocked,
    ClientOrderIdReused,
    ExchangeError,
    InvalidField,
    NotYourAccount,
    ValidationFailed,
)
from base.web.keys.scopes import READ
from base.web.openapi.operations import Call
from core.money import plain_average, plain_units, to_decimal, to_units
from core.outcome import Trade
from core.types import Side
from markets.newest import newest_events_of
from matching import answers
from matching.preview import Preview, preview
from orders.drafts import Draft
from orders.placing import OrderRequest
from orders.terms import OrderForm, read_order
from orders.trial import try_order

_ORDER = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "30000", "quantity": "0.5"}
# The field that a refusal is about which names none.
_FIELDS = {AccountBlocked: "userId", ClientOrderIdReused: "clientOrderId"}
_INSUFFICIENT = "INSUFFICIENT_FUNDS"


class PreviewView(APIView):
    @Call(
        *("orders", "previewOrder", "What would become of an order now", answers.Preview),
        scope=READ,
        text=(
            "The same checks as when it is placed, and what its market's worker would do with it as the next command:"
            " nothing is stored, and nothing locked. What would refuse it is in `errors`. Another command may come"
            " first."
        ),
        as_of=True,
        body=OrderForm,
        examples={"a limit": _ORDER},
        refusals=(NotYourAccount, "TOO_MANY_FILLS"),
    )
    def post(self, request: Request) -> Response:
        try:
            market, terms, user_id = read_order(body(request))
        except (InvalidField, ValidationFailed) as error:
            return answer(_refused(error), as_of={})
        own_id = caller_id(request)
        if user_id not in (None, own_id):
            raise NotYourAccount
        as_of = newest_events_of(market.symbol)
        draft, refusal = try_order(OrderRequest(own_id, market, terms))
        try:
            if refusal is not None:
                raise refusal
            would = preview(draft.order, to_units(read_balance(own_id, market.quote_id).available))
        except ExchangeError as error:
            return answer(_refused(error), as_of=as_of)
        return answer(_represent(draft, would), as_of=as_of)


def _represent(draft: Draft, would: Preview) -> answers.Preview:
    order, market = would.order, draft.market
    is_buy = order.side is Side.BUY
    currency = market.base_id if is_buy and not order.fee_in_quote else market.quote_id
    fees = [_fee(trade, is_buy) for trade in would.fills]
    return {
        "status": order.status,
        "reason": order.reason,
        "filledQuantity": plain_units(order.filled),
        "averagePrice": plain_average(order.filled_notional, order.filled) if order.filled else None,
        "filledQuote": plain_units(order.filled_notional),
        "fee": plain_units(sum(fees)),
        "feeCurrency": currency,
        "fills": [
            {
                "role": "TAKER",
                "price": plain_units(trade.price),
                "quantity": plain_units(trade.quantity),
                "fee": plain_units(fee),
                "feeCurrency": currency,
            }
            for trade, fee in zip(would.fills, fees, strict=True)
        ],
        "balancesAfter": [_balance_after(draft, would, asset) for asset in (market.base_id, market.quote_id)],
        "errors": [],
    }


def _fee(trade: Trade, is_buy: bool) -> int:
    return trade.buyer_fee if is_buy else trade.seller_fee


def _balance_after(draft: Draft, would: Preview, asset: str) -> Any:
    """A balance once the order is stored with its funds, and applied."""
    order = draft.order
    balance = copy(read_balance(order.user_id, asset))
    if asset == draft.market.pays_with(order.side):
        balance.available, balance.frozen = balance.available - order.frozen, balance.frozen + order.frozen
    change = would.change((order.user_id, asset))
    balance.available += to_decimal(change.available)
    balance.frozen += to_decimal(change.frozen)
    return Balance.of(balance)


def _refused(error: ExchangeError) -> answers.Preview:
    return {
        "status": None,
        "reason": None,
        "filledQuantity": "0",
        "averagePrice": None,
        "filledQuote": "0",
        "fee": "0",
        "feeCurrency": None,
        "fills": [],
        "balancesAfter": [],
        "errors": _items(error),
    }


def _items(error: ExchangeError) -> list[Any]:
    """As in VALIDATION_FAILED."""
    if isinstance(error, ValidationFailed):
        items: list[Any] = error.data["errors"]
        return items
    field = error.data.get("field") or _FIELDS.get(
        type(error), "quantity" if error.error == _INSUFFICIENT else "symbol"
    )
    return [{**error.data, "field": field, "error": error.error, "message": error.message}]
