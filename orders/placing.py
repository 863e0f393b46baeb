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

from django.db import IntegrityError, transaction
from django.utils import timezone

from balances.services import freeze_all, insufficient_funds, read_available
from base.storage.bulk import GuardFailed
from base.storage.deadlocks import again_on_deadlock
from base.web.errors import ExchangeError, Unavailable
from commands.queue import submit
from markets.models import Market
from matching.models import CommandKind
from orders.counting import count_placed
from orders.inserts import insert_orders
from orders.models import Order
from orders.services import frozen_currency
from orders.terms import NewOrder, Placed, draft_order, refuse_by_market, replay

# The keys may turn out to be taken once, and the funds to be spent once; more is a storm of repetitions.
ATTEMPTS = 5

Account = tuple[int, str]
Key = tuple[int, str | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One order of a batch: whose, where and what."""

    user_id: int
    market: Market
    wanted: NewOrder


@dataclass(frozen=True, slots=True)
class _Draft:
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


_Drafts = Sequence[_Draft | ExchangeError]
# A draft is stored, a repetition answers as the order before it, an error is told.
_Decision = _Draft | _Repetition | ExchangeError


def place_orders(asked: Sequence[Asked | ExchangeError]) -> list[Placed | ExchangeError]:
    """Store those that can be, with their reserved funds and commands, and ring each of their markets once.

    One result for each, in the same order; what was refused before stays refused. Raises Unavailable.
    """
    results = _place(asked)
    for each, result in zip(asked, results, strict=True):
        if isinstance(each, Asked):
            count_placed(each.market.symbol, result)
    return results


@again_on_deadlock
def _place(asked: Sequence[Asked | ExchangeError]) -> list[Placed | ExchangeError]:
    known: dict[Key, Order] | None = None
    is_locked = False
    for _ in range(ATTEMPTS):
        # Drafted anew each time: a row that was rolled back still has the id that it was given.
        now = timezone.now()
        drafts = [each if isinstance(each, ExchangeError) else _draft(each, now) for each in asked]
        try:
            with transaction.atomic():
                decisions = _decide(drafts, is_locked, known)
                _store([each for each in decisions if isinstance(each, _Draft)])
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


def _draft(asked: Asked, now: datetime) -> _Draft:
    refusal = None
    try:
        refuse_by_market(asked.market, asked.wanted)
    except ExchangeError as error:
        refusal = error
    account = (asked.user_id, frozen_currency(asked.market, asked.wanted.side))
    return _Draft(draft_order(asked.user_id, asked.market, asked.wanted, now), account, refusal)


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


def _decide_one(draft: _Draft, funds: dict[Account, Decimal], taken: dict[Key, Order]) -> _Decision:
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
    return {each.account for each in drafts if isinstance(each, _Draft) and not each.refusal and each.order.frozen}


def _is_refused_with_a_key(draft: _Draft | ExchangeError, decision: _Decision) -> bool:
    return isinstance(decision, ExchangeError) and isinstance(draft, _Draft) and draft.order.client_order_id is not None


def _stored_under_their_keys(drafts: _Drafts) -> dict[Key, Order]:
    """The orders stored before under the drafts' client order ids."""
    keys = {draft.key for draft in drafts if isinstance(draft, _Draft) and draft.order.client_order_id is not None}
    users, texts = {user_id for user_id, _ in keys}, {text for _, text in keys}
    stored = Order.objects.filter(user_id__in=users, client_order_id__in=texts)
    return {key: order for order in stored if (key := (order.user_id, order.client_order_id)) in keys}


def _store(drafts: Sequence[_Draft]) -> None:
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


def _result(decision: _Decision) -> Placed | ExchangeError:
    if isinstance(decision, _Draft):
        return Placed(decision.order, replayed=False)
    if isinstance(decision, ExchangeError):
        return decision
    try:
        return replay(decision.earlier, decision.draft)
    except ExchangeError as error:
        return error
