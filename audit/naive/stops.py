"""Stops: they wait for a price, become due by it, and fire one after the other."""

from audit.naive.matching import Matching
from audit.naive.orders import NaiveOrder


class Stops(Matching):
    def accept(self, order: NaiveOrder) -> None:
        """A new order: a stop begins to wait, any other is matched."""
        if order.stop is None or self.status != "TRADING":
            return self._match(order)
        order.status, order.extreme = "WAITING", self.last_price
        self.waiting.append(order)
        return self.record(order)

    def look_at_the_last_price(self) -> None:
        """After each command and after each stop that fired: stops trail, and those that are reached become due."""
        for order in self.waiting:
            if order.stop == "TRAILING" and self.last_price is not None:
                prices = [self.last_price] if order.extreme is None else [self.last_price, order.extreme]
                order.extreme = min(prices) if order.is_buy else max(prices)
        if self.status != "TRADING":
            return
        reached = [order for order in self.waiting if order.is_reached_by(self.last_price)]
        for order in sorted(reached, key=_turn):
            if self.has_to_stop or (self.triggers_until is not None and len(self.events) >= self.triggers_until):
                return
            self._become_due(order)

    def fire_next(self) -> None:
        """Match the next order that is due. It ends, rests, or in a replay stays where it had to stop."""
        order = self.due[0]
        self._match(order)
        if order in self.resting:
            self.due.remove(order)

    def _become_due(self, order: NaiveOrder) -> None:
        self.waiting.remove(order)
        self.due.append(order)
        partner = self.partner_of(order)
        order.status = "TRIGGERED"
        self.record(order, reason="TRIGGERED")
        order.moved = len(self.events)
        if partner is not None:
            self.close(partner, "CANCELLED", "OCO")


def _turn(order: NaiveOrder) -> tuple[bool, object, int | None]:
    """Upward ones by rising price, then downward ones by falling price, at one price the oldest first."""
    assert order.trigger is not None
    rises = order.waits_for_a_rise
    return not rises, order.trigger if rises else -order.trigger, order.sequence
