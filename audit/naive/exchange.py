"""The commands of the naive twin: they wait in a queue, and are applied in order."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from audit.naive.amending import Amending
from audit.naive.orders import QUOTE, ZERO, NaiveOrder


class NaiveExchange(Amending):
    def __init__(self, lot: Decimal, base_step: Decimal = Decimal("1e-8"), quote_step: Decimal = Decimal("1e-8")):
        super().__init__(lot, base_step, quote_step)
        self.queue: list[Callable[[], None]] = []

    # Intake: what is asked for, frozen and put into the queue. False is a refusal, which changes nothing.

    def is_refused(self, order: NaiveOrder) -> bool:
        """Whether POST /orders refuses a price out of the band, or a MARKET BUY of who has nothing available."""
        if order.price is None:
            return order.is_buy and not self.available[order.user, QUOTE]
        return not self.is_within(order, order.price, self.reference())

    def place(self, order: NaiveOrder) -> bool:
        """Freeze and queue, as POST /orders does. False if the funds do not suffice."""
        return self._store([order]) and self._queue(partial(self.accept, order))

    def place_oco(self, stop: NaiveOrder, limit: NaiveOrder) -> bool:
        """Both legs, which have the same `group`."""
        return self._store([stop, limit]) and self._queue(partial(self._accept_oco, stop, limit))

    def amend(self, order_id: int, changes: dict[str, Any], reserved: Decimal | None = None) -> bool:
        """Amend an order. What has to be frozen for it is what it misses now, unless intake has counted otherwise."""
        order = self.orders[order_id]
        missing = self.missing_for(order, changes) if reserved is None else reserved
        return self._reserve(order, missing) and self._queue(partial(self.apply_amend, order, changes, missing))

    def replace(self, old_id: int, order: NaiveOrder, reserved: Decimal | None = None) -> bool:
        old = self.orders[old_id]
        lent = old.frozen if old.pays_with == order.pays_with else ZERO
        missing = max(ZERO, self.need_of(order) - lent) if reserved is None else reserved
        if not self._reserve(order, missing):
            return False
        self.orders[order.id] = order
        return self._queue(partial(self.apply_replace, old, order, missing))

    def cancel(self, order_id: int, reason: str = "USER_CANCELLED") -> None:
        self._queue(partial(self._cancel, self.orders[order_id], reason))

    def expire(self, order_id: int) -> None:
        """The time of a GTD order is over."""
        self._queue(partial(self._expire, self.orders[order_id]))

    # What the engine does, and what it did in a replay.

    def place_refused(self, order: NaiveOrder, reason: str) -> bool:
        """An order that was to replace another one, and could not; or that the sandbox was asked to reject."""
        return self._store([order]) and self._queue(partial(self.close, order, "REJECTED", reason))

    def refuse_amend(self, order_id: int) -> None:
        self._queue(partial(self.record, self.orders[order_id], reason="AMEND_REFUSED"))

    def fail(self, order_id: int) -> None:
        """The engine gives the order up, wherever it is. Its funds are released."""
        self._queue(partial(self.close, self.orders[order_id], "FAILED", "INTERNAL_ERROR"))

    def refuse(self, order_id: int) -> None:
        """The market is halted while the order is on its way through the book."""
        order = self.orders[order_id]
        status = "CANCELLED" if order.filled else "REJECTED"
        self._queue(lambda: self.close(order, status, self.why_not_trading()))

    def delist_next(self) -> None:
        """Delisting cancels the next order: bids, asks, each in the order in which they would trade, then stops."""
        for order in self._by_turn_of_delisting()[:1]:
            self._queue(partial(self.close, order, "CANCELLED", "MARKET_DELISTED"))

    def _by_turn_of_delisting(self) -> list[NaiveOrder]:
        return [*self.side("BUY"), *self.side("SELL"), *self.waiting]

    def set_status(self, status: str) -> None:
        self._queue(partial(self._set_status, status))

    def open_now(self) -> None:
        """The fills with which an auction ends, without the change of the status that follows."""
        self._queue(self.uncross)

    def drain(self) -> None:
        """Apply the queue in order, as the worker does."""
        while self.queue or self.due:
            self.step()

    def step(self) -> None:
        """Let the next stop that is due fire; apply the next command if there is none."""
        if not self.due:
            return self.apply_next()
        self.fire_next()
        return self._after_a_command()

    def apply_next(self) -> None:
        """Apply the next command, whatever is due."""
        self.queue.pop(0)()
        self._after_a_command()

    def _after_a_command(self) -> None:
        if not self.has_to_stop:
            self.look_at_the_last_price()

    def _queue(self, command: Callable[[], None]) -> bool:
        self.queue.append(command)
        return True

    def _store(self, orders: list[NaiveOrder]) -> bool:
        for order in orders:
            if order.group is not None:
                self.legs[order.group].append(order)
        owed = sum((self.reservation_of(order) for order in orders), ZERO)
        if owed > self.available[orders[0].user, orders[0].pays_with]:
            return False
        for order in orders:
            self.orders[order.id] = order
            self.refreeze(order)
        return True

    def _reserve(self, order: NaiveOrder, amount: Decimal) -> bool:
        if amount > self.available[order.user, order.pays_with]:
            return False
        self.freeze(order.user, order.pays_with, amount)
        return True

    def _accept_oco(self, stop: NaiveOrder, limit: NaiveOrder) -> None:
        self.accept(stop)
        if limit.active:
            self.accept(limit)

    def _cancel(self, order: NaiveOrder, reason: str) -> None:
        if order in self.resting + self.waiting:
            self.close(order, "CANCELLED", reason)

    def _expire(self, order: NaiveOrder) -> None:
        """Also one that was not accepted yet."""
        if order in self.resting + self.waiting or order.status == "PENDING":
            self.close(order, "PARTIALLY_FILLED" if order.filled else "EXPIRED", "GTD_EXPIRED")

    def _set_status(self, status: str) -> None:
        """A market that begins to trade matches first what an auction has collected, as if it still were in one."""
        if self.status == "DELISTED":
            return
        if status == "TRADING" and self.is_crossed():
            self.status = "AUCTION"
            self.uncross()
        self.status = status
        while status == "DELISTED" and (orders := self._by_turn_of_delisting()):
            self.close(orders[0], "CANCELLED", "MARKET_DELISTED")
