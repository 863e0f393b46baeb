"""A book whose orders are stored elsewhere plays like one that has them all: levels are read when they are needed."""

import copy
import random

from core.book import Book
from core.ladder import StoredLevel
from core.store import LevelSums
from core.types import Order, Phase, Side
from tests.support.tape import Desk, outcome_of


class Store:
    """The resting orders of a book, as they are at this moment."""

    def __init__(self, book: Book) -> None:
        self.kept: dict[LevelSums, list[Order]] = {}
        self.reads = 0
        for side, ladder in book.ladders.items():
            for level in ladder.levels.values():
                sums = LevelSums(side, ladder.sign * level.key, level.quantity, len(level.orders), level.hidden)
                # As they are before they rest.
                self.kept[sums] = [copy.copy(order) for order in level.orders.values()]
                for order in self.kept[sums]:
                    order.phase = Phase.TAKING

    def levels(self):
        return list(self.kept)

    def read(self, level):
        self.reads += 1
        return self.kept[level]

    def find(self, order_id):
        return next((sums for sums, orders in self.kept.items() for order in orders if order.id == order_id), None)


def desk_with(*lines: str) -> tuple[Desk, Store]:
    """A desk whose book was put aside after these lines."""
    desk = Desk()
    desk.play(*lines)
    store = Store(desk.book)
    desk.book = Book(desk.book.rules, desk.book.next_sequence, store=store)
    # The checks of the desk would read everything.
    desk.book.check = lambda: None
    return desk, store


LINES = ("buy 5 @ 100", "buy 3 @ 100", "buy 1 @ 99", "sell 4 @ 102", "sell 2 @ 103")


def test_what_is_hidden_counts_before_it_is_read():
    desk, store = desk_with("sell 9 @ 102 show 2", "sell 1 @ 102", "sell 1 @ 103")
    assert (desk.depth(), store.reads) == ("| 3@102 1@103", 0)
    assert desk.book.ladders[Side.SELL].holds(11 * 10**8, None)
    assert not desk.book.ladders[Side.SELL].holds(11 * 10**8, 102 * 10**8)
    assert store.reads == 0
    assert outcome_of(desk.play("buy 10 @ 102 fok")) == "0 filled"


def test_only_what_is_met_is_read():
    desk, store = desk_with(*LINES)
    assert desk.depth() == "8@100 1@99 | 4@102 2@103"
    assert [level.order_count for level in desk.book.depth(Side.BUY, 9)] == [2, 1]
    assert store.reads == 0
    taker = desk.play("sell 6 @ 100")
    assert (desk.fills(taker), store.reads) == ("1:5@100 2:1@100", 1)
    desk.play("buy 1 @ 102", "buy 1 @ 98")
    assert desk.depth() == "2@100 1@99 1@98 | 3@102 2@103"
    assert store.reads == 2


def test_a_fok_order_that_cannot_be_filled_looks_at_no_order():
    """However many small orders rest: each such order would else take the worker's time for all of them."""
    desk, store = desk_with(*LINES)
    for line in ("sell 10 @ 99 fok", "sell 9 @ 100 fok", "buy 7 @ 103 fok", "buy 1 @ 101 fok"):
        assert outcome_of(desk.play(line)).endswith("expired fok_not_fillable")
    assert store.reads == 0
    assert outcome_of(desk.play("sell 9 @ 99 fok")) == "0 filled"


def test_a_stored_order_is_cancelled_once():
    desk, store = desk_with(*LINES)
    (event,) = desk.cancel(2).events
    assert outcome_of(event.order) == "3 cancelled user_cancelled"
    assert desk.cancel(2).events == desk.cancel(77).events == []
    assert (desk.depth(), store.reads) == ("5@100 1@99 | 4@102 2@103", 1)


def test_a_new_order_stands_behind_the_stored_ones():
    desk, _ = desk_with(*LINES)
    desk.play("buy 1 @ 100")
    taker = desk.play("sell 9 @ 100")
    assert desk.fills(taker) == "1:5@100 2:3@100 6:1@100"


def test_brought_forward_it_is_the_book_of_today():
    """Orders were filled in part, cancelled, placed; each stands at its place in time."""
    desk, old = Desk(), None
    dice = random.Random(5)
    for step in range(400):
        if step == 200:
            old = Store(desk.book)
            known = set(desk.orders)
        side = dice.choice(("buy", "sell"))
        away = dice.randint(-2, 40 if step < 200 else 6)
        price = 100 + (-away if side == "buy" else away)
        desk.play(f"{side} {dice.randint(1, 9)} @ {price}")
        if dice.random() < 0.2:
            desk.cancel(dice.randint(1, len(desk.orders)))
    today = Store(desk.book)
    assert old is not None
    before = {order.id: order for orders in old.kept.values() for order in orders}
    changed = {
        key for key, order in before.items() if progress(order) != progress(desk.orders[key])
    } | desk.orders.keys() - known
    book = Book(desk.book.rules, desk.book.next_sequence, store=old)
    resting = [order for orders in today.kept.values() for order in orders if order.id in changed]
    dice.shuffle(resting)
    book.bring_forward(changed, resting)
    assert any(type(level) is StoredLevel for ladder in book.ladders.values() for level in ladder.levels.values())
    book.check()
    for side in Side:
        assert [order.id for order in book.ladders[side]] == [order.id for order in desk.book.ladders[side]]
        assert book.depth(side, 99) == desk.book.depth(side, 99)
    assert len(before.keys() & changed) > 5


def progress(order: Order) -> tuple[object, ...]:
    return (order.filled, order.status, order.phase is Phase.CLOSED)
