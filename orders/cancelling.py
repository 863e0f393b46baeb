"""Cancels over REST: of one order, of all, and of a batch."""

from typing import Annotated, Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.authentication import caller_id
from base.web.errors import ExchangeError, InvalidField, MarketNotFound, OrderNotFound, timestamp
from base.web.forms import Form
from base.web.keys.scopes import TRADE
from base.web.openapi.operations import Call
from base.web.queries import parameters
from base.web.rules import ids, text, texts, whole
from markets.models import SYMBOL_PATTERN
from markets.services import known_market
from orders import answers, log, services
from orders.accounts import cancel_for, cancel_order_as_operator
from orders.answers import CLIENT_ORDER_ID_PATTERN
from orders.dead_man import LONGEST_SECONDS, set_switch
from orders.long_requests import cancel_of_all
from orders.models import Order
from orders.powers import CANCEL_PERMISSION
from orders.query import anybodys_order, known_id, named_market, owner_of
from users.acts import actor_of

MOST_CANCELS = 100
ACCEPTED = "Cancel accepted for processing"


class CancelsForm(Form):
    """Orders to cancel, by their ids and by the client's own keys."""

    order_ids: Annotated[list[int] | None, ids(MOST_CANCELS)] = None
    client_order_ids: Annotated[list[str] | None, texts(CLIENT_ORDER_ID_PATTERN, 64, MOST_CANCELS)] = None


class SwitchForm(Form):
    """A dead man's switch, of one market or of all."""

    timeout_seconds: Annotated[int, whole(0, LONGEST_SECONDS)]
    symbol: Annotated[str | None, text(SYMBOL_PATTERN, 33, null=True)] = None


class DeadManSwitchView(APIView):
    @Call(
        *(
            "orders",
            "cancelAllAfter",
            "Cancel all own open orders after a time, unless asked again",
            answers.DeadManSwitch,
        ),
        scope=TRADE,
        text=(
            "A dead man's switch: each call sets its time anew, and 0 disarms it. One for all markets and one for each"
            " market stand beside each other. Once it fires, the orders that are open then are cancelled with reason"
            " `DEAD_MAN_SWITCH`, and the switch is gone."
        ),
        body=SwitchForm,
        examples={"in a minute": {"timeoutSeconds": 60}, "of one market": {"timeoutSeconds": 5, "symbol": "BTC-USD"}},
        refusals=(MarketNotFound,),
    )
    def post(self, request: Request) -> Response:
        form = SwitchForm.read(body(request))
        symbol = None if form.symbol is None else known_market(form.symbol).symbol
        triggers_at = set_switch(caller_id(request), symbol, form.timeout_seconds)
        told: answers.DeadManSwitch = {"triggersAt": None if triggers_at is None else timestamp(triggers_at)}
        return answer(told, message="Disarmed" if triggers_at is None else "Armed")


class BatchCancelView(APIView):
    @Call(
        *("orders", "cancelBatch", "Cancel up to 100 orders", answers.CancelResults),
        scope=TRADE,
        text=(
            "Each is accepted or refused on its own; the answer is 202 also where all are refused. Ids and keys"
            " together are at most 100, and at least one. Under the rate limit it is one cancel."
        ),
        status=202,
        body=CancelsForm,
        examples={"by id and by key": {"orderIds": [17, 18], "clientOrderIds": ["bot-1"]}},
        refusals=("LIST_EMPTY",),
    )
    def post(self, request: Request) -> Response:
        order_ids, keys = _named(body(request))
        with cancel_of_all():
            found = services.cancel_each(caller_id(request), order_ids, keys)
        names = [*(("orderId", each) for each in order_ids), *(("clientOrderId", key) for key in keys)]
        results = [{name: value, **_result(each)} for (name, value), each in zip(names, found, strict=True)]
        return answer({"results": results}, message="Batch processed", code=202)


def cancel_by_id(request: Request, order_id: str) -> Response:
    """Cancel the caller's own order; staff with the permission anybody's. Raises OrderNotFound, PermissionRequired."""
    log.cancel_asked(order_id)
    return _accepted(_cancel(request, known_id(order_id)))


def cancel_by_key(request: Request, client_order_id: str) -> Response:
    """Cancel the order of this key: the caller's own, or for staff with the permission the named user's."""
    log.cancel_asked(client_order_id)
    owner_id = owner_of(request, CANCEL_PERMISSION)
    if owner_id == caller_id(request):
        return _accepted(services.cancel_order_named(owner_id, client_order_id))
    order = services.find_order_named(owner_id, client_order_id)
    return _accepted(cancel_order_as_operator(order, actor_of(request)))


def cancel_all(request: Request) -> Response:
    """Cancel the caller's open orders; staff with the permission those of the user whom the query names."""
    symbol, side = named_market(request), parameters(request)["side"]
    with cancel_of_all():
        owner_id = owner_of(request, CANCEL_PERMISSION)
        if owner_id == caller_id(request):
            cancelled = services.cancel_orders(owner_id, symbol, side)
        else:
            cancelled = cancel_for(owner_id, actor_of(request), symbol, side)
    accepted: answers.AcceptedCancels = {"cancelled": cancelled}
    return answer(accepted, message="Cancels accepted for processing", code=202)


def _accepted(order: Order) -> Response:
    log.cancel_accepted(order)
    accepted: answers.AcceptedCancel = {"orderId": order.id, "status": order.status, "message": ACCEPTED}
    return answer(accepted, message=ACCEPTED, code=202)


def _cancel(request: Request, wanted: int) -> Order:
    own_id, owner_id = caller_id(request), owner_of(request, CANCEL_PERMISSION)
    if owner_id != own_id:
        return cancel_order_as_operator(services.find_order(owner_id, wanted), actor_of(request))
    try:
        return services.cancel_order(own_id, wanted)
    except OrderNotFound:
        # Perhaps another user's, which staff may name by its id alone.
        if parameters(request)["user_id"] is not None or not request.user.is_staff:
            raise
    return cancel_order_as_operator(anybodys_order(request, wanted, CANCEL_PERMISSION), actor_of(request))


def _named(sent: dict[str, Any]) -> tuple[list[int], list[str]]:
    """What the body names, as it was sent. Raises InvalidField and ValidationFailed."""
    form = CancelsForm.read(sent)
    order_ids, keys = form.order_ids or [], form.client_order_ids or []
    if not order_ids and not keys:
        raise InvalidField("orderIds", "LIST_EMPTY", "orderIds or clientOrderIds must name an order")
    if len(order_ids) + len(keys) > MOST_CANCELS:
        words = f"orderIds and clientOrderIds must have at most {MOST_CANCELS} items together"
        raise InvalidField("clientOrderIds", "LIST_TOO_LONG", words)
    return order_ids, keys


def _result(found: Order | ExchangeError) -> dict[str, Any]:
    if isinstance(found, ExchangeError):
        return {"code": found.status, "error": found.error, "message": found.message}
    return {"code": 202, "message": ACCEPTED}
