"""Stock hummingbot: its Binance connector, started by its clock as its bots start it."""

import asyncio
import importlib.metadata
import sys
from decimal import Decimal
from typing import Any

import hummingbot.connector.exchange.binance.binance_constants as addresses
from checks import Checks, Place
from hummingbot.connector.exchange.binance.binance_exchange import BinanceExchange
from hummingbot.core.clock import Clock, ClockMode
from hummingbot.core.data_type.common import OrderType, TradeType
from hummingbot.core.event.event_logger import EventLogger
from hummingbot.core.event.events import MarketEvent

PLACE = Place()
PAIR = PLACE.market
BASE, QUOTE = PAIR.split("-")[:2]
# The addresses, which are constants of its module: nothing else is changed.
addresses.REST_URL = f"{PLACE.url}/api/"
addresses.WSS_URL = f"{PLACE.socket}/ws"
addresses.WSS_API_URL = f"{PLACE.socket}/ws-api/v3"
READY_SECONDS = 60


class Trader:
    """A connector, and what it tells its bots."""

    def __init__(self, key: str, secret: str) -> None:
        self.exchange = BinanceExchange(key, secret, trading_pairs=[PAIR], trading_required=True)
        self.heard = EventLogger()
        for event in MarketEvent:
            self.exchange.add_listener(event, self.heard)

    async def event(self, name: str, order_id: str) -> Any:
        """The event of this name about this order."""
        for _ in range(200):
            for each in self.heard.event_log:
                if type(each).__name__ == name and each.order_id == order_id:
                    return each
            await asyncio.sleep(0.1)
        heard = [(type(each).__name__, getattr(each, "order_id", "")) for each in self.heard.event_log]
        raise AssertionError(f"no {name} of {order_id}; heard: {heard}")

    def place(self, side: TradeType, amount: str, price: str, kind: OrderType = OrderType.LIMIT) -> str:
        place = self.exchange.buy if side is TradeType.BUY else self.exchange.sell
        return place(PAIR, Decimal(amount), kind, Decimal(price))


async def tour(checks: Checks, mine: Trader, other: Trader) -> None:
    exchange = mine.exchange
    with checks.call("the connector becomes ready"):
        for _ in range(READY_SECONDS * 2):
            if exchange.ready and other.exchange.ready:
                break
            await asyncio.sleep(0.5)
        assert exchange.ready and other.exchange.ready, (exchange.status_dict, other.exchange.status_dict)
    with checks.call("trading rules"):
        rule = exchange.trading_rules[PAIR]
        assert (rule.min_price_increment, rule.min_base_amount_increment) == (Decimal("0.01"), Decimal("0.0001"))
    with checks.call("balances"):
        assert exchange.get_available_balance(QUOTE) > 0 and other.exchange.get_balance(BASE) > 0
    with checks.call("sell, buy: created"):
        ask = other.place(TradeType.SELL, "0.5", "100", OrderType.LIMIT_MAKER)
        await other.event("SellOrderCreatedEvent", ask)
    with checks.call("order book by stream"):
        for _ in range(100):
            if exchange.get_order_book(PAIR) and exchange.get_price(PAIR, True) == 100:
                break
            await asyncio.sleep(0.1)
        assert exchange.get_price(PAIR, True) == 100
    with checks.call("sell, buy: filled, completed"):
        bid = mine.place(TradeType.BUY, "0.2", "100")
        filled = await mine.event("OrderFilledEvent", bid)
        assert (filled.price, filled.amount) == (100, Decimal("0.2")), filled
        assert filled.trade_fee.flat_fees[0].token == BASE
        await mine.event("BuyOrderCompletedEvent", bid)
        assert (await other.event("OrderFilledEvent", ask)).amount == Decimal("0.2")
    with checks.call("cancel"):
        other.exchange.cancel(PAIR, ask)
        await other.event("OrderCancelledEvent", ask)
    with checks.call("cancel_all"):
        resting = mine.place(TradeType.BUY, "0.1", "20")
        await mine.event("BuyOrderCreatedEvent", resting)
        (result,) = await exchange.cancel_all(10)
        assert result.success and result.order_id == resting
    with checks.call("last traded price"):
        assert (await exchange.get_last_traded_prices([PAIR]))[PAIR] == 100
    with checks.call("refused: too little money"):
        await mine.event("MarketOrderFailureEvent", mine.place(TradeType.BUY, "100000", "1000"))


async def main() -> int:
    checks = Checks("hummingbot, its Binance connector", importlib.metadata.version("hummingbot"))
    traders = Trader(PLACE.key, PLACE.secret), Trader(PLACE.other_key, PLACE.other_secret)
    with Clock(ClockMode.REALTIME, tick_size=1.0) as clock:
        for each in traders:
            clock.add_iterator(each.exchange)
        ticking = asyncio.ensure_future(clock.run())
        try:
            await tour(checks, *traders)
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            for each in traders:
                await each.exchange.stop_network()
    return checks.end()


if __name__ == "__main__":
    sys.exit(asyncio.get_event_loop_policy().new_event_loop().run_until_complete(main()))
