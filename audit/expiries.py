"""The check of what says when GTD orders are due."""

from audit.checks import Check, Report
from audit.reference_data import ReferenceData
from audit.scope import Scope
from core.types import CommandKind
from orders.models import OrderExpiry


def check_expiries(report: Report, data: ReferenceData, scope: Scope) -> None:
    """Each open GTD order has its row with its time, or without where its command is stored; no other order has one."""
    symbol = scope.market.symbol
    due = dict(OrderExpiry.objects.filter(market=symbol).values_list("id", "due_at"))
    timed = {order.id: order for order in scope.orders.values() if order.active and order.expires_at is not None}
    asked = {each.order_id for each in scope.market.commands if each.kind == CommandKind.EXPIRE}
    asked |= {each.order_id for each in data.dead_letters if each.kind == CommandKind.EXPIRE}
    report.count([Check.EXPIRY], len(timed))
    for order in timed.values():
        if order.id not in due:
            report.add(Check.EXPIRY, "nothing says when it is due", [order.name], order.expires_at, "none")
        elif due[order.id] is None and order.id not in asked:
            report.add(Check.EXPIRY, "the command that closes it is gone", [order.name], "a command", "none")
        elif due[order.id] not in (None, order.expires_at):
            report.add(Check.EXPIRY, "it is due at another time", [order.name], order.expires_at, due[order.id])
    for order_id in due.keys() - timed.keys():
        if scope.is_full or order_id in scope.orders:
            report.add(Check.EXPIRY, "it is due and not open", [f"order {order_id}"], "no time", due[order_id])
