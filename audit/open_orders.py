"""The checks of a market's present state: its open orders, its book, its inbox, its status and its dead letters."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from django.conf import settings

from audit.checks import Check, Report
from audit.fees import reserved_for_fees, spent_on_fees
from audit.reference_data import MarketState, ReferenceData
from audit.rows import CommandRow, OrderRow, fetch_plain
from audit.scope import Scope
from core.money import UNIT, plain_units
from core.types import TRADING_STATUS_AFTER, CommandKind, MarketStatus, OrderType, Phase, Status
from markets.models import Market, market_errors
from orders.models import OpenOrders

# Where an active order of a status is, unless it is on its way through the book.
_PHASES = {
    Status.PENDING.value: Phase.TAKING,
    Status.WAITING.value: Phase.WAITING,
    Status.TRIGGERED.value: Phase.TAKING,
    Status.OPEN.value: Phase.RESTING,
    Status.PARTIALLY_FILLED.value: Phase.RESTING,
}
# The commands that end a PENDING order's waiting.
_BRINGING = (CommandKind.NEW.value, CommandKind.REPLACE.value, CommandKind.OCO.value, CommandKind.REFUSE.value)
# The amounts that active orders have frozen, by user id and currency.
Reserved = defaultdict[tuple[int, str], int]


def check_open_orders(report: Report, data: ReferenceData, scope: Scope, reserved: Reserved) -> None:
    """Check the present state of the market, and add what its orders have frozen to `reserved`."""
    legs = _legs(scope)
    for order in scope.orders.values():
        data.user(order.user_id, order.name)
        if order.placed_by_id is not None:
            data.user(order.placed_by_id, order.name)
        _check_order(report, order, scope, legs)
        if order.frozen:
            reserved[order.user_id, scope.market.pays_with(order.side)] += order.frozen
    report.count((Check.RESERVE, Check.END, Check.TIP), len(scope.orders))
    for command in scope.market.commands:
        asking = scope.orders.get(command.order_id or 0)
        if command.reserved and asking is not None:
            reserved[asking.user_id, scope.market.pays_with(asking.side)] += command.reserved
    _check_crossed(report, scope)
    _check_delisted(report, scope)
    _check_numbers(report, scope)
    _check_commands(report, scope)
    _check_dead_letters(report, data, scope)
    check_status(report, data, scope.market)


def check_rules(report: Report) -> None:
    """Check that the limits of each market keep the rules that are asked when they are changed."""
    markets = list(Market.objects.select_related("base", "quote"))
    for market in markets:
        for message in market_errors(market).values():
            report.add(Check.RULES, message, [f"market {market.symbol}"])
    report.count([Check.RULES], len(markets))


def _check_inbox(report: Report, data: ReferenceData, market: MarketState) -> None:
    """Check that no command waits too long, also in a halted market: its worker applies cancels and rejects orders."""
    report.count([Check.SERVED], len(market.commands))
    longest = timedelta(seconds=settings.INTAKE_MAX_AGE_SECONDS)
    late = [f"command {command.id}" for command in market.commands if data.now - command.created_at > longest]
    if late:
        oldest = min(command.created_at for command in market.commands)
        waited = (data.now - oldest).total_seconds()
        limit = f"{settings.INTAKE_MAX_AGE_SECONDS:g} s"
        report.add(Check.SERVED, f"{market.symbol} is not served", late, limit, f"{waited:.0f} s")


def check_status(report: Report, data: ReferenceData, market: MarketState) -> None:
    """Check that the status of the market, of its book and of its last change agree, and that its inbox is served."""
    report.count((Check.STATUS, Check.CHANGES), 1)
    _check_inbox(report, data, market)
    rows = [f"market {market.symbol}"]
    for before, after in pairwise(market.changes):
        if before.sequence > after.sequence:
            names = [f"status change {before.id}", f"status change {after.id}"]
            report.add(Check.CHANGES, "changes out of order", names, f"from {before.sequence}", after.sequence)
    if market.book is None:
        if market.changes:
            report.add(Check.CHANGES, "changes without a book", rows, "a book", "none")
        return
    if market.changes and market.changes[-1].status != market.book.status:
        report.add(Check.CHANGES, "the book's status", rows, market.changes[-1].status, market.book.status)
    if market.changes and market.changes[-1].sequence > market.next_sequence:
        report.add(
            Check.CHANGES, "a change to come", rows, f"at most {market.next_sequence}", market.changes[-1].sequence
        )
    status_will_change = any(command.kind in TRADING_STATUS_AFTER for command in market.commands)
    if market.status != market.book.status and not status_will_change:
        report.add(Check.STATUS, "market and book differ", rows, market.book.status, market.status)


def _legs(scope: Scope) -> dict[int, list[OrderRow]]:
    """The active legs of each OCO."""
    found: defaultdict[int, list[OrderRow]] = defaultdict(list)
    for order in scope.orders.values():
        if order.group_id is not None and order.active:
            found[order.group_id].append(order)
    return found


def _check_order(report: Report, order: OrderRow, scope: Scope, legs: dict[int, list[OrderRow]]) -> None:
    owed = _reservation(scope.market, order, legs.get(order.group_id or 0, []))
    if order.frozen != owed:
        report.add(Check.RESERVE, "frozen", [order.name], plain_units(owed), plain_units(order.frozen))
    may_be_active = order.status in _PHASES and order.reason is None
    is_taking = order.id == scope.market.unfinished
    phase = (Phase.TAKING if is_taking else _PHASES[order.status]) if may_be_active else Phase.CLOSED
    if order.phase != phase or may_be_active != (order.closed_at is None):
        actual = f"{order.status} {order.reason or ''} {order.phase} {order.closed_at or ''}"
        report.add(Check.END, "its end", [order.name], f"{phase}, in all of its columns", actual)
    if order.rests and (order.display_quantity is not None or order.tip is not None):
        _check_tip(report, order)


def _check_tip(report: Report, order: OrderRow) -> None:
    left = (order.quantity or 0) - order.filled_quantity - (order.prevented_quantity or 0)
    most, tip = min(order.display_quantity or 0, left), order.tip or 0
    if not 0 < tip <= most:
        report.add(Check.TIP, "its tip", [order.name], f"more than 0 and at most {plain_units(most)}", plain_units(tip))


def _reservation(market: MarketState, order: OrderRow, legs: Sequence[OrderRow]) -> int:
    """The amount that the order must have frozen. Of an OCO the limit leg has what the dearer of both legs needs."""
    if not order.active or order.id in market.replacing:
        # What a new order needs beyond the frozen funds of the one that it replaces is its command's until then.
        return 0
    if len(legs) == 2:
        return max(_need(market, leg) for leg in legs) if order.type == OrderType.LIMIT else 0
    return _need(market, order)


def _need(market: MarketState, order: OrderRow) -> int:
    """What an order by itself may still spend, or nothing for a MARKET BUY by quantity."""
    left = order.remaining
    if left is None:
        spent = order.filled_notional + spent_on_fees(market, order) + (order.prevented_notional or 0)
        return (order.quote_quantity or 0) - spent
    if order.side == "SELL":
        return left
    return 0 if order.price is None else order.price * left // UNIT + reserved_for_fees(market, order, left)


def _check_crossed(report: Report, scope: Scope) -> None:
    """Check that the best bid is below the best ask, unless the market has to open yet after an auction.

    The unfinished taker does not rest, and may cross the book.
    """
    report.count([Check.CROSSED], 1)
    if scope.market.may_cross:
        return
    best: dict[str, OrderRow] = {}
    for order in scope.orders.values():
        if order.rests and order.price is not None:
            other = best.get(order.side)
            sign = 1 if order.side == "BUY" else -1
            if other is None or other.price is None or order.price * sign > other.price * sign:
                best[order.side] = order
    bid, ask = best.get("BUY"), best.get("SELL")
    if bid and ask and bid.price is not None and ask.price is not None and bid.price >= ask.price:
        actual = f"{plain_units(bid.price)} and {plain_units(ask.price)}"
        report.add(Check.CROSSED, f"{scope.market.symbol} is crossed", [bid.name, ask.name], "bid below ask", actual)


def _check_delisted(report: Report, scope: Scope) -> None:
    """Check that nothing rests or waits in a market that was delisted, once its orders have been cancelled."""
    market = scope.market
    report.count([Check.DELISTED], 1)
    is_delisted = market.book is not None and market.book.status == MarketStatus.DELISTED
    if not is_delisted or any(command.kind == CommandKind.DELIST for command in market.commands):
        return
    left = [order.name for order in scope.orders.values() if order.rests or order.waits]
    if left:
        report.add(Check.DELISTED, f"{market.symbol} is delisted", left, "no resting orders", len(left))


def _check_numbers(report: Report, scope: Scope) -> None:
    """Check the numbers of open orders that intake goes by."""
    expected = Counter(order.user_id for order in scope.orders.values() if order.active)
    rows = OpenOrders.objects.filter(market=scope.market.symbol).exclude(number=0).values_list("user_id", "number")
    found = dict(fetch_plain(rows))
    for user_id in sorted(expected.keys() | found.keys()):
        if expected[user_id] != found.get(user_id, 0):
            names = [f"open orders of user {user_id} in {scope.market.symbol}"]
            report.add(Check.OPEN, "open orders", names, expected[user_id], found.get(user_id, 0))
    report.count([Check.OPEN], len(expected.keys() | found.keys()))


def _check_commands(report: Report, scope: Scope) -> None:
    market = scope.market
    bringing = Counter(order_id for command in market.commands for order_id in _brought(command))
    # One that the sandbox holds will bring it.
    bringing.update(market.held)
    pending = 0
    for order in scope.orders.values():
        if order.status in (Status.PENDING, Status.TRIGGERED) and order.active:
            pending += 1
            if bringing[order.id] != 1:
                report.add(Check.PENDING, "commands that bring it", [order.name], 1, bringing[order.id])
    report.count([Check.PENDING], pending)
    for command in market.commands:
        _check_command(report, scope, command)
    for order_id in market.held:
        hanging = scope.orders.get(order_id)
        if hanging is None or hanging.status != Status.PENDING:
            found = None if hanging is None else hanging.status
            report.add(Check.COMMAND, "the command of an order is held", [f"order {order_id}"], Status.PENDING, found)
    report.count([Check.COMMAND], len(market.commands) + len(market.held))
    _check_unfinished(report, market, bringing)


def _brought(command: CommandRow) -> list[int]:
    """The orders that the command takes in, or lets fire."""
    if command.kind not in (*_BRINGING, CommandKind.TRIGGER) or command.order_id is None:
        return []
    return [command.order_id, *([command.details["stop"]] if command.kind == CommandKind.OCO else [])]


def _check_unfinished(report: Report, market: MarketState, bringing: Counter[int]) -> None:
    """Check that what is unfinished has the command with which it goes on."""
    book = market.book
    if book is None:
        return
    rows = [f"book {market.symbol}", f"order {market.unfinished}"]
    if book.unfinished_command_id is not None:
        found = sum(command.id == book.unfinished_command_id for command in market.commands)
    elif market.unfinished is not None:
        found = bringing[market.unfinished]
    else:
        return
    if found != 1:
        report.add(Check.COMMAND, "the unfinished taker cannot go on", rows, "1 command", found)


def _check_command(report: Report, scope: Scope, command: CommandRow) -> None:
    if command.kind in TRADING_STATUS_AFTER:
        if command.order_id is not None:
            message = "a command that sets the status names an order"
            report.add(Check.COMMAND, message, [f"command {command.id}"], "none", command.order_id)
        return
    order = scope.orders.get(command.order_id or 0)
    rows = [f"command {command.id}", f"order {command.order_id}"]
    if order is None:
        report.add(Check.COMMAND, f"its order does not exist in {scope.market.symbol}", rows)
        return
    # Only the unfinished taker has been applied in part.
    is_unfinished = order.id == scope.market.unfinished
    expected = Status.TRIGGERED if command.kind == CommandKind.TRIGGER else Status.PENDING
    waits = order.active and (order.status == expected or is_unfinished)
    if command.order_id in _brought(command) and not waits:
        report.add(Check.COMMAND, "its order was applied already", rows, expected, order.status)


def _check_dead_letters(report: Report, data: ReferenceData, scope: Scope) -> None:
    mine = [letter for letter in data.dead_letters if letter.market_id == scope.market.symbol]
    named = {letter.order_id for letter in mine}
    failed = {order.id for order in scope.orders.values() if order.status == Status.FAILED}
    for order_id in sorted(failed - named):
        report.add(Check.FAILED, "failed without a dead letter", [f"order {order_id}"], "a dead letter", "none")
    for letter in mine:
        order = scope.orders.get(letter.order_id or 0)
        rows = [f"dead letter {letter.id}", f"order {letter.order_id}"]
        if order is None:
            # The order may be outside the scope, unless the scope is full.
            if letter.order_id is not None and scope.is_full:
                report.add(Check.FAILED, "its order does not exist", rows)
        elif letter.kind in (*_BRINGING, CommandKind.TRIGGER) and order.status != Status.FAILED:
            report.add(Check.FAILED, "its order did not fail", rows, Status.FAILED, order.status)
    report.count([Check.FAILED], len(mine))
