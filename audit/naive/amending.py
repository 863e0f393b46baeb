"""What changes an order that is there already: amend, and cancel-and-place in one command."""

from decimal import Decimal
from typing import Any

from audit.naive.auction import Auction
from audit.naive.orders import ZERO, NaiveOrder


class Amending(Auction):
    def missing_for(self, order: NaiveOrder, changes: dict[str, Any]) -> Decimal:
        """What has to be frozen beside what is, so that the order can have these values."""
        before = {name: getattr(order, name) for name in changes}
        owner = self._holder_of(order)
        for name, value in changes.items():
            setattr(order, name, value)
        missing = self.reservation_of(owner) - owner.frozen
        for name, value in before.items():
            setattr(order, name, value)
        return max(ZERO, missing)

    def apply_amend(self, order: NaiveOrder, changes: dict[str, Any], reserved: Decimal) -> None:
        """Change the order's values, or nothing at all."""
        self.freeze(order.user, order.pays_with, -reserved)
        if not self._is_amendable(order, changes, reserved):
            return self.record(order, reason="AMEND_REFUSED")
        moves = order in self.resting and (changes.get("price", order.price) != order.price or _grows(order, changes))
        for name, value in changes.items():
            setattr(order, name, value)
        self.refreeze(order)
        self.record(order, reason="AMENDED")
        if moves:
            order.moved = len(self.events)
            order.tip = None
            self.resting.remove(order)
            return self._rest_at_last(order) if self.status == "AUCTION" else self.take(order)
        if order.tip is not None:
            order.tip = min(order.tip, order.display or order.tip, order.rest)
        return None

    def _is_amendable(self, order: NaiveOrder, changes: dict[str, Any], reserved: Decimal) -> bool:
        if order not in self.resting + self.waiting or self.status not in ("TRADING", "AUCTION"):
            return False
        if changes.get("quantity", Decimal("Infinity")) <= order.filled + order.prevented:
            return False
        if "stop_price" in changes and order not in self.waiting:
            return False
        if self.missing_for(order, changes) > reserved:
            return False
        return not (order.post_only and self.status == "TRADING" and self._would_cross(order, changes))

    def _would_cross(self, order: NaiveOrder, changes: dict[str, Any]) -> bool:
        if order in self.waiting:
            return False
        before = order.price
        order.price = changes.get("price", before)
        crosses = bool(self.crossing(order))
        order.price = before
        return crosses

    def _holder_of(self, order: NaiveOrder) -> NaiveOrder:
        """Of an OCO the limit leg, which has the funds of both frozen."""
        partner = self.partner_of(order)
        return partner if order.stop and partner is not None else order

    def apply_replace(self, old: NaiveOrder, new: NaiveOrder, reserved: Decimal) -> None:
        """Cancel the old order, and take the new one in with what that released."""
        self.freeze(new.user, new.pays_with, -reserved)
        is_there = old in self.resting + self.waiting
        if is_there:
            self.close(old, "CANCELLED", "USER_CANCELLED")
        if not is_there:
            return self.close(new, "REJECTED", "NOTHING_TO_REPLACE")
        if self.need_of(new) > self.available[new.user, new.pays_with]:
            return self.close(new, "REJECTED", "INSUFFICIENT_FUNDS")
        self.refreeze(new)
        return self.accept(new)


def _grows(order: NaiveOrder, changes: dict[str, Any]) -> bool:
    return order.quantity is not None and changes.get("quantity", ZERO) > order.quantity
