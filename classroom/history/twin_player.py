"""The naive twin plays commands: a second exchange, which shares no code with the core."""

from decimal import Decimal
from typing import Any

from audit.naive import BASE, QUOTE, NaiveExchange, NaiveOrder

# More than any user could own.
ENOUGH = Decimal(10) ** 18


class TwinPlayer(NaiveExchange):
    """A twin whose market may have traded before. Its users own more than enough: intake has checked their funds."""

    def __init__(
        self,
        lot: Decimal,
        tick: Decimal,
        steps: tuple[Decimal, Decimal],
        before: Decimal | None,
        status: str,
    ) -> None:
        super().__init__(lot, *steps)
        self.status = status
        self.tick = tick
        self._before = before

    @property
    def last_price(self) -> Decimal | None:
        return self.trades[-1].price if self.trades else self._before

    def reference(self) -> Decimal | None:
        return super().reference() if self._before is None else self.last_price

    def do_place(self, order: NaiveOrder) -> None:
        self._welcome(order)
        self.place(order)
        self.drain()

    def do_place_oco(self, stop: NaiveOrder, limit: NaiveOrder) -> None:
        self._welcome(limit)
        self.place_oco(stop, limit)
        self.drain()

    def do_place_refused(self, order: NaiveOrder, reason: str) -> None:
        self._welcome(order)
        self.place_refused(order, reason)
        self.drain()

    def do_place_late(self, order: NaiveOrder) -> None:
        self._welcome(order)
        self.place(order)
        self.queue.clear()
        self.do_expire(order.id)

    def do_cancel(self, order_id: int, reason: str) -> None:
        self.cancel(order_id, reason)
        self.drain()

    def do_expire(self, order_id: int) -> None:
        self.expire(order_id)
        self.drain()

    def do_amend(self, order_id: int, changes: dict[str, Any]) -> None:
        self.amend(order_id, changes)
        self.drain()

    def do_refuse_amend(self, order_id: int) -> None:
        self.refuse_amend(order_id)
        self.drain()

    def do_status(self, status: str, band: Decimal | None) -> None:
        self.band = band
        self.set_status(status)
        self.drain()

    def _welcome(self, order: NaiveOrder) -> None:
        for asset in (BASE, QUOTE):
            if (order.user, asset) not in self.available:
                self.deposit(order.user, asset, ENOUGH)
