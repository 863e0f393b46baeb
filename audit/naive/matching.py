"""A taker's way through the book."""

from decimal import Decimal

from audit.naive.book import Book, by_price_and_time
from audit.naive.orders import QUOTE, ZERO, NaiveOrder, NaiveTrade

STOPS_AT_OWN = ("EXPIRE_TAKER", "EXPIRE_BOTH")


class Matching(Book):
    def reference(self) -> Decimal | None:
        """The last trade's price, else the middle of the best bid and the best ask, else none."""
        if self.trades:
            return self.last_price
        bids, asks = self.side("BUY"), self.side("SELL")
        return (bids[0].limit + asks[0].limit) / 2 if bids and asks else None

    def is_within(self, taker: NaiveOrder, price: Decimal, reference: Decimal | None) -> bool:
        """Whether the price is no further from the reference price than the taker's band allows."""
        if taker.price_band is None or reference is None:
            return True
        if taker.is_buy:
            return price <= reference * (1 + taker.price_band)
        return price >= reference * (1 - taker.price_band)

    def crossing(self, taker: NaiveOrder) -> list[NaiveOrder]:
        """The orders that the taker crosses, in the order in which it meets them."""
        sign = 1 if taker.is_buy else -1
        others = [maker for maker in self.resting if maker.side != taker.side]
        if taker.meets is not None:
            others = [maker for maker in others if maker.id == taker.meets]
        if taker.price is not None:
            others = [maker for maker in others if maker.limit * sign <= taker.price * sign]
        return by_price_and_time(others)

    def why_not_trading(self) -> str:
        return "MARKET_DELISTED" if self.status == "DELISTED" else "MARKET_HALTED"

    def _match(self, taker: NaiveOrder) -> None:
        """A new order, or one that was triggered."""
        refusal = self._refusal(taker)
        if refusal is not None:
            return self.close(taker, *refusal)
        if self.status == "AUCTION":
            return self._rest_at_last(taker)
        return self.take(taker)

    def _refusal(self, taker: NaiveOrder) -> tuple[str, str] | None:
        if self.status == "AUCTION":
            can_wait = taker.price is not None and taker.stop is None and taker.time_in_force in ("GTC", "GTD")
            return None if can_wait else ("REJECTED", "NOT_IN_AUCTION")
        if self.status != "TRADING":
            return "REJECTED", self.why_not_trading()
        if taker.post_only and self.crossing(taker):
            return "REJECTED", "WOULD_TAKE"
        if taker.time_in_force == "FOK" and not self._fillable(taker):
            return "EXPIRED", "FOK_NOT_FILLABLE"
        return None

    def _fillable(self, taker: NaiveOrder) -> bool:
        """Whether all of it would trade. What an iceberg hides is met tip by tip, behind all else at its price."""
        found, reference = ZERO, self.reference()
        queue = [(maker, maker.visible, maker.rest - maker.visible) for maker in self.crossing(taker)]
        while queue and found < taker.rest:
            maker, tip, hidden = queue.pop(0)
            if not self.is_within(taker, maker.limit, reference):
                break
            if maker.user == taker.user and taker.stp == "EXPIRE_MAKER":
                continue
            if maker.user == taker.user and taker.stp != "NONE":
                break
            found += tip
            if hidden:
                fresh = min(hidden, maker.display or hidden)
                behind = sum(other.limit == maker.limit for other, _, _ in queue)
                queue.insert(behind, (maker, fresh, hidden - fresh))
        return found >= taker.rest

    def take(self, taker: NaiveOrder) -> None:
        # Fixed when matching begins: it does not follow the taker's own trades.
        reference = self.reference()
        # A MARKET BUY by quantity may spend what is available when matching begins, and not what it earns by matching.
        if taker.price is None and taker.is_buy and taker.budget is None and taker.spend_limit is None:
            taker.spend_limit = self.available[taker.user, QUOTE]
        while taker.active and not self.has_to_stop:
            makers = self.crossing(taker)
            if not makers:
                return self._no_more_to_take(taker)
            if not self.is_within(taker, makers[0].limit, reference):
                return self.close(taker, "PARTIALLY_FILLED" if taker.filled else "REJECTED", "PRICE_PROTECTION")
            self._meet(taker, makers[0])
        return None

    def _meet(self, taker: NaiveOrder, maker: NaiveOrder) -> None:
        quantity = min(taker.rest, maker.visible, self._affordable(taker, maker.limit))
        if quantity == 0:
            self._out_of_funds(taker)
        elif maker.user != taker.user or taker.stp == "NONE":
            self.trade(taker, maker, quantity, maker.limit)
        elif taker.stp == "DECREMENT":
            # A spend limit is no quantity: only a quote quantity limits what is lost.
            smaller = min(taker.rest, maker.visible) if taker.budget is None else quantity
            self._decrement(maker, smaller, maker.limit)
            self._decrement(taker, smaller, maker.limit)
        else:
            if taker.stp != "EXPIRE_TAKER":
                self.close(maker, "CANCELLED", "SELF_TRADE")
            if taker.stp in STOPS_AT_OWN:
                self.close(taker, "CANCELLED", "SELF_TRADE")
        if taker.active and self.is_used_up(taker) and not self.has_to_stop:
            self.close(taker, *_end_of_used_up(taker))

    def _affordable(self, taker: NaiveOrder, price: Decimal) -> Decimal:
        """How much a MARKET BUY can pay, in whole lots, with the fee of one that pays it in quote."""
        if taker.price is not None or not taker.is_buy:
            return Decimal("Infinity")
        limit = taker.spend_limit if taker.quote_quantity is None else taker.quote_quantity - taker.prevented_spending
        assert limit is not None
        rate = taker.taker_rate if taker.fee_in_quote else ZERO
        lots = (limit / (1 + rate) - taker.spent) // (price * self.lot) + 1
        while lots > 0 and self._spent_with(taker, price * self.lot * lots) > limit:
            lots -= 1
        return max(ZERO, lots) * self.lot

    def _spent_with(self, taker: NaiveOrder, cost: Decimal) -> Decimal:
        return taker.spent + cost + self.fee_in_quote(taker, taker.spent + cost)

    def _out_of_funds(self, taker: NaiveOrder) -> None:
        if taker.budget is not None and (taker.filled or taker.was_prevented):
            # The rest of the quote quantity does not buy a lot.
            return self.close(taker, *_end_of_used_up(taker))
        return self.close(taker, "PARTIALLY_FILLED" if taker.filled else "REJECTED", "INSUFFICIENT_FUNDS")

    def _no_more_to_take(self, taker: NaiveOrder) -> None:
        if taker.price is None:
            self.close(taker, "PARTIALLY_FILLED" if taker.filled else "REJECTED", "NO_LIQUIDITY")
        elif taker.time_in_force == "IOC":
            self.close(taker, "PARTIALLY_FILLED" if taker.filled else "EXPIRED", "IOC_REMAINDER")
        else:
            self._rest_at_last(taker)

    def _rest_at_last(self, taker: NaiveOrder) -> None:
        """Rest. An order that has had an event as a taker, or that was amended, has no other."""
        self.rest(taker)
        if taker.status in ("PENDING", "TRIGGERED"):
            taker.status = "OPEN"
            self.record(taker)

    def _decrement(self, order: NaiveOrder, quantity: Decimal, price: Decimal) -> None:
        """DECREMENT: the order loses the quantity without a trade; of a quote quantity what it would have cost."""
        order.prevented += quantity
        if order.budget is not None:
            order.prevented_spending += quantity * price
        if order.rest == 0 or order.budget == 0:
            return self.close(order, *_end_of_used_up(order))
        order.status = "PARTIALLY_FILLED" if order.filled else "OPEN"
        self.refreeze(order)
        self.record(order, reason="SELF_TRADE")
        return self.shrink(order, quantity)

    def trade(self, taker: NaiveOrder, maker: NaiveOrder, quantity: Decimal, price: Decimal) -> None:
        self.settle(taker, maker, taker.taker_rate, quantity, price)

    def settle(self, taker: NaiveOrder, maker: NaiveOrder, rate: Decimal, quantity: Decimal, price: Decimal) -> None:
        """A trade of a taker that pays this rate, with a maker that pays its own."""
        cost = price * quantity
        rates = {taker: (rate, self._fill(taker, quantity, cost))}
        rates[maker] = (maker.maker_rate, self._fill(maker, quantity, cost))
        fees = self.pay(taker, maker, rates, quantity, cost)
        rebate = self.pay_back(taker, maker, fees[taker], quantity, cost)
        buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
        both = (fees[buyer], fees[seller])
        self.trades.append(NaiveTrade(buyer.id, seller.id, price, quantity, *both, taker.side, rebate))
        for order in (taker, maker):
            self.record(order, len(self.trades) - 1)
            self.shrink(order, quantity)
        for order in (taker, maker):
            partner = self.partner_of(order)
            if partner is not None:
                self.close(partner, "CANCELLED", "OCO")

    def _fill(self, order: NaiveOrder, quantity: Decimal, cost: Decimal) -> Decimal:
        """Fill an order. The answer is the most that it can pay as a fee: of a BUY in quote what it had set aside."""
        needed, paid = self.need_of(order), self.fee_in_quote(order, order.spent)
        order.filled += quantity
        order.spent += cost
        order.status = "PARTIALLY_FILLED"
        if order.rest == 0:
            self.end(order, *_end_of_used_up(order))
        # The amount that was frozen for this fill becomes available first, and the fill is then paid out of available:
        # the difference of a better price than the limit stays available.
        self.refreeze(order)
        if not (order.is_buy and order.fee_in_quote):
            return Decimal("Infinity")
        if order.price is None:
            return self.fee_in_quote(order, order.spent) - paid
        return needed - self.need_of(order) - cost


def _end_of_used_up(order: NaiveOrder) -> tuple[str, str | None]:
    """How an order ends of which nothing is left."""
    return ("CANCELLED", "SELF_TRADE") if order.was_prevented else ("FILLED", None)
