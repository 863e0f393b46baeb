"""The simulated traders: they use the REST API and the order stream like any client."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from clients.python.clearbell import AsyncClient, Conflict, Gap, Opened, Order, OrderUpdate, Refused, limit
from tools.demo.cast import LISTINGS, TRADERS, Listing
from tools.demo.client import connect, user
from tools.demo.environment import CannotStartError
from tools.demo.strategy import CHANGES, Price, amendment, choose_action, new_oco, new_order
from tools.demo.tally import Tally

# Each trader's requests a second on the average; they come at random.
RATE = 7.0
# So many orders of one trader rest at most; older ones are cancelled.
MOST_RESTING = 60
# With so many quotes a trader begins, so that no market order meets a book that is nearly empty.
FIRST_QUOTES = 8
# If a trader asks for nothing for so long, all its orders are cancelled, unless it asks again.
DEAD_MAN_SECONDS, ALIVE_SECONDS = 60, 15.0
# An order that changed before the request to amend it came.
OVERTAKEN = ("ORDER_CLOSED", "QUANTITY_BELOW_FILLED", "NOTHING_TO_AMEND")


class Trader:
    """One user who places and cancels orders, and reads what becomes of them from the stream."""

    def __init__(self, client: AsyncClient, prices: Sequence[Price], tally: Tally) -> None:
        self._client = client
        self._prices = prices
        self._tally = tally
        self._is_reading = asyncio.Event()
        # By id, as the last event showed them.
        self._resting: dict[int, Order] = {}
        self._sent_at: dict[str, float] = {}
        self._quotes_due = FIRST_QUOTES

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            # Orders of an earlier run, around a price that may be history.
            await self._client.cancel_all()
            await self._is_reading.wait()
            tasks.create_task(self._stay_alive())
            while True:
                await asyncio.sleep(random.expovariate(RATE))
                await self._act()

    async def _stay_alive(self) -> None:
        while True:
            with contextlib.suppress(Refused):
                await self._client.cancel_all_after(DEAD_MAN_SECONDS)
            await asyncio.sleep(ALIVE_SECONDS)

    async def _act(self) -> None:
        action = choose_action() if self._quotes_due <= 0 else "quote"
        self._quotes_due -= 1
        try:
            if len(self._resting) > MOST_RESTING:
                await self._cancel(next(iter(self._resting)))
            elif action in CHANGES and self._resting:
                await self._change(action)
            elif action == "oco":
                group = new_oco(random.choice(self._prices))
                await self._placed(group.client_order_id, self._client.place_oco(group))
            else:
                order = new_order("quote" if action in CHANGES else action, random.choice(self._prices))
                await self._placed(order.client_order_id, self._client.place(order))
        except Refused as refusal:
            self._tally.refused[refusal.code] += 1

    async def _placed(self, client_order_id: str, placing: Awaitable[object]) -> None:
        self._sent_at[client_order_id] = time.perf_counter()
        try:
            await placing
        except Refused:
            self._sent_at.pop(client_order_id, None)
            raise
        self._tally.orders += 1

    async def _change(self, action: str) -> None:
        """Cancel the oldest order, or change any other."""
        if action == "cancel":
            return await self._cancel(next(iter(self._resting)))
        order = random.choice(list(self._resting.values()))
        price = next(each for each in self._prices if each.symbol == order.symbol)
        if action == "replace" and order.group_id is None:
            new = new_order("quote", price)
            return await self._placed(new.client_order_id, self._client.replace(order.order_id, new))
        if changes := amendment(order, price):
            await self._amend(order.order_id, changes)
        return None

    async def _amend(self, order_id: int, changes: Mapping[str, Any]) -> None:
        try:
            await self._client.amend(order_id, **changes)
        except Refused as refusal:
            # It was closed or filled meanwhile, or it is as it should be already.
            if refusal.code not in OVERTAKEN:
                raise
        else:
            self._tally.amends += 1

    async def _cancel(self, order_id: int) -> None:
        self._resting.pop(order_id, None)
        # It may have been filled meanwhile.
        with contextlib.suppress(Conflict):
            await self._client.cancel(order_id)
        self._tally.cancels += 1

    async def _read(self) -> None:
        async with self._client.order_events() as stream:
            async for news in stream:
                match news:
                    case OrderUpdate():
                        self._receive(news)
                    case Opened(orders) | Gap(orders=orders):
                        # What the events lacked, the client has read.
                        self._tally.reconnected += isinstance(news, Opened) and self._is_reading.is_set()
                        self._is_reading.set()
                        for order in orders:
                            self._see(order)

    def _receive(self, update: OrderUpdate) -> None:
        self._tally.events += 1
        sent_at = self._sent_at.pop(update.order.client_order_id or "", None)
        if sent_at is not None:
            self._tally.latencies.append((time.perf_counter() - sent_at) * 1000)
        if update.trade is not None:
            self._tally.see_trade(update.trade.trade_id)
        self._see(update.order)

    def _see(self, order: Order) -> None:
        if order.active and order.status != "PENDING":
            self._resting[order.order_id] = order
        else:
            self._resting.pop(order.order_id, None)


async def trade(address: str, password: str, tally: Tally) -> None:
    """Let all traders trade until this is cancelled. Raises CannotStartError if they may not even sign in."""
    async with connect() as http:
        clients = [user(http, address, member.name, password, tally) for member in TRADERS]
        try:
            for client in clients:
                await client.me()
            prices = [await _price(clients[0], listing) for listing in LISTINGS]
        except Refused as refusal:
            raise CannotStartError(f"the simulated traders cannot trade: {refusal}") from refusal
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(Trader(client, prices, tally).run())


async def wait_until_matching(address: str, password: str) -> None:
    """Return once every market's orders are answered by the engine. Ours ask for next to nothing and do not stay."""
    async with connect() as http:
        client = user(http, address, TRADERS[0].name, password, Tally())
        for listing in LISTINGS:
            # A market that an operator has halted is as ready as it will be.
            with contextlib.suppress(Refused):
                await _probe(client, listing)


async def _probe(client: AsyncClient, listing: Listing) -> None:
    order = limit(listing.symbol, "BUY", listing.lot_size, listing.tick_size, time_in_force="IOC")
    placed = await client.place(order)
    while (await client.order(placed.order_id)).status == "PENDING":
        await asyncio.sleep(0.2)


async def _price(client: AsyncClient, listing: Listing) -> Price:
    """A market's rules, and the last price of its tape to go on from."""
    market = await client.market(listing.symbol)
    tape = await client.trades(listing.symbol, limit=1)
    return Price(
        symbol=listing.symbol,
        anchor=float(listing.first_price),
        tick_size=market.tick_size,
        lot_size=market.lot_size,
        usual_quantity=listing.usual_quantity,
        mid=float(tape[0].price) if tape else 0.0,
    )
