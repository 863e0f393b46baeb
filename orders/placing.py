"""Place orders, one or many, in one transaction: each is accepted or refused as if they came one after the other.

The transaction changes the balances last, so that their rows are locked for a short time, because the worker may wait
for them. It reads nothing first, except what a MARKET BUY by quantity may spend: the insert fails on a client order id
that is stored already and for a user whose orders must be looked at (`exposure`), and the guarded updates of a balance
and of the number of open orders fail where these do not suffice. Then the transaction is done again, and reads the
stored orders of these keys or locks the users' rows, the balances and the numbers first.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, partial

from django.db import IntegrityError, transaction
from django.utils import timezone

from balances.available import lock_available, require_more
from balances.services import freeze_all
from base.storage.bulk import CheckFailed
from base.storage.outages import again_on_deadlock
from base.storage.statements import GuardFailed
from base.telemetry.metrics import INTAKE, ORDERS_DUPLICATE, ORDERS_RECEIVED, ORDERS_REJECTED
from base.web.errors import ExchangeError, Unavailable
from markets.models import Market
from orders import open_orders
from orders.drafts import Account, Draft, Key, Limits, take
from orders.exposure import lock_exposures
from orders.fates import fated, submit_new
from orders.ids import order_ids
from orders.market_rules import Reference
from orders.models import Order
from orders.powers import record_placed
from orders.resting import reference_price
from orders.rows import ATTEMPTS, insert_orders
from orders.terms import Accepted, OrderTerms, draft_order, refuse_by_market, repeat, reserved
from users.acts import Actor


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order to place; without a correlation id it gets a new one. `actor` places it, if that is not the user."""

    user_id: int
    market: Market
    terms: OrderTerms
    correlation_id: str = ""
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class _Repeat:
    """A draft whose client order id belongs to an earlier order."""

    draft: Order
    earlier: Order


_Drafts = Sequence[Draft | ExchangeError]
# A draft is stored, a repeat has the earlier order as its answer, an error is the answer.
_Decision = Draft | _Repeat | ExchangeError


def place_order(
    user_id: int, market: Market, terms: OrderTerms, correlation_id: str = "", actor: Actor | None = None
) -> Accepted:
    """Store an order with its reserved funds and its command, and ring its market.

    Raises ClientOrderIdReused, MarketNotTrading, MarketBusy, TooManyWaiting, InvalidField, ValidationFailed,
    InsufficientFunds, TooManyOpenOrders, AccountBlocked, LimitExceeded; nothing is stored then. A repeat has its first
    answer, whatever is refused now: the rules may have changed since. Raises Unavailable for an unknown outcome.
    """
    [result] = place_orders([OrderRequest(user_id, market, terms, correlation_id, actor)])
    if isinstance(result, ExchangeError):
        raise result
    return result


def place_orders(requests: Sequence[OrderRequest | ExchangeError]) -> list[Accepted | ExchangeError]:
    """Store the orders that can be accepted, with their reserved funds and commands, and ring each market once.

    Returns a result for each request, in their order; an error among them is its own result. Raises Unavailable.
    """
    results = _place(requests)
    for request, result in zip(requests, results, strict=True):
        if isinstance(request, OrderRequest):
            count_result(request.market.symbol, result)
    return results


@again_on_deadlock
def _place(requests: Sequence[OrderRequest | ExchangeError]) -> list[Accepted | ExchangeError]:
    known: dict[Key, Order] | None = None
    checks_limits = False
    for _ in range(ATTEMPTS):
        # New drafts for each attempt, because the drafts of a rolled back transaction still have ids.
        now = timezone.now()
        reference = cache(reference_price)
        drafts = [each if isinstance(each, ExchangeError) else draft_of(each, now, reference) for each in requests]
        try:
            with transaction.atomic():
                decisions = _decide(drafts, checks_limits, known)
                _store([each for each in decisions if isinstance(each, Draft)], decided=checks_limits)
        except (CheckFailed, GuardFailed):
            checks_limits = True
        except IntegrityError:
            # Some of the client order ids belong to orders that are stored.
            earlier, known = known or {}, _stored_under_their_keys(drafts)
            if known.keys() == earlier.keys():
                raise
        else:
            return [_result(decision) for decision in decisions]
    raise Unavailable("the outcome is unknown: repeat the request with the same keys")


def draft_of(request: OrderRequest, now: datetime, reference: Reference) -> Draft:
    market, terms, refusal, fate = request.market, request.terms, None, None
    order = draft_order(request.user_id, market, terms, now, request.correlation_id)
    order.placed_by_id = None if request.actor is None else request.actor.user_id
    try:
        refuse_by_market(request.user_id, market, terms, reference)
        order.frozen = reserved(order, market)
        fate = fated(order, market, now, reference)
    except ExchangeError as error:
        refusal = error
    account = (request.user_id, market.pays_with(terms.side))
    return Draft(order, market, account, refusal, request.actor, fate)


def _decide(drafts: _Drafts, checks_limits: bool, known: Mapping[Key, Order] | None) -> list[_Decision]:
    """Decide each draft. The stored orders of the keys are read only if a refused draft may be a repeat."""
    limits = _lock_limits(drafts) if checks_limits else None
    decisions = _decide_in_turn(drafts, limits, known or {})
    if known is None and any(map(_is_refused_with_a_key, drafts, decisions)):
        decisions = _decide_in_turn(drafts, limits, _stored_under_their_keys(drafts))
    return decisions


def _lock_limits(drafts: _Drafts) -> Limits:
    """The users first, as the insert does; the balances before the numbers, as the worker does."""
    users = lock_exposures(each.order.user_id for draft in drafts if isinstance(draft, Draft) for each in draft.all)
    accepted = [each for draft in drafts if isinstance(draft, Draft) and not draft.refusal for each in draft.all]
    funds = lock_available({each.account for each in accepted})
    return Limits(users, funds, open_orders.lock_numbers(*_opened(accepted)))


def _decide_in_turn(drafts: _Drafts, limits: Limits | None, known: Mapping[Key, Order]) -> list[_Decision]:
    rest = None if limits is None else limits.copy()
    taken = dict(known)
    return [each if isinstance(each, ExchangeError) else _decide_one(each, rest, taken) for each in drafts]


def _decide_one(draft: Draft, limits: Limits | None, taken: dict[Key, Order]) -> _Decision:
    """Decide one draft; if it is accepted, its funds and its key are taken. Without `limits` they are not checked."""
    order = draft.order
    earlier = taken.get(draft.key)
    if earlier is not None:
        return _Repeat(order, earlier)
    if draft.refusal is not None:
        return draft.refusal
    if limits is not None and (refusal := take(draft, limits)) is not None:
        return refusal
    if order.client_order_id is not None:
        taken[draft.key] = order
    return draft


def _is_refused_with_a_key(draft: Draft | ExchangeError, decision: _Decision) -> bool:
    return isinstance(decision, ExchangeError) and isinstance(draft, Draft) and draft.order.client_order_id is not None


def _stored_under_their_keys(drafts: _Drafts) -> dict[Key, Order]:
    """The orders that are stored under the drafts' client order ids."""
    keys = {draft.key for draft in drafts if isinstance(draft, Draft) and draft.order.client_order_id is not None}
    users, texts = {user_id for user_id, _ in keys}, {text for _, text in keys}
    stored = Order.objects.filter(user_id__in=users, client_order_id__in=texts)
    return {key: order for order in stored if (key := (order.user_id, order.client_order_id)) in keys}


def _store(drafts: Sequence[Draft], *, decided: bool) -> None:
    """Orders, then commands, then balances and the numbers of open orders.

    `decided`: the users and the funds were looked at, and are locked. Raises IntegrityError, CheckFailed, GuardFailed.
    """
    if not drafts:
        return
    asked, drafts = drafts, [each for draft in drafts for each in draft.all]
    amounts: dict[Account, Decimal] = defaultdict(Decimal)
    for draft in drafts:
        if not draft.spends_available:
            amounts[draft.account] += draft.order.frozen
    if not decided:
        require_more({each.account: amounts.get(each.account, Decimal(0)) for each in drafts if each.spends_available})
    insert_orders([draft.order for draft in drafts], checks_users=not decided)
    order_ids.issued([draft.order.id for draft in drafts])
    submit_new([(draft.order, draft.fated) for draft in asked])
    record_placed((draft.order, draft.actor) for draft in drafts)
    freeze_all(amounts)
    open_orders.count_opened(*_opened(drafts))


def _opened(drafts: Sequence[Draft]) -> tuple[Counter[open_orders.Key], dict[str, int]]:
    """How many orders the drafts would open for each user in each market, and how many each market allows."""
    most = {each.market.symbol: each.market.max_open_orders for each in drafts}
    return Counter(draft.place for draft in drafts), most


def _result(decision: _Decision) -> Accepted | ExchangeError:
    if isinstance(decision, Draft):
        return Accepted(decision.order, is_repeated=False)
    if isinstance(decision, ExchangeError):
        return decision
    try:
        return repeat(decision.earlier, decision.draft)
    except ExchangeError as error:
        return error


def count_result(symbol: str, result: Accepted | ExchangeError) -> None:
    """Count the result, after the commit of the surrounding transaction if there is one."""
    if isinstance(result, ExchangeError):
        counter = ORDERS_REJECTED.labels(symbol, result.error, INTAKE)
    elif result.is_repeated:
        counter = ORDERS_DUPLICATE.labels(symbol)
    else:
        counter = ORDERS_RECEIVED.labels(symbol)
    transaction.on_commit(partial(counter.inc, 1))
