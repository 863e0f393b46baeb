"""The floor of the rows of 2026-11-28: what a drain wrote, in the form that its rows had on that day.

Of the rows of today it reads who traded with whom, and which order had which event. The rest it makes up.
"""

from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from balances.models import HouseAccount
from base.storage.bulk import write_inserts, write_updates
from base.storage.literals import dialect
from base.storage.statements import Statement
from core.types import Phase, Status
from markets.models import Market, Trade
from orders.models import Order, OrderEvent
from tools.bench.floor import Balances, Rows, rows_of, share
from tools.bench.old_rows import (
    BALANCE_FIELDS,
    EVENT_FIELDS,
    LEDGER_FIELDS,
    MODELS,
    ORDER_FIELDS,
    TRADE_FIELDS,
    OldBalance,
    OldEntry,
    OldEvent,
    OldOrder,
    OldTrade,
)

DAY = "2026-11-28"
_ORDERS = """
    INSERT INTO old_orders (id, user_id, fingerprint, market_id, side, type, time_in_force, post_only,
        self_trade_prevention, price, quantity, filled_quantity, filled_notional, frozen, maker_fee_rate,
        taker_fee_rate, status, phase, correlation_id, created_at, updated_at)
    SELECT id, user_id, '', market_id, side, 'LIMIT', 'GTC', 0, 'NONE', price, quantity, 0, 0, quantity, 0.001, 0.002,
        'PENDING', 'TAKING', LPAD(HEX(id), 32, '0'), created_at, created_at
    FROM orders WHERE market_id = %s
"""
_BALANCES = """
    INSERT INTO old_balances (id, user_id, currency, available, frozen, updated_at)
    SELECT id, user_id, currency, available, frozen, updated_at FROM balances
"""
_TRADE = ("sequence", "buy_order_id", "sell_order_id", "buyer_id", "seller_id", "taker_side", "price", "quantity")
_AMOUNTS = ("notional", "buyer_fee", "seller_fee")


class Old:
    """Two ledger entries for each move, ids beside the numbers of events and trades, and no columns of later kinds."""

    def make_tables(self, symbol: str) -> None:
        with connection.cursor() as cursor:
            for model in MODELS:
                cursor.execute(f"DROP TABLE IF EXISTS {model._meta.db_table}")
        with connection.schema_editor() as editor:
            for model in MODELS:
                editor.create_model(model)
        with connection.cursor() as cursor:
            cursor.execute(_ORDERS, [symbol])
            cursor.execute(_BALANCES)

    def batches(self, symbol: str, turns: int) -> list[list[Statement]]:
        now, market = timezone.now(), Market.objects.get(symbol=symbol)
        fields = ("sequence", "order_id", "user_id", "status", "trade_sequence")
        events = sorted(rows_of(OrderEvent, fields, market_id=symbol))
        trades = sorted(rows_of(Trade, (*_TRADE, *_AMOUNTS), market_id=symbol))
        orders = _orders(symbol, now)
        balances = Balances(symbol, ("available", "frozen", "updated_at"))
        to, prepared = dialect(), []
        for turn in range(turns):
            steps, made = share(events, turn, turns), share(trades, turn, turns)
            traders = {user for trade in made for user in trade[3:5]}
            cancelled = {user for _, _, user, status, _ in steps if status == Status.CANCELLED}
            changed = [orders[each] for each in dict.fromkeys(row[1] for row in steps)]
            ledger = [entry for trade in made for entry in _entries(market, trade, now)]
            touched = balances.of(traders, cancelled)
            prepared.append(
                [
                    *write_updates(to, OldBalance, key="id", guards=(), fields=BALANCE_FIELDS, rows=touched),
                    *write_updates(to, OldOrder, key="id", guards=(), fields=ORDER_FIELDS, rows=changed),
                    *write_inserts(to, OldTrade, TRADE_FIELDS, [(symbol, *trade, now) for trade in made]),
                    *write_inserts(to, OldEntry, LEDGER_FIELDS, ledger),
                    *write_inserts(to, OldEvent, EVENT_FIELDS, [_event(symbol, step, orders, now) for step in steps]),
                ]
            )
        return prepared


def _orders(symbol: str, now: datetime) -> dict[int, tuple[Any, ...]]:
    """The last state of each order, by its id."""
    fields = ("id", "status", "reason", "phase", "filled_quantity", "filled_notional", "frozen", "sequence")
    return {
        row[0]: (*row[:7], None, row[7], now, now if row[3] == Phase.CLOSED else None)
        for row in rows_of(Order, fields, market_id=symbol)
    }


def _event(symbol: str, step: tuple[Any, ...], orders: dict[int, tuple[Any, ...]], now: datetime) -> tuple[object, ...]:
    sequence, order_id, user_id, status, trade_sequence = step
    filled, notional = orders[order_id][4:6]
    active = status != Status.CANCELLED
    return (symbol, sequence, order_id, user_id, status, None, active, filled, notional, trade_sequence, now)


def _entries(market: Market, trade: tuple[Any, ...], now: datetime) -> Rows:
    """The entries of a trade's four moves."""
    sequence, _, _, buyer, seller, _, _, quantity, notional, buyer_fee, seller_fee = trade
    house, reference = HouseAccount.FEES.value, f"trade:{market.symbol}-{sequence}"
    moves = (
        (seller, buyer, market.base_id, "TRADE", quantity),
        (buyer, seller, market.quote_id, "TRADE", notional),
        (buyer, house, market.base_id, "FEE", buyer_fee),
        (seller, house, market.quote_id, "FEE", seller_fee),
    )
    return [
        (account, asset, kind, amount, reference, now)
        for giver, receiver, asset, kind, moved in moves
        if moved
        for account, amount in ((giver, -moved), (receiver, moved))
    ]


OLD = Old()
