"""Quotes both sides of a market, at a distance from its middle, and follows it. Ctrl-C takes the quotes back.

A dead man's switch does so half a minute after this program has died, or cannot reach the exchange:
CLEARBELL_PASSWORD=exchange-demo python market_maker.py --user alice --symbol BTC-USD --size 0.01 --spread 0.002
"""

import asyncio
from contextlib import suppress
from decimal import Decimal

from clearbell import AsyncClient, Conflict, Gap, NewOrder, NotFound, OrderBook, OrderUpdate, Refused, limit
from clearbell.command_line import credentials, parser


class MarketMaker:
    """One order on each side, which is replaced when the middle of the market has moved."""

    def __init__(self, client: AsyncClient, symbol: str, size: Decimal, spread: Decimal) -> None:
        self.client, self.symbol, self.size, self.spread = client, symbol, size, spread
        self.book = OrderBook(symbol)
        self.quotes: dict[str, tuple[int, NewOrder]] = {}

    async def run(self, first_price: Decimal | None) -> None:
        market = await self.client.market(self.symbol)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.follow_market())
            tasks.create_task(self.follow_orders())
            while True:
                await self.client.cancel_all_after(30, symbol=self.symbol)
                await asyncio.sleep(1)
                middle = None if self.book.is_stale else self.book.mid or first_price
                # A book that may be wrong is no price to quote at.
                if middle is None:
                    await self.take_back(*self.quotes)
                else:
                    await self.quote("BUY", middle * (1 - self.spread / 2) // market.tick_size * market.tick_size)
                    await self.quote("SELL", -(-middle * (1 + self.spread / 2) // market.tick_size) * market.tick_size)

    async def quote(self, side: str, price: Decimal) -> None:
        order_id, quoted = self.quotes.get(side, (0, None))
        if quoted is not None and abs(quoted.price - price) < price * self.spread / 10:
            return
        order = limit(self.symbol, side, self.size, price, post_only=True)
        try:
            accepted = await (self.client.replace(order_id, order) if order_id else self.client.place(order))
            self.quotes[side] = accepted.order_id, order
            print(f"{side} {self.size} @ {price}", flush=True)
        except Refused as refusal:
            print(refusal, flush=True)
            # There is nothing left to pay with, say. The old quote still rests, at a price of before.
            await self.take_back(side)

    async def take_back(self, *sides: str) -> None:
        for side in set(sides) & set(self.quotes):
            with suppress(Conflict, NotFound):  # It is closed already.
                await self.client.cancel(self.quotes[side][0])
            self.quotes.pop(side, None)

    async def follow_market(self) -> None:
        async with self.client.market_events(self.symbol) as stream:
            async for news in stream:
                self.book.apply(news)

    async def follow_orders(self) -> None:
        async with self.client.order_events() as stream:
            async for news in stream:
                match news:
                    case OrderUpdate(order, trade=trade):
                        if trade is not None:
                            print(f"{order.side} {trade.quantity} traded at {trade.price}", flush=True)
                        self.forget([order])
                    case Gap(orders=orders):
                        self.forget(orders)

    def forget(self, orders) -> None:
        closed = {order.order_id for order in orders if not order.active}
        self.quotes = {side: quote for side, quote in self.quotes.items() if quote[0] not in closed}


async def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--symbol", default="BTC-USD")
    arguments.add_argument("--size", type=Decimal, default=Decimal("0.01"), help="of each quote, in base")
    arguments.add_argument("--spread", type=Decimal, default=Decimal("0.002"), help="between the quotes, as a fraction")
    arguments.add_argument("--price", type=Decimal, help="to begin with, where the book has one side at most")
    asked = arguments.parse_args()
    async with AsyncClient(asked.url, credentials(asked)) as client:
        try:
            await MarketMaker(client, asked.symbol, asked.size, asked.spread).run(asked.price)
        finally:
            await client.cancel_all(symbol=asked.symbol)
            await client.cancel_all_after(0, symbol=asked.symbol)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("the quotes are taken back")
