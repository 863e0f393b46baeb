"""The simulated traders: they use the REST API and the order stream like any client."""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx

from tools.demo.cast import LISTINGS, TRADERS, Listing
from tools.demo.client import Client, RefusedError, connect
from tools.demo.environment import CannotStartError
from tools.demo.strategy import CHANGES, Price, amendment, choose_action, new_oco, new_order
from tools.demo.tally import Recent, Tally
from tools.rig.events import OPEN, ORDER_STATUS, REFUSED, RESET, Event, EventStream

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

    def __init__(self, client: Client, prices: Sequence[Price], tally: Tally) -> None:
        self._client = client
        self._prices = prices
        self._tally = tally
        self._stream = EventStream(client.http, ORDER_STATUS, self._receive, client.authorization)
        self._is_reading = asyncio.Event()
        self._seen_events = Recent()
        # By id, as the last event showed them.
        self._resting: dict[int, Mapping[str, Any]] = {}
        self._sent_at: dict[str, float] = {}
        self._must_read = False
        self._quotes_due = FIRST_QUOTES

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stream.run())
            # Orders of an earlier run, around a price that may be history.
            await self._client.request("DELETE", "/orders")
            await self._is_reading.wait()
            tasks.create_task(self._stay_alive())
            while True:
                await asyncio.sleep(random.expovariate(RATE))
                await self._act()

    async def _stay_alive(self) -> None:
        while True:
            with contextlib.suppress(RefusedError):
                body = {"timeoutSeconds": DEAD_MAN_SECONDS}
                await self._client.request("POST", "/orders/cancel-all-after", body=body)
            await asyncio.sleep(ALIVE_SECONDS)

    async def _act(self) -> None:
        action = choose_action() if self._quotes_due <= 0 else "quote"
        self._quotes_due -= 1
        try:
            if self._must_read:
                await self._read_resting()
            elif len(self._resting) > MOST_RESTING:
                await self._cancel(next(iter(self._resting)))
            elif action in CHANGES and self._resting:
                await self._change(action)
            elif action == "oco":
                await self._place(new_oco(random.choice(self._prices)), "/orders/oco")
            else:
                await self._place(new_order("quote" if action in CHANGES else action, random.choice(self._prices)))
        except RefusedError as refusal:
            self._tally.refused[refusal.code] += 1

    async def _place(self, order: Mapping[str, Any], path: str = "/orders") -> None:
        client_order_id = uuid.uuid4().hex
        self._sent_at[client_order_id] = time.perf_counter()
        try:
            await self._client.request("POST", path, body={**order, "clientOrderId": client_order_id})
        except RefusedError:
            self._sent_at.pop(client_order_id, None)
            raise
        self._tally.orders += 1

    async def _change(self, action: str) -> None:
        """Cancel the oldest order, or change any other."""
        if action == "cancel":
            return await self._cancel(next(iter(self._resting)))
        order = random.choice(list(self._resting.values()))
        price = next(each for each in self._prices if each.symbol == order["symbol"])
        if action == "replace" and order["groupId"] is None:
            return await self._place(new_order("quote", price), f"/orders/{order['orderId']}/replace")
        if body := amendment(order, price):
            await self._amend(order["orderId"], body)
        return None

    async def _amend(self, order_id: int, body: Mapping[str, Any]) -> None:
        try:
            await self._client.request("PATCH", f"/orders/{order_id}", body=body)
        except RefusedError as refusal:
            # It was closed or filled meanwhile, or it is as it should be already.
            if refusal.code not in OVERTAKEN:
                raise
        else:
            self._tally.amends += 1

    async def _cancel(self, order_id: int) -> None:
        self._resting.pop(order_id, None)
        try:
            await self._client.request("DELETE", f"/orders/{order_id}")
        except RefusedError as refusal:
            # It was filled meanwhile, or our first request did arrive.
            if refusal.status != 409:
                raise
        self._tally.cancels += 1

    async def _read_resting(self) -> None:
        """Events may have been missed: ask what is true now."""
        self._must_read = False
        orders = await self._client.get("/orders", active="true", limit="100")
        self._resting = {order["orderId"]: order for order in reversed(orders)}

    def _receive(self, event: Event) -> None:
        if event.kind == OPEN:
            self._tally.reconnected += self._is_reading.is_set()
            self._is_reading.set()
        elif event.kind == REFUSED and event.data == httpx.codes.UNAUTHORIZED:
            self._client.forget_token()
        elif event.kind == RESET:
            self._must_read = True
            self._sent_at.clear()
        if event.kind != "order-status-update" or not self._seen_events.add(event.data["eventId"]):
            return
        self._tally.events += 1
        order = event.data
        sent_at = self._sent_at.pop(order["clientOrderId"] or "", None)
        if sent_at is not None:
            self._tally.latencies.append((time.perf_counter() - sent_at) * 1000)
        if "lastTrade" in order:
            self._tally.see_trade(order["lastTrade"]["tradeId"])
        if order["active"] and order["status"] != "PENDING":
            self._resting[order["orderId"]] = order
        else:
            self._resting.pop(order["orderId"], None)


async def trade(address: str, password: str, tally: Tally) -> None:
    """Let all traders trade until this is cancelled. Raises CannotStartError if they may not even sign in."""
    async with connect(address) as http:
        clients = [Client(http, member.name, password, tally) for member in TRADERS]
        try:
            for client in clients:
                await client.authorization()
            prices = [await _price(clients[0], listing) for listing in LISTINGS]
        except RefusedError as refusal:
            raise CannotStartError(f"the simulated traders cannot trade: {refusal}") from refusal
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(Trader(client, prices, tally).run())


async def wait_until_matching(address: str, password: str) -> None:
    """Return once every market's orders are answered by the engine. Ours ask for next to nothing and do not stay."""
    async with connect(address) as http:
        client = Client(http, TRADERS[0].name, password, Tally())
        for listing in LISTINGS:
            # A market that an operator has halted is as ready as it will be.
            with contextlib.suppress(RefusedError):
                await _probe(client, listing)


async def _probe(client: Client, listing: Listing) -> None:
    order = {"symbol": listing.symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "IOC"}
    order |= {"price": str(listing.tick_size), "quantity": str(listing.lot_size)}
    placed = await client.request("POST", "/orders", body={**order, "clientOrderId": uuid.uuid4().hex})
    while (await client.get(f"/orders/{placed['orderId']}"))["status"] == "PENDING":
        await asyncio.sleep(0.2)


async def _price(client: Client, listing: Listing) -> Price:
    """A market's rules, and the last price of its tape to go on from."""
    market = await client.get(f"/markets/{listing.symbol}")
    tape = await client.get(f"/trades/{listing.symbol}", limit="1")
    return Price(
        symbol=listing.symbol,
        anchor=float(listing.first_price),
        tick_size=Decimal(market["tickSize"]),
        lot_size=Decimal(market["lotSize"]),
        usual_quantity=listing.usual_quantity,
        mid=float(tape[0]["price"]) if tape else 0.0,
    )
