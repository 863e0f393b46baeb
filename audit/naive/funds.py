"""Who owns what: what is available, what orders have frozen, and what a trade moves."""

from collections import defaultdict
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from audit.naive.orders import BASE, QUOTE, ZERO, NaiveOrder

# By order: the rate that it pays in a trade, and the most that it can pay.
Rates = dict[NaiveOrder, tuple[Decimal, Decimal]]
Fees = dict[NaiveOrder, Decimal]


class Funds:
    def __init__(self, base_step: Decimal, quote_step: Decimal) -> None:
        self.steps = {BASE: base_step, QUOTE: quote_step}
        self.available: defaultdict[tuple[object, str], Decimal] = defaultdict(Decimal)
        self.frozen: defaultdict[tuple[object, str], Decimal] = defaultdict(Decimal)
        self.fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.orders: dict[int, NaiveOrder] = {}
        # The two legs of each OCO.
        self.legs: defaultdict[int, list[NaiveOrder]] = defaultdict(list)

    def deposit(self, user: object, asset: str, amount: Decimal) -> None:
        self.available[user, asset] += amount

    def freeze(self, user: object, asset: str, amount: Decimal) -> None:
        """Freeze the amount; one below zero is released."""
        self.available[user, asset] -= amount
        self.frozen[user, asset] += amount

    def need_of(self, order: NaiveOrder) -> Decimal:
        """The amount that an order by itself has frozen while it may still trade."""
        if not order.active:
            return ZERO
        if not order.is_buy:
            return order.rest
        if order.budget is not None:
            return order.budget
        # A MARKET BUY by quantity freezes nothing, because its price is not known.
        if order.price is None:
            return ZERO
        # The fee of all of it, less that of what is filled.
        whole, done = order.price * (order.filled + order.rest), order.price * order.filled
        return whole - done + self.fee_in_quote(order, whole) - self.fee_in_quote(order, done)

    def partner_of(self, order: NaiveOrder) -> NaiveOrder | None:
        """The other leg of an OCO, while it is active."""
        legs = [] if order.group is None else self.legs[order.group]
        return next((other for other in legs if other is not order and other.active), None)

    def reservation_of(self, order: NaiveOrder) -> Decimal:
        """What the order has frozen: of an OCO the limit leg what the dearer leg needs, and the stop leg nothing."""
        partner = self.partner_of(order)
        if partner is None or not order.active:
            return self.need_of(order)
        return ZERO if order.stop else max(self.need_of(order), self.need_of(partner))

    def refreeze(self, order: NaiveOrder) -> None:
        """Freeze or release what the order, and its partner, have to have frozen now."""
        for one in (order, self.partner_of(order)):
            if one is not None:
                owed = self.reservation_of(one)
                self.freeze(one.user, one.pays_with, owed - one.frozen)
                one.frozen = owed

    def pay(self, taker: NaiveOrder, maker: NaiveOrder, rates: Rates, quantity: Decimal, cost: Decimal) -> Fees:
        """Move a trade's money, all of it from what is available. The answer is what each order pays in fees."""
        buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
        amounts = {BASE: quantity, QUOTE: cost}
        self.available[buyer.user, QUOTE] -= cost
        self.available[seller.user, BASE] -= quantity
        self.available[buyer.user, BASE] += quantity
        self.available[seller.user, QUOTE] += cost
        fees = {}
        for order, (rate, most) in rates.items():
            asset = _fee_asset(order)
            fee = min(most, self._rounded_up(asset, amounts[asset] * rate))
            fees[order] = fee
            self.available[order.user, asset] -= fee
            self.fees[asset] += fee
            if order.is_buy and order.fee_in_quote:
                order.paid_in_fees += fee
                self.refreeze(order)
        return fees

    def pay_back(self, taker: NaiveOrder, maker: NaiveOrder, fee: Decimal, quantity: Decimal, cost: Decimal) -> Decimal:
        """The rebate of a maker whose rate is below zero, out of the taker's fee."""
        asset = _fee_asset(taker)
        exact = max(ZERO, -maker.maker_rate) * (quantity if asset == BASE else cost)
        rebate = min(fee, self._rounded_down(asset, exact))
        self.available[maker.user, asset] += rebate
        self.fees[asset] -= rebate
        return rebate

    def fee_in_quote(self, order: NaiveOrder, cost: Decimal) -> Decimal:
        """The most that a BUY pays in quote, as its fee, for so much."""
        if not (order.is_buy and order.fee_in_quote):
            return ZERO
        rate = order.taker_rate if order.price is None else max(order.maker_rate, order.taker_rate)
        return self._rounded_up(QUOTE, cost * rate)

    def is_used_up(self, order: NaiveOrder) -> bool:
        """Whether nothing is left of its quantity, or of its quote quantity not enough for anything."""
        if order.quote_quantity is None:
            return order.rest == 0
        least = order.spent + self.steps[QUOTE]
        return least + self.fee_in_quote(order, least) > order.quote_quantity - order.prevented_spending

    def _rounded_up(self, asset: str, exact: Decimal) -> Decimal:
        step = self.steps[asset]
        return max(ZERO, (exact / step).to_integral_value(ROUND_CEILING) * step)

    def _rounded_down(self, asset: str, exact: Decimal) -> Decimal:
        step = self.steps[asset]
        return (exact / step).to_integral_value(ROUND_FLOOR) * step


def _fee_asset(order: NaiveOrder) -> str:
    """An order pays its fee in what it receives; a BUY in quote where its market says so."""
    return QUOTE if order.fee_in_quote or not order.is_buy else BASE
