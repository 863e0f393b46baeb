"""The call auction in the core: the one price, who trades at it, and what becomes of what still crosses."""

import random
from collections import defaultdict

import pytest

from core.auction import Equilibrium, equilibrium
from core.batch import Batch
from core.market import Market
from core.types import Order, PendingCommand, Status
from tests.support.tape import Desk, plain, units


def found(bids: str, asks: str, last: int | None = None) -> tuple[int, int] | None:
    """Levels as "3@100 2@99": the price, and how much would trade."""
    sides = [[tuple(map(int, reversed(level.split("@")))) for level in side.split()] for side in (bids, asks)]
    return equilibrium(*sides, last)


@pytest.mark.parametrize(
    ("bids", "asks", "last", "expected"),
    [
        ("5@99", "5@100", None, None),
        ("5@100", "", None, None),
        ("5@100", "5@100", None, (100, 5)),
        ("5@102 5@101", "4@100 4@101", None, (101, 8)),
        # 101 and 102 trade 5 each; 102 leaves nothing over.
        ("5@102 3@101", "5@100", None, (102, 5)),
        # 100, 101 and 102 trade 5 and leave nothing over.
        ("5@102", "5@100", 103, (102, 5)),
        ("5@102", "5@100", 90, (100, 5)),
        ("5@102", "5@100", None, (100, 5)),
        ("5@104 1@102", "5@100 1@102", 103, (102, 6)),
    ],
)
def test_the_price(bids: str, asks: str, last: int | None, expected: tuple[int, int] | None) -> None:
    assert found(bids, asks, last) == expected


def test_the_price_is_that_of_a_search_through_all_of_them() -> None:
    lot = random.Random(13)
    for _ in range(500):
        sides = [[(lot.randint(1, 12), lot.randint(1, 9)) for _ in range(lot.randint(0, 8))] for _ in range(2)]
        last = lot.choice([None, lot.randint(1, 12)])
        choices = defaultdict(list)
        for price in sorted({price for side in sides for price, _ in side}):
            bought = sum(quantity for at, quantity in sides[0] if at >= price)
            sold = sum(quantity for at, quantity in sides[1] if at <= price)
            if min(bought, sold):
                choices[-min(bought, sold), abs(bought - sold)].append(price)
        expected = None
        if choices:
            most, prices = min(choices.items())
            middle = (prices[0] + prices[-1]) / 2 if last is None else last
            expected = Equilibrium(min(prices, key=lambda price: (abs(price - middle), price)), -most[0])
        assert equilibrium(*sides, last) == expected, (sides, last)


class Hall:
    """A market in an auction. Lines are collected, and `open` lets it trade."""

    def __init__(self, *lines: str, last: int | None = None, **fees: str) -> None:
        self.desk = Desk(**fees)
        last_price = None if last is None else units(last)
        self.market = Market(self.desk.book.rules, "AUCTION", last_price=last_price)
        for line in lines:
            self.collect(line)

    def collect(self, line: str) -> Order:
        order = self.desk.order(line)
        assert not self.decide(PendingCommand(order.id, "NEW", order.id, order)).trades
        return order

    def open(self, band: str | None = None, most_fills: int = 100) -> list[Batch]:
        """The batches that it takes, each with as many trades as it may have."""
        data = None if band is None else {"priceBand": units(band)}
        resume = PendingCommand(1000, "RESUME", 0, None, data)
        batches = [self.decide(resume, most_fills)]
        while batches[-1].is_unfinished:
            assert self.market.status == "AUCTION"
            batches.append(self.decide(resume, most_fills))
        self.market.book.check()
        assert self.market.status == "TRADING"
        return batches

    def decide(self, command: PendingCommand, most_fills: int = 100) -> Batch:
        return self.market.decide([command], spendable={}, most_fills=most_fills)


def tape(batches: list[Batch]) -> str:
    """The trades as "buyer-seller:quantity@price"."""
    trades = [trade for batch in batches for trade in batch.trades]
    return " ".join(f"{t.buyer.id}-{t.seller.id}:{plain(t.quantity)}@{plain(t.price)}" for t in trades)


BOOK = ("buy 5 @ 103", "buy 5 @ 102", "sell 4 @ 100", "sell 4 @ 101", "sell 9 @ 105")


def test_orders_are_collected_and_the_book_may_be_crossed() -> None:
    hall = Hall(*BOOK)
    assert [order.status for order in hall.desk.orders.values()] == [Status.OPEN] * 5
    assert hall.market.book.is_crossed()
    hall.market.book.check()


def test_all_trade_at_one_price_by_price_and_time() -> None:
    hall = Hall(*BOOK)
    batches = hall.open()
    assert tape(batches) == "1-3:4@101 1-4:1@101 2-4:3@101"
    assert {trade.taker.id for trade in batches[0].trades} == {3, 4}, "the younger one is the taker"
    assert hall.desk.orders[2].status == Status.PARTIALLY_FILLED
    assert [change[:2] for change in batches[0].status_changes] == [("TRADING", 12)]
    # What the buyers froze above the price is available again.
    assert hall.desk.orders[2].frozen == units(102 * 2)


@pytest.mark.parametrize("most_fills", [1, 2, 3])
def test_in_several_transactions_it_ends_the_same(most_fills: int) -> None:
    whole, parts = Hall(*BOOK), Hall(*BOOK)
    assert tape(whole.open()) == tape(parts.open(most_fills=most_fills))
    states = [[(o.status, o.filled, o.frozen) for o in hall.desk.orders.values()] for hall in (whole, parts)]
    assert states[0] == states[1]


def test_everybody_pays_the_makers_rate_and_prevention_does_not_act() -> None:
    hall = Hall("alice: buy 5 @ 100", "alice: sell 5 @ 100", maker_fee="0.1", taker_fee="0.5")
    [batch] = hall.open()
    [trade] = batch.trades
    assert (plain(trade.buyer_fee), plain(trade.seller_fee)) == ("0.5", "50")


def test_a_price_beyond_the_band_is_moved_to_its_edge_and_the_rest_that_crosses_is_closed() -> None:
    hall = Hall("buy 5 @ 130", "buy 3 @ 120", "sell 2 @ 105", "sell 6 @ 125", last=100)
    batches = hall.open(band="0.1")
    assert tape(batches) == "1-3:2@110"
    closed = hall.desk.orders[1]
    assert (closed.status, closed.reason, closed.frozen) == ("PARTIALLY_FILLED", "PRICE_PROTECTION", 0)
    assert hall.desk.orders[2].status == Status.OPEN, "it crosses nothing"


def test_an_uncrossing_keeps_its_price_though_the_band_would_follow() -> None:
    hall = Hall("buy 3 @ 130", "sell 1 @ 105", "sell 1 @ 108", "sell 1 @ 115", last=100)
    assert tape(hall.open(band="0.1", most_fills=1)) == "1-2:1@110 1-3:1@110"
    assert hall.desk.orders[1].reason == "PRICE_PROTECTION"


def test_what_never_traded_is_rejected_by_the_band() -> None:
    hall = Hall("buy 5 @ 130", "sell 6 @ 125", last=100)
    assert tape(hall.open(band="0.1", most_fills=1)) == ""
    assert (hall.desk.orders[1].status, hall.desk.orders[2].status) == ("REJECTED", "OPEN")


def test_an_auction_takes_what_can_rest() -> None:
    hall = Hall()
    for line in ("buy 1 @ 100 ioc", "buy 1 @ 100 fok", "sell 1 @ market"):
        refused = hall.collect(line)
        assert (refused.status, refused.reason, refused.frozen) == ("REJECTED", "NOT_IN_AUCTION", 0)


def test_a_halt_leaves_the_book_as_it_is_and_it_is_uncrossed_when_the_market_trades() -> None:
    hall = Hall(*BOOK)
    hall.decide(PendingCommand(999, "HALT", 0, None))
    assert hall.market.book.is_crossed()
    assert tape([hall.decide(PendingCommand(1000, "RESUME", 0, None))]) == "1-3:4@101 1-4:1@101 2-4:3@101"


def test_an_uncrossing_that_is_given_up_halts_the_market() -> None:
    batch = Market(Desk().book.rules, "AUCTION").give_up(PendingCommand(7, "RESUME", 0, None))
    assert batch.status == "HALTED"


def test_icebergs_count_with_all_of_theirs_and_trade_tip_by_tip():
    """With the tip alone most would trade at 100."""
    hall = Hall("sell 10 @ 99 show 3", "sell 1 @ 99", "sell 3 @ 100", "buy 11 @ 100")
    assert tape(hall.open()) == "4-1:3@99 4-2:1@99 4-1:3@99 4-1:3@99 4-1:1@99"
