"""Rounds of a class: paused, resumed and closed (`beginning` begins them), by the services that the API goes through.

To reset is to close the round and to begin the next one: trading is halted, all orders are cancelled, and when none is
open any more everybody is given the starting money again by transfers, each with a reference of its own. What was is
kept: orders, trades, ledger, and the last profits.

Each step is safe to repeat: one that was cut off is done again, and goes on where it was.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from time import monotonic, sleep

from django.db import transaction
from django.utils import timezone

from classroom.models import MOST_STRENGTH, Round, RoundState, Seat
from classroom.standing import read_standing
from commands.models import Command
from core.types import ACTIVE_PHASES, MarketStatus
from markets.services import REMEMBERED_SECONDS, change_market, read_market
from matching.models import OrderBook
from orders.accounts import cancel_for
from orders.models import Order
from users.acts import Actor

# How long whoever resets a round waits until no order is open; longer than a process goes by an old status.
QUIET_SECONDS, LOOK_SECONDS = 10.0, 0.1
# An order may be accepted for so long after the halt, by a process that has not noticed.
STRAGGLER_SECONDS = REMEMBERED_SECONDS + 0.2
# A market that was delisted while its round was open stays so.
STANDING_STILL = (MarketStatus.HALTED, MarketStatus.DELISTED)


class RoundRefused(Exception):
    """What cannot be done with a round now, in words."""


def open_round() -> Round | None:
    """The round that is not closed."""
    return Round.objects.filter(is_open=True).first()


def latest_round() -> Round | None:
    return Round.objects.order_by("-id").first()


def required_round() -> Round:
    """Raises RoundRefused where none is open."""
    found = open_round()
    if found is None:
        raise RoundRefused("no round is open: begin one first")
    return found


def elapsed(round_: Round, now: datetime) -> float:
    """How many seconds the round has traded."""
    since = round_.running_since
    return round_.ran_seconds + (max(0.0, (now - since).total_seconds()) if since is not None else 0.0)


def pause(actor: Actor) -> Round:
    """Halt the round's markets; orders stay where they are. Raises RoundRefused."""
    round_ = _change_state(RoundState.RUNNING, RoundState.PAUSED)
    set_status(symbols_of(round_), MarketStatus.HALTED, actor)
    return round_


def resume(actor: Actor) -> Round:
    """Let a round that is paused trade again. Raises RoundRefused."""
    round_ = _change_state(RoundState.PAUSED, RoundState.RUNNING)
    set_status(symbols_of(round_), MarketStatus.TRADING, actor)
    return round_


@transaction.atomic
def _change_state(before: RoundState, after: RoundState) -> Round:
    """Raises RoundRefused."""
    round_ = Round.objects.select_for_update().filter(is_open=True).first()
    if round_ is None or round_.state not in (before, after):
        state = "no round is open" if round_ is None else f"the round is {round_.state.lower()}"
        raise RoundRefused(f"{state}, and only one that is {before.lower()} can become {after.lower()}")
    now = timezone.now()
    round_.ran_seconds, round_.running_since = elapsed(round_, now), now if after is RoundState.RUNNING else None
    round_.state = after
    round_.save(update_fields=["ran_seconds", "running_since", "state"])
    return round_


def close_round(actor: Actor) -> Round:
    """Halt the round's markets, and cancel all orders in them. `finish_round` comes when none is open any more.

    Raises RoundRefused.
    """
    with transaction.atomic():
        round_ = Round.objects.select_for_update().filter(is_open=True).first()
        if round_ is None:
            raise RoundRefused("no round is open")
        round_.ran_seconds, round_.running_since = elapsed(round_, timezone.now()), None
        round_.state = RoundState.CLOSING
        round_.save(update_fields=["ran_seconds", "running_since", "state"])
    symbols = symbols_of(round_)
    set_status(symbols, MarketStatus.HALTED, actor)
    cancel_open_orders(symbols, actor)
    return round_


def cancel_open_orders(symbols: Sequence[str], actor: Actor) -> None:
    """Cancel every open order in these markets, whoever placed it."""
    active = Order.objects.filter(market_id__in=symbols, phase__in=ACTIVE_PHASES)
    for symbol, user_id in sorted(set(active.values_list("market_id", "user_id"))):
        cancel_for(user_id, actor, symbol)


def is_waiting(symbols: Sequence[str]) -> bool:
    """Whether commands wait in the markets."""
    return Command.objects.filter(market_id__in=symbols).exists()


def is_quiet(symbols: Sequence[str]) -> bool:
    """Whether the markets stand still, no command waits in them, and no order is open."""
    # Commands first: what one of them makes of an order is stored by the transaction that deletes it.
    if is_waiting(symbols):
        return False
    if OrderBook.objects.filter(market_id__in=symbols).exclude(status__in=STANDING_STILL).exists():
        return False
    return not Order.objects.filter(market_id__in=symbols, phase__in=ACTIVE_PHASES).exists()


def wait_until_quiet(
    symbols: Sequence[str], actor: Actor, seconds: float = QUIET_SECONDS, *, closing: Round | None = None
) -> None:
    """Wait for the engine, outside of any transaction. Raises RoundRefused if it takes too long.

    Not where somebody else has closed the round meanwhile: the orders are those of the next one then.
    """
    sleep(STRAGGLER_SECONDS)
    deadline = monotonic() + seconds
    if closing is not None and not Round.objects.filter(pk=closing.pk, is_open=True).exists():
        return
    # Of an order that was accepted after the first look.
    cancel_open_orders(symbols, actor)
    while not is_quiet(symbols):
        if monotonic() > deadline:
            raise RoundRefused("orders are still being cancelled: try again in a moment; nothing is lost meanwhile")
        sleep(LOOK_SECONDS)


@transaction.atomic
def finish_round(closing: Round) -> Round:
    """Keep the last profits, and where the round ends in the markets' sequences. Raises RoundRefused.

    Nothing is open in the markets. Of two who finish it the second finds it closed.
    """
    round_ = Round.objects.select_for_update().get(pk=closing.pk)
    if round_.state == RoundState.CLOSED:
        return round_
    if round_.state != RoundState.CLOSING or not is_quiet(symbols_of(round_)):
        raise RoundRefused("orders are still being cancelled: try again in a moment")
    for line in read_standing(round_):
        Seat.objects.filter(round=round_, user_id=line.user_id).update(profit=line.profit)
    sequences = dict(OrderBook.objects.values_list("market_id", "next_sequence"))
    for market in round_.markets.all():
        market.end_sequence = max(sequences.get(market.market_id, 1), market.first_sequence)
        market.save(update_fields=["end_sequence"])
    round_.state, round_.is_open, round_.ended_at = RoundState.CLOSED, None, timezone.now()
    round_.save(update_fields=["state", "is_open", "ended_at"])
    return round_


def end_round(actor: Actor, seconds: float = QUIET_SECONDS) -> Round:
    """Close the open round, and wait until it is closed. Raises RoundRefused."""
    round_ = close_round(actor)
    wait_until_quiet(symbols_of(round_), actor, seconds, closing=round_)
    return finish_round(round_)


def set_strength(percent: int) -> Round:
    """How much the bots trade, in percent. Raises RoundRefused."""
    if not 0 <= percent <= MOST_STRENGTH:
        raise RoundRefused(f"the strength is {percent}, it must be between 0 and {MOST_STRENGTH} percent")
    round_ = required_round()
    Round.objects.filter(pk=round_.pk).update(strength=percent)
    round_.strength = percent
    return round_


def seconds_left(round_: Round, now: datetime) -> float:
    """Until the scenario ends the round; without an end infinity."""
    seconds = float(round_.plan.get("seconds") or math.inf)
    return max(0.0, seconds - elapsed(round_, now))


def symbols_of(round_: Round) -> list[str]:
    return list(round_.markets.order_by("id").values_list("market_id", flat=True))


def set_status(symbols: Sequence[str], status: MarketStatus, actor: Actor) -> None:
    """Set the trading status of those that have another one, and are not delisted."""
    for symbol in symbols:
        market = read_market(symbol)
        if market.status not in (status, MarketStatus.DELISTED):
            change_market(market, actor, status=status.value)
