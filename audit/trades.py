"""The checks of one market's trades: orders, price and fees; and of the candles that sum them up."""

from datetime import datetime
from typing import Any

from audit.checks import Check, Report
from audit.fees import Charged, charged
from audit.reference_data import ReferenceData
from audit.rows import CandleRow, OrderRow, TradeRow, read
from audit.scope import Progress, Scope
from core.money import UNIT, plain_units
from markets.models import Interval

_INTERVALS = tuple(interval.value for interval in Interval)


class Tape:
    """Checks a market's trades one by one, in order, and sums them up in candles."""

    def __init__(self, report: Report, data: ReferenceData, scope: Scope) -> None:
        self.report, self.data, self.scope, self.market = report, data, scope, scope.market
        # By interval and opening, in seconds: open, high, low, close, volume, quote volume, trades.
        self.candles: dict[tuple[int, int], list[int]] = {}
        self.counted = 0
        # The taker of the trade before, that trade's price, and the last price before that taker.
        self.taker_id: int | None = None
        self.last_price: int | None = None
        self.reference: int | None = None
        # A candle that opened before the scope begins holds trades that are not in the scope.
        self.candles_since: datetime | None = None

    def add(self, trade: TradeRow) -> None:
        if not self.counted and self.scope.first > 1:
            self.candles_since = trade.created_at
        self.counted += 1
        self._check_parties(trade)
        self._add_to_candles(trade)

    def name(self, trade: TradeRow) -> str:
        return f"trade {self.market.symbol}-{trade.sequence}"

    def finish(self) -> None:
        self.report.count((Check.PARTIES, Check.LIMITS, Check.BAND, Check.FEES, Check.SELF), self.counted)
        self._compare_candles()

    def _check_parties(self, trade: TradeRow) -> None:
        orders, name = self.scope.orders, self.name(trade)
        self.data.user(trade.buyer_id, name)
        self.data.user(trade.seller_id, name)
        buy, sell = orders.get(trade.buy_order_id), orders.get(trade.sell_order_id)
        for order_id, order in ((trade.buy_order_id, buy), (trade.sell_order_id, sell)):
            if order is None:
                self.report.add(Check.PARTIES, f"names order {order_id}, which does not exist in this market", [name])
                continue
            progress = self.scope.progress.setdefault(order_id, Progress())
            progress.traded += trade.quantity
            progress.turnover += trade.notional
        if buy is None or sell is None:
            return
        parties = ("BUY", "SELL", trade.buyer_id, trade.seller_id)
        actual = (buy.side, sell.side, buy.user_id, sell.user_id)
        if parties != actual:
            self.report.add(Check.PARTIES, "sides or users are not its orders'", [name], actual, parties)
        if trade.price * trade.quantity != trade.notional * UNIT or trade.quantity <= 0:
            expected = f"{plain_units(trade.price)} x {plain_units(trade.quantity)}"
            self.report.add(Check.PARTIES, "notional", [name], expected, plain_units(trade.notional))
        self._check_rules(trade, name, buy, sell)

    def _check_rules(self, trade: TradeRow, name: str, buy: OrderRow, sell: OrderRow) -> None:
        taker, maker = (buy, sell) if trade.taker_side == "BUY" else (sell, buy)
        rows = (name, taker.name, maker.name)
        if taker.meets_id not in (None, maker.id):
            self.report.add(Check.PARTIES, "the taker names another order", rows, taker.meets_id, maker.id)
        self._check_band(trade, taker, rows)
        may_be_own = self.market.is_in_auction(trade.sequence) or taker.self_trade_prevention == "NONE"
        if buy.user_id == sell.user_id and not may_be_own:
            self.report.add(Check.SELF, f"user {buy.user_id} on both sides", rows, "two users", buy.user_id)
        self._check_fees(trade, buy, sell, rows)

    def _check_fees(self, trade: TradeRow, buy: OrderRow, sell: OrderRow, rows: tuple[str, ...]) -> None:
        if bool(trade.fee_in_quote) != bool(buy.fee_in_quote):
            self.report.add(Check.FEES, "pays in quote", rows, bool(buy.fee_in_quote), bool(trade.fee_in_quote))
            return
        so_far = self.scope.progress[buy.id]
        before = so_far.traded - trade.quantity, so_far.turnover - trade.notional
        owed = charged(self.market, trade, buy, sell, *before)
        found = Charged(trade.buyer_fee, trade.seller_fee, trade.rebate)
        if buy.fee_in_quote and buy.priority is not None:
            # It may have had another price, by which it set its fee aside: the replay alone can tell.
            owed = owed._replace(buyer_fee=found.buyer_fee)
        if found != owed:
            expected, actual = (" ".join(map(plain_units, each)) for each in (owed, found))
            self.report.add(Check.FEES, "fees of buyer and seller, and rebate", rows, expected, actual)

    def _check_band(self, trade: TradeRow, taker: OrderRow, rows: tuple[str, ...]) -> None:
        """Check the price against the last trade before the taker's own. Where there was none, the replay alone can."""
        if taker.id != self.taker_id:
            self.taker_id, self.reference = taker.id, self.last_price
        self.last_price = trade.price
        if taker.price_band is None or self.reference is None or self.market.is_in_auction(trade.sequence):
            return
        sign = 1 if taker.side == "BUY" else -1
        if (trade.price - self.reference) * sign * UNIT > self.reference * taker.price_band:
            expected = f"within {plain_units(taker.price_band)} of {plain_units(self.reference)}"
            self.report.add(Check.BAND, "beyond the taker's band", rows, expected, plain_units(trade.price))

    def _add_to_candles(self, trade: TradeRow) -> None:
        seconds = int(trade.created_at.timestamp())
        price = trade.price
        for interval in _INTERVALS:
            key = (interval, seconds - seconds % interval)
            candle = self.candles.get(key)
            if candle is None:
                self.candles[key] = [price, price, price, price, trade.quantity, trade.notional, 1]
                continue
            candle[1], candle[2], candle[3] = max(candle[1], price), min(candle[2], price), price
            candle[4] += trade.quantity
            candle[5] += trade.notional
            candle[6] += 1

    def _compare_candles(self) -> None:
        """Compare the stored candles with those of the trades. A candle that is left over in either is a finding."""
        symbol, since = self.market.symbol, self.candles_since
        self.report.count([Check.CANDLES], 0)
        if self.scope.first > 1 and since is None:
            return
        later: dict[str, Any] = {} if since is None else {"opens_at__gt": since}
        counted = 0
        for candle in read(CandleRow, market_id=symbol, **later):
            counted += 1
            found = list(candle[3:])
            expected = self.candles.pop((candle.interval, int(candle.opens_at.timestamp())), None)
            if found != expected:
                name = f"candle {symbol} {candle.interval} s {candle.opens_at:%Y-%m-%d %H:%M}"
                self.report.add(
                    Check.CANDLES, "is not the sum of its trades", [name], _figures(expected), _figures(found)
                )
        for (interval, opens), figures in self.candles.items():
            if since is None or opens > since.timestamp():
                name = f"candle {symbol} {interval} s {opens}"
                self.report.add(Check.CANDLES, "is missing", [name], _figures(figures), "no candle")
        self.report.count([Check.CANDLES], counted)


def _figures(figures: list[int] | None) -> str:
    """The figures of a candle as text; the last one is the number of trades."""
    return "no trades" if figures is None else " ".join([*map(plain_units, figures[:-1]), str(figures[-1])])
