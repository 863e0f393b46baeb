"""What must be true of the stored exchange whenever no transaction is open."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from django.db.models import Sum

from balances.models import Balance, HouseAccount, LedgerEntry
from markets.candles import opens_at
from markets.models import Asset, Candle, Interval, Market, Trade
from matching.core.types import TRANSITIONS, Status
from matching.models import Command, OrderBook
from orders.models import Order, OrderEvent

ZERO = Decimal(0)


def check_exchange() -> None:
    """Count the money and read the books. Raises AssertionError with the rows that are wrong."""
    _check_money()
    _check_balances()
    _check_reservations()
    _check_fills()
    _check_sequences()
    _check_timelines()
    _check_books()
    _check_candles()
    _check_ledger_of_trades()


def _check_money() -> None:
    """Every reference sums to zero per currency, and what users and fees own is what was deposited."""
    journals: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for entry in LedgerEntry.objects.all():
        journals[entry.reference, entry.currency_id] += entry.amount
    assert not {key: total for key, total in journals.items() if total}, "journals that do not sum to zero"
    for asset in Asset.objects.all():
        owned = _sum(Balance.objects.filter(currency=asset), "available") + _sum(
            Balance.objects.filter(currency=asset), "frozen"
        )
        fees = _sum(LedgerEntry.objects.filter(currency=asset, account=HouseAccount.FEES), "amount")
        outside = _sum(LedgerEntry.objects.filter(currency=asset, account=HouseAccount.EXTERNAL), "amount")
        assert owned + fees == asset.supply == -outside, (asset.code, owned, fees, asset.supply, outside)


def _check_balances() -> None:
    """Nothing negative; each balance is the sum of its ledger entries."""
    ledger: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for entry in LedgerEntry.objects.filter(account__gt=0):
        ledger[entry.account, entry.currency_id] += entry.amount
    for balance in Balance.objects.all():
        assert balance.available >= 0 <= balance.frozen, balance
        expected = ledger.pop((balance.user_id, balance.currency_id), ZERO)
        assert balance.total == expected, (str(balance), balance.total, expected)
    assert not any(ledger.values()), f"ledger entries without a balance: {dict(ledger)}"


def _check_reservations() -> None:
    """Frozen equals what open orders reserve, and each order reserves exactly what it may still spend."""
    reserved: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for order in Order.objects.select_related("market"):
        assert order.frozen == _reservation(order), (order.id, order.frozen, _reservation(order))
        currency = order.market.quote_id if order.side == "BUY" else order.market.base_id
        reserved[order.user_id, currency] += order.frozen
    for balance in Balance.objects.all():
        assert balance.frozen == reserved.pop((balance.user_id, balance.currency_id), ZERO), str(balance)
    assert not any(reserved.values()), f"reserved without a balance: {dict(reserved)}"


def _reservation(order: Order) -> Decimal:
    if not order.active:
        return ZERO
    if order.quantity is None:
        return order.quote_quantity - order.filled_notional
    left = order.quantity - order.filled_quantity
    if order.side == "SELL":
        return left
    return ZERO if order.price is None else order.price * left


def _check_fills() -> None:
    """Trades equal fills, at prices inside both limits, between two users, and never with oneself unless allowed."""
    filled: dict[int, Decimal] = defaultdict(Decimal)
    moved: dict[int, Decimal] = defaultdict(Decimal)
    orders = Order.objects.in_bulk()
    for trade in Trade.objects.all():
        buy, sell = orders[trade.buy_order_id], orders[trade.sell_order_id]
        assert buy.side == "BUY" and sell.side == "SELL" and buy.market_id == sell.market_id == trade.market_id
        assert buy.price is None or trade.price <= buy.price, trade
        assert sell.price is None or trade.price >= sell.price, trade
        taker = buy if trade.taker_side == "BUY" else sell
        assert buy.user_id != sell.user_id or taker.self_trade_prevention == "NONE", trade
        for order in (buy, sell):
            filled[order.id] += trade.quantity
            moved[order.id] += trade.price * trade.quantity
    for order in orders.values():
        assert order.filled_quantity == filled[order.id], (order.id, order.filled_quantity, filled[order.id])
        assert order.filled_notional == moved[order.id], (order.id, order.filled_notional, moved[order.id])


def _check_sequences() -> None:
    """A market's events are numbered 1..n without gaps, and its trades carry their takers' numbers."""
    for market in Market.objects.all():
        numbers = list(OrderEvent.objects.filter(market=market).order_by("sequence").values_list("sequence", flat=True))
        assert numbers == list(range(1, len(numbers) + 1)), (market.symbol, numbers)
        row = OrderBook.objects.filter(market=market).first()
        assert (row.next_sequence if row else 1) == len(numbers) + 1, market.symbol
        told = set(OrderEvent.objects.filter(market=market).values_list("trade_sequence", flat=True)) - {None}
        assert told == set(Trade.objects.filter(market=market).values_list("sequence", flat=True)), market.symbol


def _check_timelines() -> None:
    """Each order went only where the lifecycle allows, and is where its last event left it."""
    orders = Order.objects.in_bulk()
    last = dict.fromkeys(orders, Status.PENDING)
    for event in OrderEvent.objects.order_by("market", "sequence"):
        before, after = last[event.order_id], Status(event.status)
        assert after in TRANSITIONS[before], (event.order_id, before, after)
        last[event.order_id] = after
    for order in orders.values():
        assert order.status == last[order.id], (order.id, order.status, last[order.id])
        assert order.active == (order.closed_at is None), order.id
        is_filling = order.status in ("PENDING", "OPEN", "PARTIALLY_FILLED")
        assert order.active == (is_filling and order.reason is None), (order.id, order.status, order.reason)


def _check_books() -> None:
    """No book is crossed, and every PENDING order has a command waiting."""
    for market in Market.objects.all():
        resting = Order.objects.filter(
            market=market, active=True, status__in=("OPEN", "PARTIALLY_FILLED"), type="LIMIT"
        )
        bids = list(resting.filter(side="BUY").values_list("price", flat=True))
        asks = list(resting.filter(side="SELL").values_list("price", flat=True))
        assert not bids or not asks or max(bids) < min(asks), (market.symbol, max(bids), min(asks))
    waiting = set(Command.objects.filter(kind="NEW").values_list("order_id", flat=True))
    pending = set(Order.objects.filter(status="PENDING").values_list("id", flat=True))
    assert pending <= waiting, f"pending without a command: {pending - waiting}"


def _check_candles() -> None:
    """Each interval's candles together hold all that was traded, and none holds more than its own time's."""
    for market in Market.objects.all():
        tape = list(Trade.objects.filter(market=market).order_by("sequence"))
        for interval in Interval:
            expected: dict[datetime, list[Trade]] = defaultdict(list)
            for trade in tape:
                expected[opens_at(trade.created_at, interval)].append(trade)
            candles = {candle.opens_at: candle for candle in Candle.objects.filter(market=market, interval=interval)}
            assert candles.keys() == expected.keys(), (market.symbol, interval)
            for opening, trades in expected.items():
                candle, prices = candles[opening], [trade.price for trade in trades]
                figures = (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.trades)
                volume = sum(trade.quantity for trade in trades)
                assert figures == (prices[0], max(prices), min(prices), prices[-1], volume, len(trades)), str(candle)
                assert candle.quote_volume == sum(trade.price * trade.quantity for trade in trades), str(candle)


def _check_ledger_of_trades() -> None:
    """Each trade's entries say who gave what to whom, and its fees are the rule's: rounded up at the asset's scale."""
    posted: dict[str, dict[tuple[int, str], Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for entry in LedgerEntry.objects.filter(reference__startswith="trade:"):
        posted[entry.reference][entry.account, entry.currency_id] += entry.amount
    orders = Order.objects.in_bulk()
    for trade in Trade.objects.select_related("market__base", "market__quote"):
        market, notional = trade.market, trade.price * trade.quantity
        buy, sell = orders[trade.buy_order_id], orders[trade.sell_order_id]
        buyer_rate = buy.taker_fee_rate if trade.taker_side == "BUY" else buy.maker_fee_rate
        seller_rate = sell.taker_fee_rate if trade.taker_side == "SELL" else sell.maker_fee_rate
        assert trade.buyer_fee == _rounded_up(trade.quantity * buyer_rate, market.base.scale), trade
        assert trade.seller_fee == _rounded_up(notional * seller_rate, market.quote.scale), trade
        expected: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
        expected[buy.user_id, market.base_id] += trade.quantity - trade.buyer_fee
        expected[buy.user_id, market.quote_id] -= notional
        expected[sell.user_id, market.base_id] -= trade.quantity
        expected[sell.user_id, market.quote_id] += notional - trade.seller_fee
        expected[HouseAccount.FEES, market.base_id] += trade.buyer_fee
        expected[HouseAccount.FEES, market.quote_id] += trade.seller_fee
        found = posted.pop(f"trade:{trade.trade_id}", {})
        assert _nonzero(found) == _nonzero(expected), trade
    assert not posted, f"entries of trades that are not there: {list(posted)}"


def _rounded_up(amount: Decimal, scale: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-scale), ROUND_CEILING)


def _nonzero(amounts: Mapping[tuple[int, str], Decimal]) -> dict[tuple[int, str], Decimal]:
    return {key: amount for key, amount in amounts.items() if amount}


def _sum(rows: object, field: str) -> Decimal:
    return rows.aggregate(total=Sum(field))["total"] or ZERO
