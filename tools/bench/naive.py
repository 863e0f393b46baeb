"""The obvious way to match with Celery, to be measured beside ours: one task call, one order, one transaction.

It runs on the same schema and leaves an exchange of which every rule holds. Nothing in it is slowed on purpose: it asks
for one row where it needs one, sends what it can in one statement where Django offers that, and locks what it changes.

It knows what the measured flow holds: LIMIT GTC orders without self-trade prevention, and cancels, of a market that is
open. It counts on commands being given to it in the order of their ids.
"""

from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from functools import partial

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from balances.models import Balance, EntryKind, HouseAccount, LedgerEntry
from base.streams import Message, publish
from commands.models import Command
from core.types import CommandKind, Phase, Reason, Side, Status
from marketdata.candles import opens_at
from markets.models import Asset, Candle, Interval, Market, Trade
from matching.models import OrderBook, new_token
from orders.models import OpenOrders, Order, OrderEvent
from orders.representation import ORDER_STATUS_UPDATE, order_channel, represent_order

RESTING = (Status.OPEN.value, Status.PARTIALLY_FILLED.value)


def drain_naively(symbol: str, limit: int) -> int:
    """Process the market's oldest commands, one after the other; return how many there were."""
    waiting = Command.objects.filter(market_id=symbol).order_by("id").values_list("id", flat=True)
    command_ids = list(waiting[:limit])
    for command_id in command_ids:
        process(command_id)
    return len(command_ids)


@transaction.atomic
def process(command_id: int) -> None:
    """The body of the task: match one order, or cancel one. A command that is gone was processed before."""
    command = Command.objects.select_for_update().filter(id=command_id).first()
    if command is None:
        return
    book, _ = OrderBook.objects.select_for_update().get_or_create(market_id=command.market_id)
    assert command.order_id is not None, "the naive engine knows no halts"
    order = Order.objects.select_related("market__base", "market__quote").get(id=command.order_id)
    now = timezone.now()
    if command.kind == CommandKind.NEW:
        _place(book, order, now)
    elif order.active:
        _cancel(book, order, now)
    command.delete()
    # The batched engine may go on where this one stops: its memory must not take this book for its own.
    book.token = new_token()
    book.save()


def _place(book: OrderBook, taker: Order, now: datetime) -> None:
    assert (taker.type, taker.time_in_force, taker.self_trade_prevention) == ("LIMIT", "GTC", "NONE"), taker.id
    while taker.filled_quantity < taker.quantity:
        maker = _best_opposite(taker)
        if maker is None:
            break
        _fill(book, maker, taker, now)
    if taker.sequence is None:
        taker.status = Status.OPEN
        _record_event(book, taker, None, now)
    if taker.filled_quantity < taker.quantity:
        taker.phase = Phase.RESTING
        taker.save()


def _cancel(book: OrderBook, order: Order, now: datetime) -> None:
    currency = order.market.quote_id if order.side == Side.BUY else order.market.base_id
    _change_balance(order.user_id, currency, order.frozen, -order.frozen)
    order.frozen = Decimal(0)
    order.status, order.reason = Status.CANCELLED, Reason.USER_CANCELLED
    order.phase, order.closed_at = Phase.CLOSED, now
    _record_event(book, order, None, now)
    order.save()
    _count_closed(order)


def _count_closed(order: Order) -> None:
    opened = OpenOrders.objects.filter(market_id=order.market_id, user_id=order.user_id)
    opened.update(number=F("number") - 1)


def _best_opposite(taker: Order) -> Order | None:
    """The resting order that the taker meets next: best price, then oldest."""
    resting = Order.objects.filter(market_id=taker.market_id, phase=Phase.RESTING)
    if taker.side == Side.BUY:
        return resting.filter(side=Side.SELL, price__lte=taker.price).order_by("price", "sequence").first()
    return resting.filter(side=Side.BUY, price__gte=taker.price).order_by("-price", "sequence").first()


def _fill(book: OrderBook, maker: Order, taker: Order, now: datetime) -> None:
    market = taker.market
    buyer, seller = (taker, maker) if taker.side == Side.BUY else (maker, taker)
    trade = _trade(book, maker, taker, now)
    reserved = buyer.price * trade.quantity
    base, quote = market.base_id, market.quote_id
    # By user and asset, so that two markets lock them in the same order.
    changes = [
        (buyer.user_id, base, trade.quantity - trade.buyer_fee, Decimal(0)),
        (buyer.user_id, quote, reserved - trade.notional, -reserved),
        (seller.user_id, base, Decimal(0), -trade.quantity),
        (seller.user_id, quote, trade.notional - trade.seller_fee, Decimal(0)),
    ]
    for change in sorted(changes):
        _change_balance(*change)
    _post(trade, market)
    _record(trade, market)
    buyer.frozen -= reserved
    seller.frozen -= trade.quantity
    for order in (taker, maker):
        order.filled_quantity += trade.quantity
        order.filled_notional += trade.notional
        is_filled = order.filled_quantity == order.quantity
        order.status = Status.FILLED if is_filled else Status.PARTIALLY_FILLED
        order.phase, order.closed_at = (Phase.CLOSED, now) if is_filled else (order.phase, None)
        _record_event(book, order, trade, now)
        order.save()
        if is_filled:
            _count_closed(order)


def _trade(book: OrderBook, maker: Order, taker: Order, now: datetime) -> Trade:
    """Store the trade. It is numbered like the taker's event, which comes next."""
    market = taker.market
    is_buy = taker.side == Side.BUY
    buyer, seller = (taker, maker) if is_buy else (maker, taker)
    quantity = min(maker.quantity - maker.filled_quantity, taker.quantity - taker.filled_quantity)
    notional = maker.price * quantity
    return Trade.objects.create(
        market=market,
        sequence=book.next_sequence,
        buy_order_id=buyer.id,
        sell_order_id=seller.id,
        buyer_id=buyer.user_id,
        seller_id=seller.user_id,
        taker_side=taker.side,
        price=maker.price,
        quantity=quantity,
        notional=notional,
        buyer_fee=_fee(quantity, buyer.taker_fee_rate if is_buy else buyer.maker_fee_rate, market.base),
        seller_fee=_fee(notional, seller.maker_fee_rate if is_buy else seller.taker_fee_rate, market.quote),
        created_at=now,
    )


def _fee(received: Decimal, rate: Decimal, asset: Asset) -> Decimal:
    return (received * rate).quantize(Decimal(1).scaleb(-asset.scale), ROUND_CEILING)


def _change_balance(user_id: int, currency: str, available: Decimal, frozen: Decimal) -> None:
    balance, _ = Balance.objects.select_for_update().get_or_create(user_id=user_id, currency_id=currency)
    balance.available += available
    balance.frozen += frozen
    balance.save()


def _post(trade: Trade, market: Market) -> None:
    """The trade's entries in the ledger: what one account gives another one gets."""
    moves = (
        (EntryKind.TRADE, market.base_id, trade.seller_id, trade.buyer_id, trade.quantity),
        (EntryKind.TRADE, market.quote_id, trade.buyer_id, trade.seller_id, trade.notional),
        (EntryKind.FEE, market.base_id, trade.buyer_id, HouseAccount.FEES, trade.buyer_fee),
        (EntryKind.FEE, market.quote_id, trade.seller_id, HouseAccount.FEES, trade.seller_fee),
    )
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            account=account,
            currency_id=currency,
            kind=kind,
            amount=signed,
            reference=f"trade:{trade.trade_id}",
            created_at=trade.created_at,
        )
        for kind, currency, giver, taker, amount in moves
        for account, signed in ((giver, -amount), (taker, amount))
        if amount
    )


def _record(trade: Trade, market: Market) -> None:
    """Add the trade to the candle of each interval."""
    opens = {interval: opens_at(trade.created_at, interval) for interval in Interval}
    known = Candle.objects.filter(market=market, interval__in=opens, opens_at__in=set(opens.values()))
    candles = {(candle.interval, candle.opens_at): candle for candle in known}
    for interval, opening in opens.items():
        candle = candles.get((interval, opening)) or _new_candle(trade, market, interval, opening)
        candle.high = max(candle.high, trade.price)
        candle.low = min(candle.low, trade.price)
        candle.close = trade.price
        candle.volume += trade.quantity
        candle.quote_volume += trade.notional
        candle.trades += 1
        candle.save()


def _new_candle(trade: Trade, market: Market, interval: Interval, opening: datetime) -> Candle:
    prices = dict.fromkeys(("open", "high", "low", "close"), trade.price)
    nothing = {"volume": Decimal(0), "quote_volume": Decimal(0), "trades": 0}
    return Candle(market=market, interval=interval, opens_at=opening, **prices, **nothing)


def _record_event(book: OrderBook, order: Order, trade: Trade | None, now: datetime) -> None:
    """Store the order's next event, and publish it once it is committed."""
    sequence = book.next_sequence
    book.next_sequence += 1
    order.sequence = order.sequence or sequence
    order.updated_at = now
    event = OrderEvent.objects.create(
        market_id=order.market_id,
        sequence=sequence,
        order=order,
        user_id=order.user_id,
        status=order.status,
        reason=order.reason,
        active=order.active,
        filled_quantity=order.filled_quantity,
        filled_notional=order.filled_notional,
        trade_sequence=trade.sequence if trade else None,
        created_at=now,
    )
    data = {**represent_order(order), "sequence": sequence, "eventId": event.event_id}
    message = Message(order_channel(order.user_id), ORDER_STATUS_UPDATE, data, event.event_id)
    transaction.on_commit(partial(publish, [message]))
