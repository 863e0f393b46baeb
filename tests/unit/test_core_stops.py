"""Stops in the core: what triggers them, in which order they fire, and that a transaction may end anywhere."""

import itertools
import random

import pytest

from core.stops import Stops
from core.trailing import Trail
from core.types import PendingCommand, Phase, Side, Status
from tests.support.exchange import Floor
from tests.support.tape import outcome_of, plain, units

# The last price is 100, and there are bids and asks around it.
BOOK = ("sell 1 @ 100", "buy 1 @ 100", "buy 50 @ 95", "buy 50 @ 90", "buy 50 @ 80", "sell 50 @ 105", "sell 50 @ 110")


def floor_with(*lines: str, **settings) -> Floor:
    floor = Floor(**settings)
    floor.play(*BOOK)
    floor.batches.clear()
    if lines:
        floor.play(*lines)
    return floor


@pytest.mark.parametrize(
    ("line", "trade", "ends"),
    [
        ("sell 3 @ market stop 95", "sell 1 @ 95", "0 filled"),
        ("sell 3 @ 96 stop 95", "sell 1 @ 95", "3 open"),
        ("sell 3 @ 90 stop 95 ioc", "sell 1 @ 95", "0 filled"),
        ("sell 99 @ 94 stop 95 fok", "sell 1 @ 95", "99 expired fok_not_fillable"),
        ("sell 3 @ 90 stop 95 post-only", "sell 1 @ 95", "3 rejected would_take"),
        ("buy 3 @ market stop 105", "buy 1 @ 105", "0 filled"),
        ("buy market 211 quote stop 105", "buy 1 @ 105", "1 filled"),
        ("sell 3 @ market take 105", "buy 1 @ 105", "0 filled"),
        ("sell 3 @ 106 take 105", "buy 1 @ 105", "3 open"),
        ("buy 3 @ market take 95", "sell 1 @ 95", "0 filled"),
        ("sell 3 @ market trail 5", "sell 1 @ 95", "0 filled"),
        ("buy 3 @ market trail 5", "buy 1 @ 105", "0 filled"),
    ],
)
def test_a_stop_waits_for_its_price(line: str, trade: str, ends: str) -> None:
    floor = floor_with("buy 1 @ 100", "sell 1 @ 100")
    depth = floor.depth()
    stop = floor.play(line)
    assert (stop.status, stop.active, floor.depth()) == ("WAITING", True, depth)
    floor.play(trade)
    assert stop.is_triggered and stop.priority is not None and stop.priority > (stop.sequence or 0)
    assert outcome_of(stop) == ends


@pytest.mark.parametrize(
    "line", ["sell 3 @ market stop 100", "buy 3 @ 100 stop 99", "sell 1 @ 120 take 100", "buy 1 @ 90 take 101"]
)
def test_a_stop_that_is_reached_when_it_is_accepted_fires_at_once(line: str) -> None:
    floor = floor_with(line)
    assert [text.split()[2] for text in floor.tape()[:2]] == ["waiting", "triggered"]


def test_without_a_trade_nothing_is_due() -> None:
    floor = Floor()
    floor.play("sell 5 @ 100", "buy 5 @ 90")
    stop, trailing = floor.play("buy 1 @ market stop 1"), floor.play("sell 1 @ market trail 1")
    assert [order.status for order in (stop, trailing)] == ["WAITING", "WAITING"]
    assert trailing.stop_price is None
    floor.play("buy 1 @ 100")
    assert (outcome_of(stop), trailing.status) == ("0 filled", "WAITING")


def test_the_order_in_which_they_fire() -> None:
    """Upward by rising price, downward by falling price, at one price the oldest first; then what these made due."""
    floor = floor_with(
        *("sell 1 @ market take 101", "buy 1 @ 50 stop 103", "buy 1 @ 50 stop 101", "sell 1 @ 120 take 102"),
        *("buy 1 @ 50 take 99", "sell 1 @ market stop 90", "sell 1 @ market stop 95"),
    )
    floor.batches.clear()
    # The last price is 105: the first one to fire sells at 95, and by that two more are due.
    floor.play("buy 1 @ 105")
    fired = [text.split()[1] for text in floor.tape() if "triggered" in text]
    first = len(BOOK)
    assert [int(number) - first for number in fired] == [1, 3, 4, 2, 5, 7]
    assert floor.orders[first + 6].status == "WAITING"


def test_only_the_last_price_of_a_taker_counts() -> None:
    floor = floor_with("buy 1 @ 70 take 90", "sell 1 @ market stop 80", most_fills=1)
    floor.batches.clear()
    floor.play("sell 120 @ 80")
    # It meets 95 and 90, and ends at 80: in three transactions.
    assert [len(batch.trades) for batch in floor.batches] == [1, 1, 1, 1]
    first = next(place for place, line in enumerate(floor.tape()) if "triggered" in line)
    assert first == 6


@pytest.mark.parametrize("side", ["sell", "buy"])
def test_a_trailing_stop_follows_the_best_price(side: str) -> None:
    sign = 1 if side == "sell" else -1
    other = "buy" if side == "sell" else "sell"
    floor = Floor()

    def trade(away: int) -> None:
        floor.play(f"{side} 1 @ {100 + sign * away}", f"{other} 1 @ {100 + sign * away} ioc")

    trade(0)
    stop = floor.play(f"{side} 2 @ market trail 5")
    seen = []
    for away in (2, -1, 7, 3):
        trade(away)
        seen.append(plain(floor.book.stops.stop_price(stop)))
    assert seen == [str(100 + sign * (best - 5)) for best in (2, 2, 7, 7)]
    assert stop.status == "WAITING"
    trade(2)
    assert (stop.status, plain(stop.stop_price)) == ("REJECTED", str(100 + sign * 2))


def test_a_band_binds_when_a_stop_fires() -> None:
    floor = floor_with(band="0.1")
    stop = floor.play("sell 200 @ market stop 95")
    assert stop.status == "WAITING"
    floor.play("sell 1 @ 95")
    assert outcome_of(stop) == "101 partially_filled price_protection"


def test_a_market_buy_by_quantity_ends_the_transaction() -> None:
    """Its user's funds are locked in the next one."""
    floor = floor_with("poor: buy 5 @ market stop 105")
    stop = floor.orders[max(floor.orders)]
    floor.funds[stop.user_id] = units("320")
    floor.play("buy 1 @ 105")
    assert [len(batch.triggered) for batch in floor.batches[-2:]] == [1, 0]
    assert outcome_of(stop) == "2 partially_filled insufficient_funds"


def test_a_halted_market_triggers_nothing_and_a_delisting_cancels_what_waits() -> None:
    floor = floor_with("sell 1 @ market stop 95", "buy 1 @ market stop 120", "sell 1 @ market trail 50")
    waiting = [floor.orders[number] for number in range(len(BOOK) + 1, len(floor.orders) + 1)]
    floor.command("HALT")
    floor.drain()
    new = floor.play("sell 1 @ market stop 95")
    assert (new.status, new.reason) == ("REJECTED", "MARKET_HALTED")
    assert {order.status for order in waiting} == {"WAITING"}
    floor.batches.clear()
    floor.most_fills = 1
    floor.command("DELIST")
    floor.drain()
    assert {outcome_of(order) for order in waiting} == {"1 cancelled market_delisted"}
    closed = [event.order.id for batch in floor.batches for event in batch.events]
    assert closed[-3:] == [order.id for order in waiting], "after bids and asks, the oldest first"


def test_what_waits_can_be_cancelled_once() -> None:
    floor = floor_with("buy 2 @ 105 stop 104", "sell 1 @ market trail 50")
    for number in (len(BOOK) + 1, len(BOOK) + 2):
        floor.cancel(number)
        floor.cancel(number)
        assert outcome_of(floor.orders[number]).endswith("cancelled user_cancelled")
    floor.play("buy 1 @ 105")
    assert not floor.book.stops.orders and [len(batch.events) for batch in floor.batches[-3:-1]] == [1, 0]


CASCADE = (
    *(f"sell 2 @ market stop {price}" for price in (94, 94, 93, 92, 90, 85)),
    *(f"sell 3 @ {price - 1} stop {price}" for price in (94, 90, 80)),
    *("sell 1 @ market trail 6", "sell 1 @ market trail 7", "sell 1 @ market trail 20", "buy 1 @ market trail 3"),
    *("buy 2 @ market take 90", "buy 1 @ 96 stop 94", "poor: buy 1 @ market stop 89", "buy market 95 quote take 85"),
)
SETTINGS = [
    {"most_fills": fills, "batch_size": size, "crashes": crashes, "fires": fires}
    for fills, size, crashes, fires in itertools.product((1, 3, 100), (1, 2, 100), (False, True), (False, True))
]


@pytest.mark.parametrize("seed", range(2))
def test_a_cascade_may_end_a_transaction_anywhere(seed: int) -> None:
    """Every size of batches, with the market built again after each of them, gives the same events."""
    dice = random.Random(seed)
    lines = list(CASCADE)
    dice.shuffle(lines)
    moves = [
        f"{dice.choice(('buy', 'sell'))} {dice.randint(20, 70)} @ {dice.choice((79, 89, 94, 106, 111))}"
        for _ in range(12)
    ]
    tapes = {}
    for settings in SETTINGS:
        floor = Floor(**settings)
        floor.play(*BOOK, *lines[:9])
        floor.send(*moves[:4], *lines[9:], *moves[4:])
        floor.drain()
        tapes[str(settings)] = floor.tape()
    expected = tapes[str(SETTINGS[-2])]
    assert sum("triggered" in line for line in expected) > 5
    for settings, tape in tapes.items():
        assert tape == expected, settings


def test_a_transaction_is_bounded_however_many_are_due() -> None:
    floor = floor_with("sell 1 @ 94", "buy 1 @ 94", most_fills=5, batch_size=20)
    for number in range(300):
        floor.play(f"sell 1 @ 200 stop {40 + number % 50}" if number % 2 else f"buy 1 @ 20 take {40 + number % 50}")
    floor.batches.clear()
    floor.play("sell 151 @ 30", "buy 1 @ 30", "sell 1 @ 30")
    assert len(floor.batches) > 30
    assert max(len(batch.events) for batch in floor.batches) <= 4 * 5 + 2
    assert not any(order.status == "TRIGGERED" for order in floor.orders.values())


def test_a_chain_of_stops_needs_few_transactions() -> None:
    """Each makes the next one due: what is triggered fires with those that waited, where these are all read."""
    floor = Floor(most_fills=10)
    floor.play("sell 1 @ 1000", "buy 1 @ 1000")
    for price in range(999, 899, -1):
        floor.play(f"buy 1 @ {price}", f"sell 1 @ market stop {price + 1 if price < 999 else 999}")
    floor.batches.clear()
    floor.play("sell 1 @ 999")
    assert sum(len(batch.events) for batch in floor.batches) > 200
    assert len(floor.batches) < 20


def test_a_failed_command_is_alone_while_it_is_searched_for() -> None:
    floor = floor_with("sell 1 @ market stop 95", fires=False)
    floor.play("sell 1 @ 95")
    assert [[command.kind for command in batch.done] for batch in floor.batches[-2:]] == [["NEW"], ["TRIGGER"]]
    batch = floor.market.give_up(PendingCommand(99, "TRIGGER", 99, floor.order("sell 1 @ market stop 95")))
    assert [(event.status, event.reason) for event in batch.events] == [("FAILED", "INTERNAL_ERROR")]


def test_trails_are_stacks() -> None:
    """Each order's extreme is the best last price since it came, whatever joins and leaves meanwhile."""
    for seed in range(6):
        dice = random.Random(seed)
        side = dice.choice(list(Side))
        best = max if side is Side.SELL else min
        floor, stops, prices, stored = Floor(), Stops(), {}, {}
        last = None
        for sequence in range(1, 301):
            if dice.random() < 0.4:
                order = floor.order(f"{side.lower()} 1 @ market trail {dice.randint(1, 30)}")
                order.sequence = sequence
                stops.add(order, last)
                prices[order.id] = [] if last is None else [last]
            elif dice.random() < 0.5 and prices:
                gone = dice.choice(list(prices))
                stops.remove(floor.orders[gone])
                del prices[gone]
            else:
                last = units(str(dice.randint(50, 90)))
                stops.follow(last)
                for seen in prices.values():
                    seen.append(last)
            for _, cut, removed, entries in stops.take_changes():
                for key in [key for key in stored if key in removed or (cut is not None and key >= cut)]:
                    del stored[key]
                stored.update(entries)
            stops.check()
            again = Trail(side)
            again.load(stored.items())
            for number, seen in prices.items():
                again.put_back(floor.orders[number])
                expected = best(seen) if seen else None
                assert again.extreme(floor.orders[number]) == expected
                assert stops.trails[side].extreme(floor.orders[number]) == expected


# One order cancels the other.


def test_an_oco_reserves_once_and_the_first_fill_cancels_the_stop() -> None:
    floor = floor_with()
    limit, stop = floor.send_oco("alice: sell 5 @ 105", "sell 5 @ market stop 95")
    floor.drain()
    assert [text.split(" ", 1)[1] for text in floor.tape()] == [f"{stop.id} waiting", f"{limit.id} open"]
    assert (plain(limit.frozen), plain(stop.frozen)) == ("5", "0")
    floor.batches.clear()
    floor.play("buy 52 @ 105")
    assert floor.tape()[-3:][0].endswith(f"{floor.orders[max(floor.orders)].id} filled 2@105")
    assert [text.split(" ", 1)[1] for text in floor.tape()[-2:]] == [
        f"{limit.id} partially_filled 2@105",
        f"{stop.id} cancelled oco",
    ]
    assert (plain(limit.frozen), limit.active, stop.active) == ("3", True, False)
    floor.play("sell 1 @ 95")
    assert limit.status == "PARTIALLY_FILLED"


def test_the_dearer_leg_is_reserved_and_what_is_too_much_is_released() -> None:
    floor = floor_with()
    limit, stop = floor.send_oco("alice: buy 2 @ 90", "buy 2 @ 120 stop 110")
    floor.drain()
    assert plain(limit.frozen) == "240"
    floor.play("sell 101 @ 90")
    released = [plain(event.released) for event in floor.batches[-1].events if event.order is stop]
    # One is bought at 90, and the rest of the limit leg still needs 90.
    assert (plain(limit.frozen), released) == ("90", ["60"])


def test_a_trigger_cancels_the_limit_leg_and_takes_over_its_funds() -> None:
    floor = floor_with()
    limit, stop = floor.send_oco("alice: buy 2 @ 80", "buy 2 @ 106 stop 105")
    floor.drain()
    floor.batches.clear()
    floor.play("buy 1 @ 105")
    assert [text.split(" ", 1)[1] for text in floor.tape()[2:4]] == [
        f"{stop.id} triggered",
        f"{limit.id} cancelled oco",
    ]
    assert outcome_of(stop) == "0 filled" and (limit.frozen, stop.frozen) == (0, 0)


@pytest.mark.parametrize("which", [0, 1])
def test_a_cancel_of_one_leg_cancels_both(which: int) -> None:
    floor = floor_with()
    legs = floor.send_oco("alice: sell 5 @ 105", "sell 5 @ market stop 95")
    floor.drain()
    floor.batches.clear()
    floor.cancel(legs[which].id)
    named, other = legs[which], legs[1 - which]
    assert [text.split(" ", 1)[1] for text in floor.tape()] == [
        f"{named.id} cancelled user_cancelled",
        f"{other.id} cancelled user_cancelled",
    ]
    assert not floor.book.stops.legs and sum(event.released for event in floor.batches[0].events) == units("5")


def test_legs_end_together_whatever_ends_one() -> None:
    floor = floor_with(most_fills=2)
    floor.command("HALT")
    legs = floor.send_oco("alice: sell 5 @ 105", "sell 5 @ market stop 95")
    floor.drain()
    assert [outcome_of(leg) for leg in legs] == ["5 cancelled oco", "5 rejected market_halted"]
    floor.command("RESUME")
    floor.drain()
    legs = floor.send_oco("alice: sell 5 @ 105", "sell 5 @ market stop 95")
    floor.drain()
    floor.play("alice: buy 60 @ 105 expire-maker")
    assert [outcome_of(leg) for leg in legs] == ["5 cancelled self_trade", "5 cancelled oco"]
    legs = floor.send_oco("alice: sell 5 @ 106", "sell 5 @ market stop 95")
    floor.drain()
    floor.command("DELIST")
    floor.drain()
    assert [outcome_of(leg) for leg in legs] == ["5 cancelled market_delisted", "5 cancelled oco"]


def test_an_oco_that_is_given_up_ends_both_legs() -> None:
    floor = Floor()
    legs = floor.send_oco("alice: sell 5 @ 105", "sell 5 @ market stop 95")
    batch = floor.market.give_up(floor.inbox[0])
    assert [(event.order, event.status) for event in batch.events] == [(legs[0], "FAILED"), (legs[1], "CANCELLED")]


@pytest.mark.parametrize("settings", SETTINGS[::5], ids=str)
def test_groups_in_batches_of_any_size(settings: dict) -> None:
    tapes = []
    for chosen in (settings, {"most_fills": 100}):
        floor = Floor(**chosen)
        floor.play(*BOOK)
        for price in (103, 101, 104):
            floor.send_oco(f"sell 9 @ {price}", f"sell 9 @ {price - 12} stop {price - 11}")
            floor.send_oco(f"buy 9 @ {price - 10}", f"buy 9 @ {price + 4} stop {price + 3}")
        floor.send("buy 12 @ 104", "sell 40 @ 92", "buy 30 @ 106", "sell 60 @ 80", "buy 60 @ 110")
        floor.drain()
        tapes.append(floor.tape())
    assert tapes[0] == tapes[1]
    assert sum("cancelled oco" in line for line in tapes[0]) == 6


@pytest.mark.parametrize(
    ("which", "terms", "reserved", "frozen", "released"),
    [
        # The stop leg needs 220, so the limit leg holds that whatever its own price is.
        (0, {"price": "80"}, "0", "220", "0"),
        (0, {"price": "85"}, "10", "220", "10"),
        (1, {"price": "125"}, "30", "250", "0"),
        (1, {"price": "60"}, "0", "180", "40"),
        (1, {"price": "125"}, "29", "220", "29"),  # refused
        (1, {"stop_price": "104"}, "0", "220", "0"),
    ],
)
def test_an_amended_leg_leaves_both_reserved_once(which, terms, reserved, frozen, released) -> None:
    floor = Floor()
    limit, stop = floor.send_oco("alice: buy 2 @ 90", "buy 2 @ 110 stop 105")
    floor.drain()
    leg = (limit, stop)[which]
    data = {name: units(text) for name, text in terms.items()}
    floor.command("AMEND", leg, data=data, reserved=units(reserved))
    floor.drain()
    [event] = floor.batches[-1].events
    assert (event.order.id, plain(event.released)) == (leg.id, released)
    held = floor.book.find(limit.id)
    assert held is not None and (plain(held.frozen), floor.book.stops.orders[stop.id].frozen) == (frozen, 0)
    # The limit leg's row has no event that would bring its funds along.
    changes = which == 1 and event.reason == "AMENDED"
    assert list(floor.batches[-1].holders) == ([limit.id] if changes else [])


@pytest.mark.parametrize("settings", [{"fires": False}, {"most_fills": 1}, {}], ids=str)
def test_what_is_due_after_a_failure_fires_before_the_next_command(settings: dict) -> None:
    """The order that failed had traded, and the last price is where it came to."""
    floor = floor_with("sell 60 @ market stop 96", most_fills=1)
    taker = floor.send("sell 120 @ 80")
    floor.settle(floor.next_batch())
    assert floor.unfinished is not None and not floor.batches[-1].triggered
    # The order is FAILED by a transaction that knows no book.
    taker.phase, taker.status = Phase.CLOSED, Status.FAILED
    floor.inbox, floor.unfinished = [], None
    floor.fires, floor.most_fills = settings.get("fires", True), settings.get("most_fills", 100)
    floor.crash()
    floor.batches.clear()
    late = floor.play("sell 1 @ 90")
    events = [event for batch in floor.batches for event in batch.events]
    first = next(place for place, event in enumerate(events) if event.order.id == late.id)
    assert "triggered" in floor.tape()[0]
    assert not any(event.order.type == "STOP" for event in events[first + 1 :])
