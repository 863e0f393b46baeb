"""What an amend changes of a resting order, what it leaves, and which orders trade before it then."""

from dataclasses import replace

import pytest

from core.batch import Batch
from core.kinds import owed
from core.market import Market, spenders
from core.types import Order, PendingCommand, Phase, Reason, Side
from tests.support.tape import Desk, outcome_of, plain, units

BIDS = ("buy 5 @ 100", "buy 5 @ 100", "buy 5 @ 99", "sell 5 @ 102")


def queue(desk: Desk, side: Side) -> str:
    """The orders of a side by id, in the order in which they would trade."""
    return " ".join(str(order.id) for order in desk.book.ladders[side])


@pytest.mark.parametrize(
    ("terms", "reserved", "bids", "depth", "frozen", "released"),
    [
        # Smaller: it keeps its place, and what it needs no more is released.
        ({"quantity": "3"}, "0", "1 2 3", "8@100 5@99 | 5@102", "300", "200"),
        # Larger, with what was frozen for it: at the end of its level.
        ({"quantity": "6"}, "100", "2 1 3", "11@100 5@99 | 5@102", "600", "0"),
        # More was frozen than it needs by now.
        ({"quantity": "6"}, "150", "2 1 3", "11@100 5@99 | 5@102", "600", "50"),
        # Another price: at the end of that level, also with a smaller quantity.
        ({"price": "99"}, "0", "2 3 1", "5@100 10@99 | 5@102", "495", "5"),
        ({"price": "99", "quantity": "2"}, "0", "2 3 1", "5@100 7@99 | 5@102", "198", "302"),
        ({"price": "101"}, "5", "1 2 3", "5@101 5@100 5@99 | 5@102", "505", "0"),
        # Nothing that it has not: it keeps its place.
        ({"price": "100", "quantity": "5"}, "0", "1 2 3", "10@100 5@99 | 5@102", "500", "0"),
    ],
)
def test_an_order_gets_other_terms(terms, reserved, bids, depth, frozen, released):
    desk = Desk()
    desk.play(*BIDS)
    before = desk.orders[1]
    order = desk.amend(1, reserved, **terms)
    assert (queue(desk, Side.BUY), desk.depth()) == (bids, depth)
    [event] = desk.outcome.events
    assert (event.status, event.reason, event.active, order.reason) == ("OPEN", Reason.AMENDED, True, None)
    assert (plain(order.frozen), plain(event.released)) == (frozen, released)
    # Events of before refer to an order that stays as it was.
    assert (before.price, before.quantity, before.is_extended) == (units("100"), units("5"), False)
    assert (event.terms.price, event.terms.quantity) == (order.price, order.quantity)
    assert order.placed == (before.price, before.quantity)


@pytest.mark.parametrize(
    ("line", "terms", "reserved"),
    [
        ("buy 5 @ 100", {"quantity": "2"}, "0"),  # as much is filled
        ("buy 5 @ 100", {"quantity": "1"}, "0"),
        ("buy 5 @ 100", {"quantity": "6"}, "99"),
        ("buy 5 @ 100", {"price": "101"}, "2"),  # three are left
        ("buy 5 @ 100 post-only", {"price": "103"}, "9"),
        ("sell 5 @ 100", {"quantity": "6"}, "0"),
    ],
)
def test_an_amend_is_refused_and_all_is_as_it_was(line, terms, reserved):
    desk = Desk()
    order = desk.play(line)
    other = "sell 2 @ 100" if order.side is Side.BUY else "buy 2 @ 100"
    desk.play(other, "buy 1 @ 98", "sell 1 @ 103")
    depth, frozen, filled = desk.depth(), order.frozen, order.filled
    assert desk.amend(order.id, reserved, **terms) is order
    [event] = desk.outcome.events
    assert (event.status, event.reason, event.active) == ("PARTIALLY_FILLED", Reason.AMEND_REFUSED, True)
    assert (plain(event.released), event.previous) == (reserved, "PARTIALLY_FILLED")
    assert (desk.depth(), order.frozen, order.filled, order.reason) == (depth, frozen, filled, None)


@pytest.mark.parametrize(
    ("terms", "fills", "outcome", "depth", "statuses"),
    [
        ({"price": "102"}, "4:3@102", "0 filled", "| 2@102 4@103", "OPEN FILLED PARTIALLY_FILLED"),
        (
            {"price": "103", "quantity": "12"},
            "4:5@102 5:4@103",
            "3 partially_filled",
            "3@103 |",
            "OPEN PARTIALLY_FILLED FILLED PARTIALLY_FILLED FILLED",
        ),
    ],
)
@pytest.mark.parametrize("max_steps", [1, 1000])
def test_an_amend_that_crosses_trades_as_a_taker(terms, fills, outcome, depth, statuses, max_steps):
    desk = Desk(maker_fee="0.001", taker_fee="0.002")
    order = desk.play("buy 3 @ 100")
    desk.play("buy 1 @ 101 ioc", "buy 1 @ 99 ioc", "sell 5 @ 102", "sell 4 @ 103")
    seen: list[str] = []
    step = desk.step
    desk.step = lambda made: (seen.extend(event.status for event in made.events), step(made))[1]
    order = desk.amend(1, "1000", max_steps=max_steps, **terms)
    assert (desk.fills(order), outcome_of(order), desk.depth()) == (fills, outcome, depth)
    assert " ".join(seen) == statuses
    # It pays the taker's rate, and less than it offered.
    assert desk.trades[0].buyer_fee == desk.trades[0].quantity * 2 // 1000
    assert plain(order.frozen) == ("309" if order.active else "0")


def test_its_own_order_stops_it():
    desk = Desk()
    desk.play("alice: buy 3 @ 100", "alice: sell 3 @ 102")
    order = desk.amend(1, "6", price="102")
    assert (outcome_of(order), desk.depth()) == ("3 cancelled self_trade", "| 3@102")
    assert [plain(event.released) for event in desk.outcome.events] == ["0", "306"]


def test_its_band_is_around_the_last_price_of_now():
    desk = Desk(band="0.1")
    desk.play(
        "sell 1 @ 100", "buy 1 @ 100", "buy 9 @ 90", "sell 1 @ 108", "buy 1 @ 108", "sell 2 @ 115", "sell 2 @ 119"
    )
    order = desk.amend(3, "1000", price="120")
    assert (desk.fills(order), outcome_of(order)) == ("6:2@115", "7 partially_filled price_protection")
    assert (order.frozen, desk.depth()) == (0, "| 2@119")


class Floor:
    """A market in which commands are decided, batch after batch."""

    def __init__(self, *lines: str) -> None:
        self.desk = Desk()
        if lines:
            self.desk.play(*lines)
        self.market = Market(self.desk.book.rules, "TRADING")
        self.market.book = self.desk.book

    def amend(self, order: Order, reserved: str = "0", **terms: str) -> PendingCommand:
        """As it is read, with the order as it was stored then."""
        data = {name: units(text) for name, text in terms.items()}
        stored = replace(order, phase=Phase.TAKING)
        return PendingCommand(7, "AMEND", order.id, stored, data, units(reserved))

    def replace(self, old: int, line: str, reserved: str) -> PendingCommand:
        order = self.desk.order(line)
        order.frozen = 0
        return PendingCommand(8, "REPLACE", order.id, order, {"replaces": old}, units(reserved))

    def place(self, line: str) -> PendingCommand:
        order = self.desk.order(line)
        return PendingCommand(9, "NEW", order.id, order)

    def decide(self, *commands: PendingCommand, available: str = "0", most_fills: int = 1000) -> Batch:
        accounts = spenders(commands, self.market.rules)
        funds = dict.fromkeys(accounts, units(available))
        batch = self.market.decide(commands, spendable=funds, most_fills=most_fills)
        self.market.book.check()
        return batch


def told(batch: Batch) -> str:
    return " ".join(f"{event.order.id}:{event.status}:{event.reason}".lower() for event in batch.events)


def moved(batch: Batch, order: Order) -> str:
    """The changes of what the order's user pays with: "available frozen"."""
    asset = "QUOTE" if order.side is Side.BUY else "BASE"
    change = batch.changes.get((order.user_id, asset), (0, 0))
    return " ".join(map(plain, change))


@pytest.mark.parametrize("is_later", [False, True])
def test_an_order_that_was_closed_meanwhile_is_named_as_it_ended(is_later):
    floor = Floor("buy 5 @ 100")
    amend = floor.amend(floor.desk.orders[1], "10", price="102")
    sale = floor.place("sell 5 @ 100")
    batches = [floor.decide(sale), floor.decide(amend)] if is_later else [floor.decide(sale, amend)]
    assert told(batches[-1]).endswith("1:filled:amend_refused")
    event, order = batches[-1].events[-1], floor.desk.orders[1]
    assert (event.active, event.filled, plain(event.released)) == (False, units("5"), "10")
    assert (order.reason, moved(batches[-1], order)) == (None, "10 -10" if is_later else "10 -510")


def test_a_market_that_is_halted_amends_nothing():
    floor = Floor("buy 5 @ 100")
    halt = PendingCommand(1, "HALT", 0, None)
    batch = floor.decide(halt, floor.amend(floor.desk.orders[1], "10", price="102"))
    assert (told(batch), floor.desk.depth()) == ("1:open:amend_refused", "5@100 |")
    assert moved(batch, floor.desk.orders[1]) == "10 -10"


def test_in_an_auction_nothing_is_taken():
    floor = Floor("buy 5 @ 100 post-only", "sell 5 @ 102")
    floor.decide(PendingCommand(1, "AUCTION", 0, None))
    batch = floor.decide(floor.amend(floor.desk.orders[1], "15", price="103"))
    assert (told(batch), floor.desk.depth()) == ("1:open:amended", "5@103 | 5@102")


def test_an_unfinished_amend_goes_on_with_what_was_frozen_for_it():
    floor = Floor("sell 1 @ 101", "sell 1 @ 102", "buy 3 @ 100")
    amend = floor.amend(floor.desk.orders[3], "6", price="102")
    first = floor.decide(amend, most_fills=1)
    order = first.unfinished
    assert (told(first), first.spent, order.frozen) == (
        "3:open:amended 3:partially_filled:none 1:filled:none",
        [7],
        units("204"),
    )
    batch = floor.decide(amend._replace(order=order, reserved=0, goes_on=True))
    assert (told(batch), floor.desk.depth()) == ("3:partially_filled:none 2:filled:none", "1@102 |")
    # 306 less 101 and 102 that it paid.
    assert (moved(first, order), moved(batch, order)) == ("1 -102", "0 -102")


def test_a_given_up_amend_leaves_its_order_and_an_unfinished_one_fails():
    floor = Floor("buy 5 @ 100")
    amend = floor.amend(floor.desk.orders[1], "10", price="102")
    given_up = Market(floor.market.rules, "TRADING", 9).give_up(amend)
    assert (told(given_up), moved(given_up, floor.desk.orders[1])) == ("1:open:amend_refused", "10 -10")
    failed = Market(floor.market.rules, "TRADING", 9).give_up(amend._replace(reserved=0, goes_on=True))
    assert (told(failed), moved(failed, floor.desk.orders[1])) == ("1:failed:internal_error", "500 -500")


@pytest.mark.parametrize(
    ("old", "line", "reserved", "available", "events", "money"),
    [
        # It needs what the old one had, or more, or less; or something else.
        ("buy 5 @ 100", "alice: buy 5 @ 99", "0", "0", "1:cancelled:user_cancelled 2:open:none", "5 -5"),
        ("buy 5 @ 100", "alice: buy 6 @ 100", "100", "0", "1:cancelled:user_cancelled 2:open:none", "0 0"),
        ("buy 5 @ 100", "alice: sell 6 @ 100", "6", "0", "1:cancelled:user_cancelled 2:open:none", "0 0"),
        # The old one was filled in part, so that less is released; but its user has something available.
        ("buy 5 @ 100", "alice: buy 7 @ 100", "100", "100", "1:cancelled:user_cancelled 2:open:none", "-100 100"),
        (
            "buy 5 @ 100",
            "alice: buy 7 @ 100",
            "100",
            "99.99",
            "1:cancelled:user_cancelled 2:rejected:insufficient_funds",
            "600 -600",
        ),
        ("buy 5 @ 90 ioc", "alice: buy 5 @ 100", "500", "0", "2:rejected:nothing_to_replace", "500 -500"),
        (
            "buy 5 @ 100",
            "alice: buy market 600 quote",
            "100",
            "0",
            "1:cancelled:user_cancelled 2:rejected:no_liquidity",
            "600 -600",
        ),
        (
            "buy 5 @ 100",
            "alice: buy 6 @ market",
            "0",
            "0",
            "1:cancelled:user_cancelled 2:rejected:no_liquidity",
            "500 -500",
        ),
    ],
)
def test_an_order_takes_the_place_of_another(old, line, reserved, available, events, money):
    floor = Floor(f"alice: {old}")
    command = floor.replace(1, line, reserved)
    batch = floor.decide(command, available=available)
    assert told(batch) == events
    assert moved(batch, floor.desk.orders[2] if "sell" not in line else command.order) == money
    assert command.order.frozen == (owed(command.order, 1) if command.order.active else 0)


def test_an_unfinished_replacement_goes_on_and_a_given_up_one_fails():
    floor = Floor("alice: buy 2 @ 99", "sell 1 @ 101", "sell 1 @ 102")
    command = floor.replace(1, "alice: buy 2 @ 102", "6")
    first = floor.decide(command, most_fills=1)
    assert (told(first), first.spent) == ("1:cancelled:user_cancelled 4:partially_filled:none 2:filled:none", [8])
    goes_on = command._replace(reserved=0, goes_on=True)
    assert told(floor.decide(goes_on)) == "4:filled:none 3:filled:none"
    other = floor.replace(1, "alice: buy 2 @ 102", "6")
    given_up = Market(floor.market.rules, "TRADING", 9).give_up(other)
    assert (told(given_up), moved(given_up, other.order)) == ("5:failed:internal_error", "6 -6")


def test_a_replacement_in_a_halted_market_cancels_all_the_same():
    floor = Floor("alice: buy 5 @ 100")
    batch = floor.decide(PendingCommand(1, "HALT", 0, None), floor.replace(1, "alice: buy 5 @ 99", "0"))
    assert told(batch) == "1:cancelled:user_cancelled 2:rejected:market_halted"
    assert moved(batch, floor.desk.orders[1]) == "500 -500"
