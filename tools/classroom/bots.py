"""What a bot of the house would like to do next. No I/O.

A maker quotes both sides around what it takes the market to be worth; noise buys and sells for no reason; a value
trader takes what is too cheap or too dear; a fund does what the timetable says.
"""

import random
from dataclasses import dataclass, field
from decimal import Decimal

from classroom.scenario import BotPlan, MarketPlan, TradePlan
from clients.python.clearbell import NewOrder, limit
from clients.python.clearbell import market as at_market
from clients.python.clearbell.terms import SIDES, Side, TimeInForce

LEVELS = 3
# Of its value and the last price a maker quotes around a mixture, because it does not trust what it knows.
TRUST = 0.5
MOST_RESTING = 4
# The furthest that a maker moves its quotes because of what it owns.
MOST_SKEW = 0.25
# How much of the price band an order uses: the last price may move until it comes.
BAND_USED = 0.9
# A slice of what a fund has to trade is sent each second.
SLICE_SECONDS = 1.0


@dataclass(frozen=True)
class View:
    """What a bot sees: the best prices, the last one, what it takes the market to be worth, and what it has bought."""

    bid: float | None
    ask: float | None
    last: float | None
    value: float
    # What it owns more of the base asset than at the start, in so many of its usual sizes.
    inventory: float = 0.0


@dataclass
class Wish:
    """Orders to place, after all of one's own were cancelled, or not."""

    orders: list[NewOrder] = field(default_factory=list)
    cancels_all: bool = False


def wish(bot: BotPlan, market: MarketPlan, view: View, dice: random.Random, resting: int) -> Wish:
    """`resting` is how many orders it has placed that may rest."""
    if bot.kind == "maker":
        return Wish(_quotes(bot, market, view, dice), cancels_all=True)
    if bot.kind == "noise":
        return Wish([_noise(bot, market, view, dice)])
    if bot.kind == "value":
        return _bargains(bot, market, view, dice, resting)
    return Wish()


def slice_of(step: TradePlan, market: MarketPlan, second: float, done: Decimal) -> NewOrder | None:
    """The next market order of a fund: what it should have traded by now, less what it has."""
    if second < step.at:
        return None
    part = min(1.0, (second - step.at + SLICE_SECONDS) / step.seconds)
    wanted = _steps(step.quantity * Decimal(part), market.lot) if part < 1 else step.quantity
    missing = wanted - done
    if missing < market.lot:
        return None
    return at_market(market.symbol, "BUY" if step.do == "buy" else "SELL", missing)


def _quotes(bot: BotPlan, market: MarketPlan, view: View, dice: random.Random) -> list[NewOrder]:
    middle = view.value if view.last is None else TRUST * view.value + (1 - TRUST) * view.last
    half = float(bot.spread) / 2
    # Who has bought much wants to sell: it asks and bids less, and so the price follows whoever goes on selling.
    middle *= 1 - max(-MOST_SKEW, min(MOST_SKEW, view.inventory * half))
    orders = []
    for level in range(1, LEVELS + 1):
        for side, sign in zip(SIDES, (-1, 1), strict=True):
            distance = half * (2 * level - 1) * dice.uniform(0.9, 1.1)
            price = _price(middle * (1 + sign * distance), market, view, side)
            orders.append(_limit(market, side, price, _size(bot, market, dice), "GTC"))
    return orders


def _noise(bot: BotPlan, market: MarketPlan, view: View, dice: random.Random) -> NewOrder:
    side = dice.choice(SIDES)
    size = _size(bot, market, dice)
    near = view.last or view.value
    if dice.random() < 0.6:
        # As far as it must go, and not through the floor.
        far = near * (1.03 if side == "BUY" else 0.97)
        return _limit(market, side, _price(far, market, view, side), size, "IOC")
    away = near * (1 + (-1 if side == "BUY" else 1) * abs(dice.gauss(0, 0.004)))
    return _limit(market, side, _price(away, market, view, side), size, "GTC")


def _bargains(bot: BotPlan, market: MarketPlan, view: View, dice: random.Random, resting: int) -> Wish:
    edge = float(bot.spread)
    low, high = view.value * (1 - edge), view.value * (1 + edge)
    size = _size(bot, market, dice)
    if view.ask is not None and view.ask < low:
        return Wish([_limit(market, "BUY", _price(low, market, view, "BUY"), size, "IOC")])
    if view.bid is not None and view.bid > high:
        return Wish([_limit(market, "SELL", _price(high, market, view, "SELL"), size, "IOC")])
    orders = [
        _limit(market, "BUY", _price(low, market, view, "BUY"), size, "GTC"),
        _limit(market, "SELL", _price(high, market, view, "SELL"), size, "GTC"),
    ]
    return Wish([dice.choice(orders)], cancels_all=resting >= MOST_RESTING)


def _limit(market: MarketPlan, side: Side, price: Decimal, quantity: Decimal, time_in_force: TimeInForce) -> NewOrder:
    return limit(market.symbol, side, quantity, price, time_in_force=time_in_force)


def _size(bot: BotPlan, market: MarketPlan, dice: random.Random) -> Decimal:
    return max(market.lot, _steps(bot.size * Decimal(dice.lognormvariate(0, 0.5)), market.lot))


def _price(value: float, market: MarketPlan, view: View, side: str) -> Decimal:
    """On the tick, away from the other side, and no further than an order of this side may be priced."""
    if market.price_band is not None and view.last is not None:
        reach = BAND_USED * float(market.price_band)
        value = min(value, view.last * (1 + reach)) if side == "BUY" else max(value, view.last * (1 - reach))
    exact = Decimal(value) / market.tick
    ticks = int(exact) + (1 if side == "SELL" and exact != int(exact) else 0)
    return max(1, ticks) * market.tick


def _steps(value: Decimal, step: Decimal) -> Decimal:
    return int(value / step) * step
