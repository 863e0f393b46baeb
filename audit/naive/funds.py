"""Who owns what: what is available, what orders have frozen, and what a trade moves."""

from collections import defaultdict
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from audit.naive.orders import BASE, QUOTE, ZERO, NaiveOrder


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
        return ZERO if order.price is None else self._with_fee(order, order.rest * order.price)

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

    def pay(
        self, taker: NaiveOrder, maker: NaiveOrder, rate: Decimal, quantity: Decimal, cost: Decimal
    ) -> dict[NaiveOrder, Decimal]:
        """Move a trade's money, all of it from what is available. The answer is the fee of each order."""
        buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
        amounts = {BASE: quantity, QUOTE: cost}
        self.available[buyer.user, QUOTE] -= cost
        self.available[seller.user, BASE] -= quantity
        self.available[buyer.user, BASE] += quantity
        self.available[seller.user, QUOTE] += cost
        asset = _fee_asset(taker)
        fees = {
            taker: self._rounded_up(asset, amounts[asset] * rate),
            maker: self._rounded_up(_fee_asset(maker), amounts[_fee_asset(maker)] * maker.maker_rate),
        }
        if maker.maker_rate < 0:
            rebate = self._rounded_down(asset, amounts[asset] * -maker.maker_rate)
            fees[maker] = -min(rebate, fees[taker])
        for order, fee in fees.items():
            paid_in = asset if fee < 0 else _fee_asset(order)
            self.available[order.user, paid_in] -= fee
            self.fees[paid_in] += fee
        return fees

    def _with_fee(self, order: NaiveOrder, cost: Decimal) -> Decimal:
        """What a purchase costs at most, with the fee of a BUY that pays it in quote."""
        if not order.fee_in_quote:
            return cost
        return cost + self._rounded_up(QUOTE, cost * max(order.maker_rate, order.taker_rate))

    def _rounded_up(self, asset: str, exact: Decimal) -> Decimal:
        step = self.steps[asset]
        return max(ZERO, (exact / step).to_integral_value(ROUND_CEILING) * step)

    def _rounded_down(self, asset: str, exact: Decimal) -> Decimal:
        step = self.steps[asset]
        return (exact / step).to_integral_value(ROUND_FLOOR) * step


def _fee_asset(order: NaiveOrder) -> str:
    """An order pays its fee in what it receives; a BUY in quote where its market says so."""
    return QUOTE if order.fee_in_quote or not order.is_buy else BASE
