"""Thirty ways in which stored rows can be wrong, and the check that finds each of them."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from audit.checks import Check
from balances.models import Approval, Balance, EntryKind, LedgerEntry, Transfer
from base.storage.fields import amount as stored
from commands.models import Command, HeldCommand
from markets.models import Asset, Candle, Market, Trade
from markets.services import create_market
from matching.models import DeadLetter, OrderBook, StatusChange
from orders.models import Order, OrderEvent
from positions.models import Position
from positions.services import read_positions
from tests.support.orders import PlayedExchange, all_findings, checks, full, replay
from tests.support.rows import shared_rows

pytestmark = [pytest.mark.django_db, pytest.mark.dialect]
DUST = Decimal("0.00000001")


@pytest.fixture(scope="module")
def traded(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[PlayedExchange]:
    """Made once: each test corrupts it within a transaction of its own."""
    with shared_rows(django_db_blocker):
        yield PlayedExchange()


def a_ledger_entry_dropped(_):
    LedgerEntry.objects.filter(reference__startswith="trade:").order_by("id").first().delete()


def dust_added_to_a_balance(traded):
    mine = Balance.objects.filter(user=traded.world.carol.user, currency="USD")
    mine.update(available=F("available") + stored(DUST))


def available_and_frozen_shifted(traded):
    mine = Balance.objects.filter(user=traded.world.alice.user, currency="USD")
    mine.update(available=F("available") - stored(DUST), frozen=F("frozen") + stored(DUST))


def two_sequences_swapped(traded):
    """In the orders and in their first events: the one that came later was filled before the other."""
    earlier, later = traded.order("earlier").sequence, traded.order("later").sequence
    for name, sequence in (("earlier", later), ("later", earlier)):
        traded.rows(name).update(sequence=sequence)
    swap_orders(OrderEvent.objects.filter(sequence__in=(earlier, later)), "order_id", traded, "earlier", "later")


def a_filled_order_reopened(traded):
    traded.rows("half").update(status="OPEN", phase="RESTING", closed_at=None)


def a_trade_deleted(_):
    Trade.objects.order_by("sequence").first().delete()


def a_trades_price_changed(_):
    trades = Trade.objects.order_by("sequence")[:1]
    Trade.objects.filter(id__in=[trade.id for trade in trades]).update(price=Decimal(98), notional=Decimal(49))


def a_fee_lowered(_):
    trade = Trade.objects.order_by("sequence").first()
    Trade.objects.filter(id=trade.id).update(buyer_fee=trade.buyer_fee - DUST)


def an_event_missing(traded):
    traded.events("cancelled")[0].delete()


def an_event_doubled(traded):
    event = traded.events("cancelled")[-1]
    book = OrderBook.objects.get(market=traded.symbol)
    event.pk, event.sequence = None, book.next_sequence
    event.save(force_insert=True)
    OrderBook.objects.filter(market=traded.symbol).update(next_sequence=book.next_sequence + 1)


def filled_raised(traded):
    traded.rows("third").update(filled_quantity=F("filled_quantity") + stored(Decimal("0.0001")))


def an_orders_frozen_changed(traded):
    traded.rows("third").update(frozen=F("frozen") + stored(DUST))


def a_cancelled_order_active_again(traded):
    traded.rows("cancelled").update(phase="RESTING")


def the_next_sequence_off(traded):
    OrderBook.objects.filter(market=traded.symbol).update(next_sequence=F("next_sequence") + 1)


def a_crossed_book(traded):
    traded.rows("bid").update(price=Decimal("89.5"))


def the_command_of_a_pending_order_deleted(traded):
    Command.objects.filter(order_id=traded.order("waiting").id).delete()


def a_command_for_a_closed_order(traded):
    order = traded.order("half")
    Command.objects.create(market_id=traded.symbol, kind="NEW", order_id=order.id, created_at=timezone.now())


def a_held_command_for_a_closed_order(traded):
    order = traded.order("half")
    HeldCommand.objects.create(id=order.id, market_id=traded.symbol, due_at=timezone.now())


def a_held_command_of_no_market(traded):
    HeldCommand.objects.create(id=traded.order("waiting").id, market_id="NO-WHERE", due_at=timezone.now())


def a_taker_that_names_another_order(_):
    trade = Trade.objects.order_by("id").first()
    taker = trade.buy_order_id if trade.taker_side == "BUY" else trade.sell_order_id
    Order.objects.filter(id=taker).update(meets_id=taker)


def a_candles_volume_changed(_):
    candle = Candle.objects.order_by("id").first()
    Candle.objects.filter(id=candle.id).update(volume=candle.volume + DUST)


def a_kept_positions_cost_changed(traded):
    read_positions(traded.world.alice.user.id)
    position = Position.objects.get(asset="BTC")
    Position.objects.filter(id=position.id).update(cost=position.cost + DUST)


def a_supply_changed(_):
    Asset.objects.filter(code="USD").update(supply=F("supply") + stored(Decimal(1)))


def a_self_trade(traded):
    """The whole order and all its rows go to the buyer, who would have refused to trade with herself."""
    order, alice = traded.order("first"), traded.world.alice.user.id
    Trade.objects.filter(sell_order_id=order.id).update(seller_id=alice)
    OrderEvent.objects.filter(order=order).update(user_id=alice)
    traded.rows("first").update(user_id=alice)


def a_trade_while_halted(traded):
    number = Trade.objects.order_by("sequence").first().sequence
    later = list(StatusChange.objects.order_by("id"))
    StatusChange.objects.all().delete()
    steps = [("HALTED", number), ("TRADING", number + 2), *((change.status, change.sequence) for change in later)]
    for status, sequence in steps:
        fields = {"market_id": traded.symbol, "reason": "by hand", "created_at": later[0].created_at}
        StatusChange.objects.create(status=status, sequence=sequence, **fields)


def a_dead_letter_removed(_):
    DeadLetter.objects.all().delete()


def a_time_priority_violated(traded):
    """Two sells of one user, price and quantity: every fill of the one becomes the other's, in all rows."""
    fills = OrderEvent.objects.exclude(trade_sequence=None)
    swap_orders(fills, "order_id", traded, "first", "second")
    swap_orders(Trade.objects.all(), "sell_order_id", traded, "first", "second")
    result = ("status", "reason", "phase", "filled_quantity", "filled_notional", "frozen", "closed_at")
    states = {name: traded.rows(name).values(*result).get() for name in ("first", "second")}
    traded.rows("first").update(**states["second"])
    traded.rows("second").update(**states["first"])


def a_transfers_entries_changed(_):
    """Both of them, so that they still sum to zero."""
    transfer = Transfer.objects.order_by("id").first()
    entries = LedgerEntry.objects.filter(reference=transfer.ledger_reference)
    entries.update(kind=EntryKind.WITHDRAWAL)


def an_approval_without_its_transfer(traded):
    who = {"proposed_by": traded.world.alice.user, "decided_by": traded.world.bob.user}
    terms = {"kind": "ADJUSTMENT", "currency_id": "USD", "amount": 5, "user": traded.world.carol.user}
    Approval.objects.create(reference="a-1", status="APPROVED", created_at=timezone.now(), **who, **terms)


def a_trades_entry_on_another_account(traded):
    """With the balances moved accordingly, everybody's ledger still explains what they own."""
    alice, carol = traded.world.alice.user.id, traded.world.carol.user.id
    entry = LedgerEntry.objects.filter(account=alice, currency="BTC", kind=EntryKind.TRADE, amount__gt=0).first()
    LedgerEntry.objects.filter(id=entry.id).update(account=carol)
    for user, amount in ((alice, -entry.amount), (carol, entry.amount)):
        Balance.objects.filter(user=user, currency="BTC").update(available=F("available") + stored(amount))


def an_orphan_event(traded):
    OrderEvent.objects.filter(id=traded.events("all-or-nothing")[0].id).update(order_id=10**9)


def an_order_of_another_market_in_a_trade(traded):
    other = create_market(symbol="BTC-EUR", base="BTC", quote="EUR", tick_size=Decimal(1), lot_size=Decimal("0.0001"))
    traded.rows("half").update(market=other)


def a_markets_status_differing(traded):
    Market.objects.filter(symbol=traded.symbol).update(status="CANCEL_ONLY")


def the_last_switch_lost(_):
    StatusChange.objects.order_by("-id").first().delete()


def an_orders_sequence_changed(traded):
    traded.rows("cancelled").update(sequence=F("sequence") + 1)


def swap_orders(rows, column, traded, one, other):
    """Give each order's rows to the other one."""
    first, second = traded.order(one).id, traded.order(other).id
    ids = {order: list(rows.filter(**{column: order}).values_list("id", flat=True)) for order in (first, second)}
    rows.model.objects.filter(id__in=ids[first]).update(**{column: second})
    rows.model.objects.filter(id__in=ids[second]).update(**{column: first})


CORRUPTIONS = {
    a_ledger_entry_dropped: Check.JOURNAL,
    dust_added_to_a_balance: Check.LEDGER,
    available_and_frozen_shifted: Check.FROZEN,
    two_sequences_swapped: Check.REPLAY_EVENTS,
    a_filled_order_reopened: Check.STATE,
    a_trade_deleted: Check.FILLS,
    a_trades_price_changed: Check.LIMITS,
    a_fee_lowered: Check.FEES,
    an_event_missing: Check.DENSE,
    an_event_doubled: Check.LIFECYCLE,
    filled_raised: Check.TRADED,
    an_orders_frozen_changed: Check.RESERVE,
    a_cancelled_order_active_again: Check.END,
    the_next_sequence_off: Check.NEXT,
    a_crossed_book: Check.CROSSED,
    the_command_of_a_pending_order_deleted: Check.PENDING,
    a_command_for_a_closed_order: Check.COMMAND,
    a_held_command_for_a_closed_order: Check.COMMAND,
    a_held_command_of_no_market: Check.ROWS,
    a_taker_that_names_another_order: Check.PARTIES,
    a_candles_volume_changed: Check.CANDLES,
    a_kept_positions_cost_changed: Check.POSITION,
    a_supply_changed: Check.SUPPLY,
    a_self_trade: Check.SELF,
    a_trade_while_halted: Check.HALTED,
    a_dead_letter_removed: Check.FAILED,
    a_time_priority_violated: Check.REPLAY_EVENTS,
    a_transfers_entries_changed: Check.TRANSFER,
    an_approval_without_its_transfer: Check.APPROVAL,
    a_trades_entry_on_another_account: Check.POSTED,
    an_orphan_event: Check.ROWS,
    an_order_of_another_market_in_a_trade: Check.PARTIES,
    a_markets_status_differing: Check.STATUS,
    the_last_switch_lost: Check.CHANGES,
    an_orders_sequence_changed: Check.BIRTH,
}


def test_there_are_thirty_five():
    assert len(CORRUPTIONS) == 35


@pytest.mark.parametrize("corrupt", CORRUPTIONS, ids=lambda corrupt: corrupt.__name__.replace("_", " "))
def test_a_corruption_is_found(traded, corrupt):
    before = full(), replay()
    assert checks(*before) == set(), all_findings(before)
    with transaction.atomic():
        corrupt(traded)
        found = full(), replay()
        assert CORRUPTIONS[corrupt] in checks(*found), all_findings(found)
        # The money is counted after every test.
        transaction.set_rollback(True)
    assert checks(full()) == set()


def test_only_a_replay_sees_that_time_priority_was_violated(traded):
    with transaction.atomic():
        a_time_priority_violated(traded)
        assert checks(full()) == set()
        assert {Check.REPLAY_EVENTS} == checks(replay())
        transaction.set_rollback(True)
