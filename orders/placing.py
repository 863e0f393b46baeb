"""Placing many orders in one transaction: each is accepted or refused on its own, as if they came one after the other.

The balances' rows are changed last, so that they are locked for as short as can be: the worker may be waiting for
them. Who has funds is decided from what was read without a lock. Where somebody else spent them meanwhile the guard of
the update tells, and all is done again with the balances locked first.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from balances.services import freeze_all, insufficient_funds, read_available
from base.storage.bulk import GuardFailed, insert_for_ids
from base.storage.fields import AmountField
from base.storage.outages import again_on_deadlock
from base.telemetry.metrics import INTAKE, ORDERS_DUPLICATE, ORDERS_RECEIVED, ORDERS_REJECTED
from base.web.errors import ExchangeError, Unavailable
from commands.queue import submit
from core.money import to_units
from core.types import CommandKind
from markets.models import Market
from orders.models import Order
from orders.terms import Accepted, OrderTerms, draft_order, frozen_currency, refuse_by_market, replay

# The keys may turn out to be taken once, and the funds to be spent once; more is a storm of repetitions.
ATTEMPTS = 5

Account = tuple[int, str]
Key = tuple[int, str | None]


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order of a batch: whose, where and what."""

    user_id: int
    market: Market
    wanted: OrderTerms


@dataclass(frozen=True, slots=True)
class Draft:
    """A row that may be stored, the balance that it reserves funds of, and what its market refuses it for."""

    order: Order
    account: Account
    refusal: ExchangeError | None

    @property
    def key(self) -> Key:
        return self.order.user_id, self.order.client_order_id


@dataclass(frozen=True, slots=True)
class _Repetition:
    """A draft whose client order id is an earlier order's."""

    draft: Order
    earlier: Order


_Drafts = Sequence[Draft | ExchangeError]
# A draft is stored, a repetition answers as the order before it, an error is told.
_Decision = Draft | _Repetition | ExchangeError


def place_orders(asked: Sequence[OrderRequest | ExchangeError]) -> list[Accepted | ExchangeError]:
    """Store those that can be, with their reserved funds and commands, and ring each of their markets once.

    One result for each, in the same order; what was refused before stays refused. Raises Unavailable.
    """
    results = _place(asked)
    for each, result in zip(asked, results, strict=True):
        if isinstance(each, OrderRequest):
            count_placed(each.market.symbol, result)
    return results


@again_on_deadlock
def _place(asked: Sequence[OrderRequest | ExchangeError]) -> list[Accepted | ExchangeError]:
    known: dict[Key, Order] | None = None
    is_locked = False
    for _ in range(ATTEMPTS):
        # Drafted anew each time: a row that was rolled back still has the id that it was given.
        now = timezone.now()
        drafts = [each if isinstance(each, ExchangeError) else _draft(each, now) for each in asked]
        try:
            with transaction.atomic():
                decisions = _decide(drafts, is_locked, known)
                _store([each for each in decisions if isinstance(each, Draft)])
        except GuardFailed:
            is_locked = True
        except IntegrityError:
            # Some of the client order ids were stored already, or meanwhile.
            earlier, known = known or {}, _stored_under_their_keys(drafts)
            if known.keys() == earlier.keys():
                raise
        else:
            return [_result(decision) for decision in decisions]
    raise Unavailable("the outcome is unknown: repeat the request with the same keys")


def _draft(asked: OrderRequest, now: datetime) -> Draft:
    refusal = None
    try:
        refuse_by_market(asked.market, asked.wanted)
    except ExchangeError as error:
        refusal = error
    account = (asked.user_id, frozen_currency(asked.market, asked.wanted.side))
    return Draft(draft_order(asked.user_id, asked.market, asked.wanted, now), account, refusal)


def _decide(drafts: _Drafts, is_locked: bool, known: Mapping[Key, Order] | None) -> list[_Decision]:
    """What becomes of each. The keys are looked up only where one could answer in place of a refusal."""
    funds = read_available(_accounts(drafts), locked=is_locked)
    decisions = _decide_in_turn(drafts, funds, known or {})
    if known is None and any(map(_is_refused_with_a_key, drafts, decisions)):
        decisions = _decide_in_turn(drafts, funds, _stored_under_their_keys(drafts))
    return decisions


def _decide_in_turn(
    drafts: _Drafts, available: Mapping[Account, Decimal], known: Mapping[Key, Order]
) -> list[_Decision]:
    funds, taken = dict(available), dict(known)
    decisions: list[_Decision] = []
    for draft in drafts:
        decisions.append(draft if isinstance(draft, ExchangeError) else _decide_one(draft, funds, taken))
    return decisions


def _decide_one(draft: Draft, funds: dict[Account, Decimal], taken: dict[Key, Order]) -> _Decision:
    """Takes the order's funds and its key, if it is accepted."""
    order = draft.order
    earlier = taken.get(draft.key)
    if earlier is not None:
        return _Repetition(order, earlier)
    if draft.refusal is not None:
        return draft.refusal
    if order.frozen:
        rest = funds.get(draft.account, Decimal(0)) - order.frozen
        if rest < 0:
            return insufficient_funds(draft.account[1], order.frozen)
        funds[draft.account] = rest
    if order.client_order_id is not None:
        taken[draft.key] = order
    return draft


def _accounts(drafts: _Drafts) -> set[Account]:
    """The balances that have to be known."""
    return {each.account for each in drafts if isinstance(each, Draft) and not each.refusal and each.order.frozen}


def _is_refused_with_a_key(draft: Draft | ExchangeError, decision: _Decision) -> bool:
    return isinstance(decision, ExchangeError) and isinstance(draft, Draft) and draft.order.client_order_id is not None


def _stored_under_their_keys(drafts: _Drafts) -> dict[Key, Order]:
    """The orders stored before under the drafts' client order ids."""
    keys = {draft.key for draft in drafts if isinstance(draft, Draft) and draft.order.client_order_id is not None}
    users, texts = {user_id for user_id, _ in keys}, {text for _, text in keys}
    stored = Order.objects.filter(user_id__in=users, client_order_id__in=texts)
    return {key: order for order in stored if (key := (order.user_id, order.client_order_id)) in keys}


def _store(drafts: Sequence[Draft]) -> None:
    """Orders, then commands, then balances. Raises IntegrityError and GuardFailed."""
    if not drafts:
        return
    insert_orders([draft.order for draft in drafts])
    submit(CommandKind.NEW, [(draft.order.market_id, draft.order.id) for draft in drafts])
    amounts: dict[Account, Decimal] = defaultdict(Decimal)
    for draft in drafts:
        if draft.order.frozen:
            amounts[draft.account] += draft.order.frozen
    freeze_all(amounts)


def _result(decision: _Decision) -> Accepted | ExchangeError:
    if isinstance(decision, Draft):
        return Accepted(decision.order, replayed=False)
    if isinstance(decision, ExchangeError):
        return decision
    try:
        return replay(decision.earlier, decision.draft)
    except ExchangeError as error:
        return error


def count_placed(symbol: str, result: Accepted | ExchangeError) -> None:
    """Once the surrounding transaction commits, if there is one."""
    if isinstance(result, ExchangeError):
        counter = ORDERS_REJECTED.labels(symbol, result.error, INTAKE)
    elif result.replayed:
        counter = ORDERS_DUPLICATE.labels(symbol)
    else:
        counter = ORDERS_RECEIVED.labels(symbol)
    transaction.on_commit(partial(counter.inc, 1))


_FIELDS = [field for field in Order._meta.concrete_fields if not field.primary_key]
_NAMES = [field.name for field in _FIELDS]
_AMOUNTS = [place for place, field in enumerate(_FIELDS) if isinstance(field, AmountField)]
_values = itemgetter(*(field.attname for field in _FIELDS))


def insert_orders(orders: Sequence[Order]) -> None:
    """Store new orders in the order given, by one INSERT, in the caller's transaction; each has its id afterwards."""
    ids = insert_for_ids(Order, _NAMES, [_row(order) for order in orders])
    if len(ids) < len(orders):
        ids = _read_ids(orders, ids[0])
    for order, order_id in zip(orders, ids, strict=True):
        order.id = order_id


def _row(order: Order) -> list[Any]:
    row = list(_values(order.__dict__))
    for place in _AMOUNTS:
        if row[place] is not None:
            row[place] = to_units(row[place])
    return row


def _read_ids(orders: Sequence[Order], first: int) -> list[int]:
    """For MySQL, which tells of a statement's ids only the first.

    It gives them in the order of the rows, by steps that the server's settings decide. So they are read back, not
    reckoned: the users' rows from the first id on, each known by its correlation id.
    """
    theirs = Order.objects.filter(user_id__in={order.user_id for order in orders}, id__gte=first)
    ids = dict(theirs.values_list("correlation_id", "id"))
    found = [ids[order.correlation_id] for order in orders]
    assert len(set(found)) == len(orders), "a batch's orders are told apart by their correlation ids"
    return found
