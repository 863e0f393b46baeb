"""Whether an order would be accepted now: what intake decides, without a lock and with nothing stored."""

from django.utils import timezone

from balances.cache import read_balance
from base.web.errors import ClientOrderIdReused, ExchangeError
from orders.drafts import Draft, Limits, take
from orders.exposure import read_exposure
from orders.models import OpenOrders, Order
from orders.placing import OrderRequest, draft_of
from orders.resting import reference_price


def try_order(request: OrderRequest) -> tuple[Draft, ExchangeError | None]:
    """The order as it would be stored, and why it would be refused, if it would be."""
    draft = draft_of(request, timezone.now(), reference_price)
    return draft, _key_is_taken(draft) or draft.refusal or take(draft, _limits(draft))


def _key_is_taken(draft: Draft) -> ExchangeError | None:
    """A repeat places nothing either: it has the first answer."""
    key = draft.order.client_order_id
    if key is None:
        return None
    earlier = Order.objects.filter(user_id=draft.order.user_id, client_order_id=key).first()
    if earlier is None:
        return None
    return ClientOrderIdReused(f"clientOrderId {key} belongs to order {earlier.id}", field="clientOrderId")


def _limits(draft: Draft) -> Limits:
    limits = Limits({}, {}, {})
    for each in draft.all:
        symbol, user_id = each.place
        numbers = OpenOrders.objects.filter(market_id=symbol, user_id=user_id).values_list("number", flat=True)
        limits.users[user_id] = read_exposure(user_id)
        limits.funds[each.account] = read_balance(*each.account).available
        limits.opened[each.place] = numbers.first() or 0
    return limits
