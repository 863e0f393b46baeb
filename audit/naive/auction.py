"""The call auction: in AUCTION orders only rest; when the market opens, all that crosses trades at one price."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from audit.naive.stops import Stops


class Auction(Stops):
    # Of the market: the price must be a multiple of the tick, and within the band of the last price.
    tick = Decimal(1)
    band: Decimal | None = None

    def is_crossed(self) -> bool:
        bids, asks = self.side("BUY"), self.side("SELL")
        return bool(bids and asks) and bids[0].limit >= asks[0].limit

    def uncross(self) -> None:
        """Match all that crosses at the one price, bids against asks, each side by price and time."""
        price = self.opening_price()
        while price is not None and self.is_crossed() and not self.has_to_stop:
            bids = [order for order in self.side("BUY") if order.limit >= price]
            asks = [order for order in self.side("SELL") if order.limit <= price]
            if bids and asks:
                older, younger = sorted((bids[0], asks[0]), key=lambda order: order.place)
                self.settle(younger, older, younger.maker_rate, min(older.visible, younger.visible), price)
            else:
                # Only behind the band: what would trade beyond its edge.
                beyond = self.side("SELL")[0] if asks else self.side("BUY")[0]
                self.close(beyond, "PARTIALLY_FILLED" if beyond.filled else "REJECTED", "PRICE_PROTECTION")

    def opening_price(self) -> Decimal | None:
        """The price at which most trades, then with the least imbalance, then nearest to the last price."""
        if not self.is_crossed():
            return None
        figures = {}
        for price in sorted({order.limit for order in self.resting}):
            wanted, offered = self.volumes(price)
            figures[price] = (-min(wanted, offered), abs(wanted - offered))
        best = min(figures.values())
        candidates = [price for price, figure in figures.items() if figure == best]
        near = self.last_price
        if near is None:
            near = (min(candidates) + max(candidates)) / 2
        return self._within_band(min(candidates, key=lambda price: (abs(price - near), price)))

    def volumes(self, price: Decimal) -> tuple[Decimal, Decimal]:
        """What would be bought at the price, and what would be sold."""
        bids = [order.rest for order in self.resting if order.is_buy and order.limit >= price]
        asks = [order.rest for order in self.resting if not order.is_buy and order.limit <= price]
        return sum(bids, Decimal(0)), sum(asks, Decimal(0))

    def _within_band(self, price: Decimal) -> Decimal:
        if self.band is None or self.last_price is None:
            return price
        lowest = (self.last_price * (1 - self.band) / self.tick).to_integral_value(ROUND_CEILING) * self.tick
        highest = (self.last_price * (1 + self.band) / self.tick).to_integral_value(ROUND_FLOOR) * self.tick
        return max(lowest, min(highest, price))
