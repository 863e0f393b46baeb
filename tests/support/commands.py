"""What to do with an exchange, at random: for Hypothesis, and as a long stream from seeded dice.

Commands are in ticks and lots, so that one stream of them can be played on markets of different grain.
"""

import random
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st

from audit.naive import NaiveOrder

CAST = ("alice", "bob", "carol", "dave")


class Market(NamedTuple):
    """Money of different grain: whole numbers, crypto, and an asset with two decimals."""

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
    """A command in ticks and lots. `price` None is MARKET; `budget` (in tick x lot) makes it a buy by budget."""

    user: str
    side: str
    price: int | None
    quantity: int | None
    budget: int | None = None
    time_in_force: str = "GTC"
    post_only: bool = False
    stp: str = "EXPIRE_TAKER"
    maker_rate: str = "0"
    taker_rate: str = "0"


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
    """As much of both assets as everybody began with: a long stream spends all its money on fees."""

    user: str


Command = Place | Cancel | CancelAll | Deposit | Restart

RATES = ("0", "0.001", "0.0025", "0.00000001", "1")
PREVENTIONS = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
STYLES = (("GTC", False), ("GTC", False), ("GTC", True), ("IOC", False), ("FOK", False))


def place(style: tuple[str, bool] = ("GTC", False), **fields: Any) -> Place:
    return Place(**fields, time_in_force=style[0], post_only=style[1])


def orders(rates: st.SearchStrategy[str]) -> st.SearchStrategy[Place]:
    common = {
        "user": st.sampled_from(CAST),
        "stp": st.sampled_from(PREVENTIONS),
        "maker_rate": rates,
        "taker_rate": rates,
    }
    sides, lots, nothing = st.sampled_from(["BUY", "SELL"]), st.integers(1, 12), st.none()
    limits = st.builds(place, st.sampled_from(STYLES), side=sides, price=st.integers(95, 105), quantity=lots, **common)
    markets = st.builds(place, side=sides, price=nothing, quantity=lots, **common)
    budget = st.integers(1, 2000)
    budgets = st.builds(place, side=st.just("BUY"), price=nothing, quantity=nothing, budget=budget, **common)
    return st.one_of(limits, limits, limits, markets, budgets)


commands: st.SearchStrategy[Command] = st.one_of(
    *[orders(st.sampled_from(RATES))] * 5,
    st.builds(Cancel, st.integers(0, 200)),
    st.builds(Restart, st.integers(0, 9)),
)


def naive_order(command: Place, market: Market, order_id: int = 0) -> NaiveOrder:
    """The twin's order, in the market's money."""
    tick, lot = Decimal(market.tick), Decimal(market.lot)
    return NaiveOrder(
        id=order_id,
        user=command.user,
        side=command.side,
        price=command.price and command.price * tick,
        quantity=command.quantity and command.quantity * lot,
        budget=command.budget and command.budget * tick * lot,
        time_in_force=command.time_in_force,
        post_only=command.post_only,
        stp=command.stp,
        maker_rate=Decimal(command.maker_rate),
        taker_rate=Decimal(command.taker_rate),
    )


def random_command(dice: random.Random) -> Command:
    (make,) = dice.choices(list(_MAKERS), weights=list(_MAKERS.values()))
    return make(dice)


def _limit(dice: random.Random) -> Place:
    (style,) = dice.choices(STYLES, weights=[60, 10, 10, 10, 10])
    side = dice.choice(["BUY", "SELL"])
    # Bids a little below asks: books of some depth, where a taker sometimes meets many.
    price = 100 + dice.randint(-9, 3) * (1 if side == "BUY" else -1)
    return place(style, side=side, price=price, quantity=dice.randint(1, 12), **_common(dice))


def _market(dice: random.Random) -> Place:
    return place(side=dice.choice(["BUY", "SELL"]), price=None, quantity=dice.randint(1, 30), **_common(dice))


def _budget(dice: random.Random) -> Place:
    return place(side="BUY", price=None, quantity=None, budget=dice.randint(1, 2000), **_common(dice))


def _common(dice: random.Random) -> dict[str, str]:
    rates = {rate: dice.choice(RATES[:4]) for rate in ("maker_rate", "taker_rate")}
    return {"user": dice.choice(CAST), "stp": dice.choice(PREVENTIONS), **rates}


_MAKERS = {
    _limit: 750,
    _market: 50,
    _budget: 50,
    lambda dice: Cancel(-dice.randint(1, 40)): 130,  # mostly recent orders, so that some still rest
    lambda dice: CancelAll(dice.choice(["BUY", "SELL"])): 4,
    lambda dice: Deposit(dice.choice(CAST)): 6,
    lambda dice: Restart(dice.randrange(100)): 4,
}
