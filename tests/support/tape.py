"""A small language for orders, fills and outcomes, so that tests are short lines.

    buy 12 @ 100                    a limit order, gtc
    sell 3 @ 101 post-only          also: ioc, fok, gtd
    buy 5 @ market                  by quantity
    buy market 500 quote            by quote quantity
    sell 3 @ market stop 90         waits for a price; with a limit: sell 3 @ 89 stop 90; also: take 110, trail 5
    sell 12 @ 100 show 3            an iceberg
    alice: buy 12 @ 100 expire-both     who, and the self-trade prevention: none, expire-taker, decrement, ...

Fills read "1:5@100 2:7@100" (the maker's order id, quantity, price), an outcome "2 partially_filled ioc_remainder"
(what remains, status, reason). `parse(line).body("BTC-USDT")` is the JSON body of POST /orders.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.amend import amend
from core.book import Book
from core.fees import fee_reserved
from core.money import notional, to_decimal, to_units
from core.outcome import Outcome, Trade
from core.taker import place
from core.types import Order, OrderType, Rules, SelfTradePrevention, Side, TimeInForce

_NUMBER = r"\d+(?:\.\d+)?"
_LINE = re.compile(
    rf"(?:(?P<who>\w+):\s*)?(?P<side>buy|sell)\s+"
    rf"(?:market\s+(?P<quote_quantity>{_NUMBER})\s+quote|(?P<quantity>{_NUMBER})\s*@\s*(?P<price>market|{_NUMBER}))"
    rf"(?:\s+(?P<trigger>stop|take|trail)\s+(?P<trigger_price>{_NUMBER}))?"
    rf"(?:\s+show\s+(?P<display>{_NUMBER}))?(?P<words>(?:\s+[a-z-]+)*)\s*"
)
_TYPES = {None: "MARKET", "stop": "STOP", "take": "TAKE_PROFIT", "trail": "TRAILING_STOP"}
_TIMES_IN_FORCE = {"gtc", "ioc", "fok", "gtd"}
_PREVENTIONS = {"none", "expire-taker", "expire-maker", "expire-both", "decrement"}


@dataclass(frozen=True)
class Line:
    """One order as it is written in the line. Numbers stay text."""

    who: str | None
    side: str
    price: str | None
    quantity: str | None
    quote_quantity: str | None
    time_in_force: str | None
    post_only: bool
    self_trade_prevention: str | None
    trigger: str | None = None
    stop_price: str | None = None
    trailing_offset: str | None = None
    display_quantity: str | None = None

    @property
    def type(self) -> str:
        if self.trigger is None:
            return "MARKET" if self.price is None else "LIMIT"
        return _TYPES[self.trigger] if self.price is None else f"{_TYPES[self.trigger]}_LIMIT"

    def body(self, symbol: str, **more: Any) -> dict[str, Any]:
        """The JSON body of POST /orders. Fields that the line does not have are left out: the server sets defaults."""
        fields = {
            "price": self.price,
            "quantity": self.quantity,
            "quoteQuantity": self.quote_quantity,
            "timeInForce": self.time_in_force,
            "postOnly": self.post_only or None,
            "displayQuantity": self.display_quantity,
            "selfTradePrevention": self.self_trade_prevention,
            "stopPrice": self.stop_price,
            "trailingOffset": self.trailing_offset,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        return {"symbol": symbol, "side": self.side, "type": self.type, **given, **more}


def parse(line: str) -> Line:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError(f"not a line of the tape: {line!r}")
    words = set(match["words"].split())
    if unknown := words - _TIMES_IN_FORCE - _PREVENTIONS - {"post-only"}:
        raise ValueError(f"unknown words in {line!r}: {sorted(unknown)}")
    price = None if match["price"] in {None, "market"} else match["price"]
    time_in_force = next(iter(words & _TIMES_IN_FORCE), None)
    prevention = next(iter(words & _PREVENTIONS), None)
    return Line(
        who=match["who"],
        side=match["side"].upper(),
        price=price,
        quantity=match["quantity"],
        quote_quantity=match["quote_quantity"],
        time_in_force=time_in_force and time_in_force.upper(),
        post_only="post-only" in words,
        self_trade_prevention=prevention and prevention.upper().replace("-", "_"),
        trigger=match["trigger"],
        stop_price=match["trigger_price"] if match["trigger"] != "trail" else None,
        trailing_offset=match["trigger_price"] if match["trigger"] == "trail" else None,
        display_quantity=match["display"],
    )


def units(text: str | int | Decimal) -> int:
    return to_units(Decimal(text))


def plain(number: int | Decimal) -> str:
    """Units or a decimal as they are written on the tape."""
    value = to_decimal(number) if isinstance(number, int) else number
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def render_fills(fills: Iterable[tuple[Any, int | Decimal, int | Decimal]]) -> str:
    """(maker's order id, quantity, price) of each fill, in order: "1:5@100 2:7@100"."""
    return " ".join(f"{maker}:{plain(quantity)}@{plain(price)}" for maker, quantity, price in fills)


def render_outcome(remaining: int | Decimal, status: str, reason: str | None = None) -> str:
    return " ".join([plain(remaining), *(word.lower() for word in (status, reason) if word)])


class Desk:
    """A book on which lines are played. Orders are numbered as they come; one without a user name gets a new user.

    After each outcome the book's invariants are checked, and that events are numbered without a gap.
    """

    def __init__(
        self,
        lot: str = "1",
        maker_fee: str = "0",
        taker_fee: str = "0",
        band: str | None = None,
        fee_in_quote: bool = False,
        **steps: int,
    ) -> None:
        self.book = Book(Rules(units(lot), **steps))
        self.fee_in_quote = fee_in_quote
        self.maker_fee, self.taker_fee = units(maker_fee), units(taker_fee)
        self.band = None if band is None else units(band)
        self.orders: dict[int, Order] = {}
        self.trades: list[Trade] = []
        self.outcome = Outcome([], [])
        self._users: dict[str, int] = {}
        self._next_event = 1

    def order(self, line: str, funds: str | None = None) -> Order:
        """The order of a line, with its funds frozen, not placed yet. `funds` limits a MARKET BUY by quantity."""
        parsed = parse(line)
        price, quantity = (None if text is None else units(text) for text in (parsed.price, parsed.quantity))
        quote_quantity = parsed.quote_quantity or (funds if parsed.side == "BUY" and price is None else None)
        order = Order(
            id=len(self.orders) + 1,
            user_id=self._user(parsed.who or f"stranger {len(self.orders) + 1}"),
            side=Side(parsed.side),
            type=OrderType(parsed.type),
            price=price,
            quantity=quantity,
            time_in_force=TimeInForce(parsed.time_in_force or "GTC"),
            post_only=parsed.post_only,
            self_trade_prevention=SelfTradePrevention(parsed.self_trade_prevention or "EXPIRE_TAKER"),
            maker_fee_rate=self.maker_fee,
            taker_fee_rate=self.taker_fee,
            fee_in_quote=self.fee_in_quote and parsed.side == "BUY",
            spend_limit=None if quote_quantity is None else units(quote_quantity),
            price_band=self.band,
            is_extended=parsed.trigger is not None,
            stop_price=None if parsed.stop_price is None else units(parsed.stop_price),
            trailing_offset=None if parsed.trailing_offset is None else units(parsed.trailing_offset),
            frozen=reserve(
                Side(parsed.side),
                price,
                quantity,
                None if parsed.quote_quantity is None else units(parsed.quote_quantity),
            ),
        )
        if order.quantity is not None:
            order.frozen += fee_reserved(order, order.quantity, self.book.rules.quote_step)
        if parsed.display_quantity is not None:
            order.display_quantity, order.is_extended = units(parsed.display_quantity), True
        self.orders[order.id] = order
        return order

    def play(self, *lines: str, funds: str | None = None, max_steps: int | None = None) -> Order:
        """Place orders to their end and return the last one."""
        assert lines
        for line in lines:
            order = self.order(line, funds)
            while not self.step(place(self.book, order, max_steps)).finished:
                pass
        return order

    def amend(self, order_id: int, reserved: str = "0", max_steps: int = 1000, **terms: str) -> Order:
        """Amend a resting order, to the end of its way through the book, and return it as it is then."""
        new = {name: units(text) for name, text in terms.items()}
        resting = self.orders[order_id]
        outcome = amend(self.book, resting, new, units(reserved), max_steps)
        order = self.orders[order_id] = outcome.order or resting
        while not self.step(outcome).finished:
            outcome = place(self.book, order, max_steps)
        return order

    def cancel(self, order_id: int) -> Outcome:
        return self.step(self.book.cancel(order_id))

    def step(self, outcome: Outcome) -> Outcome:
        self.book.check()
        assert [event.sequence for event in outcome.events] == list(
            range(self._next_event, self._next_event + len(outcome.events))
        )
        self._next_event += len(outcome.events)
        self.trades += outcome.trades
        self.outcome = outcome
        return outcome

    def fills(self, taker: Order) -> str:
        return render_fills((t.maker.id, t.quantity, t.price) for t in self.trades if t.taker is taker)

    def depth(self) -> str:
        """Both sides, best first: "1@100 2@99 | 3@101"."""
        sides = ([f"{plain(level[1])}@{plain(level[0])}" for level in self.book.depth(side, 100)] for side in Side)
        return " | ".join(" ".join(side) for side in sides).strip()

    def _user(self, name: str) -> int:
        return self._users.setdefault(name, 1000 + len(self._users))


def outcome_of(order: Order) -> str:
    """The outcome of an order: "2 partially_filled ioc_remainder". The number is the remainder, in base or in quote."""
    if order.quantity is None:
        remaining = order.spend_limit - order.filled_notional - order.prevented_notional
    else:
        remaining = order.quantity - order.filled
    return render_outcome(remaining, order.status, order.reason)


def reserve(side: Side, price: int | None, quantity: int | None, quote_quantity: int | None) -> int:
    """The amount that an order freezes, in the asset that it pays with."""
    if side is Side.SELL:
        return quantity
    if price is not None:
        return notional(price, quantity)
    return quote_quantity or 0
