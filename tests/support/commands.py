"""Random commands: for Hypothesis, and as a long stream from seeded dice.

Commands are in ticks and lots, so that one stream of them can be played on markets with other steps.
"""

import random
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st

from audit.naive import NaiveOrder

CAST = ("alice", "bob", "carol", "dave")


class Market(NamedTuple):
    """The steps of a market: whole numbers, eight digits, or an asset with two digits."""

    tick: str
    lot: str
    base_step: str
    quote_step: str


MARKETS = (
    Market(tick="1", lot="1", base_step="1", quote_step="1"),
    Market(tick="0.01", lot="0.0001", base_step="0.00000001", quote_step="0.00000001"),
    Market(tick="0.1", lot="0.1", base_step="0.001", quote_step="0.01"),
)


class Place(NamedTuple):
    """An order in ticks and lots. `price` None is MARKET; a buy may have a `quote_quantity` (in tick x lot) instead."""

    user: str
    side: str
    price: int | None
    quantity: int | None
    quote_quantity: int | None = None
    time_in_force: str = "GTC"
    post_only: bool = False
    stp: str = "EXPIRE_TAKER"
    band: str | None = None
    maker_rate: str = "0"
    taker_rate: str = "0"
    # Of a buy alone.
    fee_in_quote: bool = False
    # Which of the resting orders it meets alone, by its place among them; None: all that it crosses.
    meets: int | None = None


class Cancel(NamedTuple):
    """Cancel the n-th order placed so far (modulo their number), whether it still rests or not."""

    order: int


class Restart(NamedTuple):
    """Throw the book away and build it again from its resting orders, in any order."""

    seed: int


class CancelAll(NamedTuple):
    """Cancel everything that rests on one side, which leaves it empty."""

    side: str


class Deposit(NamedTuple):
    """Deposit the first amount of both assets again, because in a long stream all money is spent on fees."""

    user: str


Command = Place | Cancel | CancelAll | Deposit | Restart

# A maker's may be a rebate.
REBATE = "-0.001"
RATES = ("0", "0.001", "0.0025", "0.00000001", "1")
# From a tick or two around the prices below to half of them.
BANDS = (None, None, "0.01", "0.025", "0.5")
PREVENTIONS = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
STYLES = (("GTC", False), ("GTC", False), ("GTC", True), ("IOC", False), ("FOK", False))


def place(style: tuple[str, bool] = ("GTC", False), **fields: Any) -> Place:
    return Place(**fields, time_in_force=style[0], post_only=style[1])


def orders(rates: st.SearchStrategy[str]) -> st.SearchStrategy[Place]:
    common = {
        "user": st.sampled_from(CAST),
        "stp": st.sampled_from(PREVENTIONS),
        "band": st.sampled_from(BANDS),
        "maker_rate": st.one_of(rates, rates, st.just(REBATE)),
        "fee_in_quote": st.booleans(),
        "taker_rate": rates,
    }
    sides, lots, nothing = st.sampled_from(["BUY", "SELL"]), st.integers(1, 12), st.none()
    limits = st.builds(place, st.sampled_from(STYLES), side=sides, price=st.integers(95, 105), quantity=lots, **common)
    markets = st.builds(place, side=sides, price=nothing, quantity=lots, **common)
    quote_quantity = st.integers(1, 2000)
    by_quote = st.builds(
        place, side=st.just("BUY"), price=nothing, quantity=nothing, quote_quantity=quote_quantity, **common
    )
    return st.one_of(limits, limits, limits, markets, by_quote)


commands: st.SearchStrategy[Command] = st.one_of(
    *[orders(st.sampled_from(RATES))] * 5,
    st.builds(Cancel, st.integers(0, 200)),
    st.builds(Restart, st.integers(0, 9)),
)


def naive_order(command: Place, market: Market, order_id: int = 0) -> NaiveOrder:
    """The twin's order, in prices and quantities of the market."""
    tick, lot = Decimal(market.tick), Decimal(market.lot)
    return NaiveOrder(
        id=order_id,
        user=command.user,
        side=command.side,
        price=command.price and command.price * tick,
        quantity=command.quantity and command.quantity * lot,
        quote_quantity=command.quote_quantity and command.quote_quantity * tick * lot,
        time_in_force=command.time_in_force,
        post_only=command.post_only,
        stp=command.stp,
        price_band=command.band and Decimal(command.band),
        maker_rate=Decimal(command.maker_rate),
        taker_rate=Decimal(command.taker_rate),
        fee_in_quote=command.fee_in_quote,
    )


def random_command(dice: random.Random) -> Command:
    (make,) = dice.choices(list(_MAKERS), weights=list(_MAKERS.values()))
    return make(dice)


def _limit(dice: random.Random) -> Place:
    (style,) = dice.choices(STYLES, weights=[60, 10, 10, 10, 10])
    side = dice.choice(["BUY", "SELL"])
    # Bids a little below asks, so that the books have some depth and a taker sometimes meets many orders.
    price = 100 + dice.randint(-9, 3) * (1 if side == "BUY" else -1)
    return place(style, side=side, price=price, quantity=dice.randint(1, 12), **_common(dice))


def _market(dice: random.Random) -> Place:
    return place(side=dice.choice(["BUY", "SELL"]), price=None, quantity=dice.randint(1, 30), **_common(dice))


def _by_quote(dice: random.Random) -> Place:
    return place(side="BUY", price=None, quantity=None, quote_quantity=dice.randint(1, 2000), **_common(dice))


def _common(dice: random.Random) -> dict[str, Any]:
    rates = {"maker_rate": dice.choice((*RATES[:4], REBATE)), "taker_rate": dice.choice(RATES[:4])}
    fees = {**rates, "fee_in_quote": dice.random() < 0.3}
    return {"user": dice.choice(CAST), "stp": dice.choice(PREVENTIONS), "band": dice.choice(BANDS), **fees}


_MAKERS = {
    _limit: 750,
    _market: 50,
    _by_quote: 50,
    lambda dice: Cancel(-dice.randint(1, 40)): 130,  # mostly recent orders, so that some still rest
    lambda dice: CancelAll(dice.choice(["BUY", "SELL"])): 4,
    lambda dice: Deposit(dice.choice(CAST)): 6,
    lambda dice: Restart(dice.randrange(100)): 4,
}
