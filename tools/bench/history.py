"""A long past: a million closed orders and their trades, put into the tables by the database itself."""

from django.db import connection
from tqdm import tqdm

from matching.models import OrderBook
from tools.bench.stage import Stage

ROWS_AT_ONCE = 50_000

_NUMBERS = " CROSS JOIN ".join(
    f"(SELECT 0 AS d{place} UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL"
    " SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
    f" AS t{place}"
    for place in range(5)
)
_NUMBER = "d0 + 10 * d1 + 100 * d2 + 1000 * d3 + 10000 * d4"
_ORDERS = f"""
    INSERT INTO orders (id, user_id, fingerprint, market_id, side, type, time_in_force, post_only,
        self_trade_prevention, price, quantity, filled_quantity, filled_notional, frozen, maker_fee_rate,
        taker_fee_rate, status, phase, sequence, correlation_id, created_at, updated_at, closed_at)
    SELECT %s + n, %s + n %% 200, '', %s, IF(n %% 2, 'BUY', 'SELL'), 'LIMIT', 'GTC', 0, 'NONE', 90 + n %% 2000 / 100,
        0.001, 0.001, 0.1, 0, 0.001, 0.002, 'FILLED', 'CLOSED', %s + n, LPAD(HEX(n), 32, '0'), NOW(6), NOW(6), NOW(6)
    FROM (SELECT {_NUMBER} AS n FROM {_NUMBERS}) AS numbers WHERE n < %s
"""  # noqa: S608
_TRADES = f"""
    INSERT INTO trades (market_id, sequence, buy_order_id, sell_order_id, buyer_id, seller_id, taker_side, price,
        quantity, notional, buyer_fee, seller_fee, created_at)
    SELECT %s, %s + n, %s + n, %s + n, %s + n %% 200, %s + n %% 200, 'BUY', 90 + n %% 2000 / 100, 0.001, 0.1, 0, 0,
        NOW(6)
    FROM (SELECT {_NUMBER} AS n FROM {_NUMBERS}) AS numbers WHERE n < %s
"""  # noqa: S608


def give_history(stage: Stage, rows: int) -> None:
    """So many closed orders and as many trades of the stage's market, before anything else happens there."""
    user, symbol = stage.users[0], stage.symbol
    with connection.cursor() as cursor:
        # What is put there is no part of the measure: it need not be logged for replicas.
        cursor.execute("SET SESSION sql_log_bin = 0")
        for start in tqdm(range(0, rows, ROWS_AT_ONCE), desc=f"a past of {rows:,} orders and trades", leave=False):
            first, sequence, count = stage.first_id + start, start + 1, min(ROWS_AT_ONCE, rows - start)
            cursor.execute(_ORDERS, [first, user, symbol, sequence, count])
            cursor.execute(_TRADES, [symbol, sequence, first, first, user, user, count])
        cursor.execute("SET SESSION sql_log_bin = 1")
    stage.keys += rows
    OrderBook.objects.update_or_create(market=stage.market, defaults={"next_sequence": rows + 1})
