"""The house's bots, which trade over REST like anybody: several accounts, each with its own dice."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import httpx

from classroom.scenario import BotPlan, MarketPlan, Scenario, TradePlan
from clients.python.clearbell import AsyncClient, NoAnswer, Refused, Ticker
from tools.classroom.bots import View, slice_of, wish
from tools.classroom.fair_value import FairValue, Move
from tools.classroom.plan import Person
from tools.demo.client import connect, user
from tools.demo.tally import Tally

logger = logging.getLogger("classroom.house")
TICK_SECONDS = 0.25
# How often the best prices are read, once for all bots.
LOOK_SECONDS = 0.5
# A fund that cannot trade all of it in time goes on for so many times as long, and then gives up.
PATIENCE = 3


@dataclass(frozen=True)
class Situation:
    """The open round, as it was a moment ago."""

    round: int
    scenario: Scenario
    seed: int
    second: float
    strength: int
    is_running: bool
    moves: Mapping[str, Sequence[Move]]


class House:
    """All bots. `situation` is set by whoever looks at the round; without one they do nothing."""

    def __init__(self, address: str, people: Sequence[Person]) -> None:
        self.situation: Situation | None = None
        self._address, self._people = address, people
        self._prices: dict[str, Ticker] = {}
        self._values: dict[tuple[int, str], FairValue] = {}

    async def run(self) -> None:
        async with connect() as http, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_prices(http))
            for person in self._people:
                client = user(http, self._address, person.name, person.password, Tally())
                tasks.create_task(_Bot(self, person, client).run())

    def view(self, situation: Situation, bot: BotPlan, market: MarketPlan) -> View:
        """What the bot sees now. It knows news so many seconds later."""
        key = (situation.round, market.symbol)
        if key not in self._values:
            seed = f"{situation.seed} {market.symbol}"
            self._values[key] = FairValue(seed, float(market.fair_value), market.wander)
        moves = [Move(move.at + bot.knows, move.fraction) for move in situation.moves.get(market.symbol, ())]
        shown = self._prices.get(market.symbol)
        prices = (shown.best_bid, shown.best_ask, shown.last_price) if shown else (None, None, None)
        bid, ask, last = (None if price is None else float(price) for price in prices)
        return View(bid, ask, last, self._values[key].at(situation.second, moves))

    async def _read_prices(self, http: httpx.AsyncClient) -> None:
        """The tickers of all markets, by one request that needs no account."""
        client = AsyncClient(self._address, http=http)
        while True:
            with contextlib.suppress(NoAnswer, Refused):
                self._prices = {each.symbol: each for each in await client.tickers()}
            await asyncio.sleep(LOOK_SECONDS)


class _Bot:
    def __init__(self, house: House, person: Person, client: AsyncClient) -> None:
        self._house, self._name, self._client = house, person.name, client
        self._plan_name = person.team
        self._resting = 0
        self._is_quiet = True
        # Of each trade in the timetable how much is done, and the second in which it was tried last.
        self._traded: dict[tuple[int, int], Decimal] = {}
        self._tried: dict[tuple[int, int], int] = {}

    async def run(self) -> None:
        round_, worked, due = 0, 0.0, 0.0
        dice = random.Random()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            situation = self._house.situation
            bot = self._bot_of(situation)
            if situation is None or bot is None or not situation.is_running:
                continue
            if situation.round != round_:
                round_, worked, due = situation.round, 0.0, 0.0
                dice = random.Random(f"{situation.seed} {round_} {self._name}")
            worked += TICK_SECONDS * situation.strength / 100
            if bot.kind == "fund":
                await self._follow_timetable(situation, bot)
            elif situation.strength == 0:
                await self._be_quiet()
            elif worked >= due:
                worked, due = 0.0, bot.every * dice.uniform(0.5, 1.5)
                await self._act(situation, bot, dice)

    def _bot_of(self, situation: Situation | None) -> BotPlan | None:
        bots = situation.scenario.bots if situation is not None else []
        return next((bot for bot in bots if bot.name == self._plan_name), None)

    async def _act(self, situation: Situation, bot: BotPlan, dice: random.Random) -> None:
        market = situation.scenario.market_of(bot)
        self._is_quiet = False
        try:
            view = self._house.view(situation, bot, market)
            if bot.kind == "maker":
                view = replace(view, inventory=await self._inventory(bot, market))
            wanted = wish(bot, market, view, dice, self._resting)
            if wanted.cancels_all:
                await self._cancel_all(market.symbol)
            if len(wanted.orders) == 1:
                await self._client.place(wanted.orders[0])
            elif wanted.orders:
                await self._client.place_many(wanted.orders)
            self._resting += len(wanted.orders)
        except Refused as refusal:
            # It has nothing left to pay with, or the market was halted this moment.
            logger.info("%s was refused: %s", self._name, refusal)

    async def _inventory(self, bot: BotPlan, market: MarketPlan) -> float:
        """What it owns more of the base asset than at the start, in usual sizes."""
        held = {each.currency: each.total_balance for each in await self._client.balances()}
        began = bot.money.get(market.base, Decimal(0))
        return float((held.get(market.base, began) - began) / bot.size)

    async def _be_quiet(self) -> None:
        """Take everything back, once."""
        if not self._is_quiet:
            with contextlib.suppress(Refused):
                await self._client.cancel_all()
                self._resting, self._is_quiet = 0, True

    async def _cancel_all(self, symbol: str) -> None:
        await self._client.cancel_all(symbol=symbol)
        self._resting = 0

    async def _follow_timetable(self, situation: Situation, bot: BotPlan) -> None:
        for place, step in enumerate(situation.scenario.timetable):
            if isinstance(step, TradePlan) and step.bot == bot.name and self._name == bot.names[0]:
                await self._trade(situation, bot, place, step)

    async def _trade(self, situation: Situation, bot: BotPlan, place: int, step: TradePlan) -> None:
        key = (situation.round, place)
        second = int(situation.second)
        if situation.second > step.at + PATIENCE * step.seconds or self._tried.get(key) == second:
            return
        done = self._traded.get(key, Decimal(0))
        order = slice_of(step, situation.scenario.market_of(bot), situation.second, done)
        if order is None:
            return
        self._tried[key] = second
        # The same in the same second, also of a process that was started again.
        order = replace(order, client_order_id=f"round-{situation.round}-{place}-{second}")
        try:
            placed = await self._client.place(order, wait=1000)
        except Refused as refusal:
            logger.info("%s was refused: %s", self._name, refusal)
            return
        filled = order.quantity if placed.order is None else placed.order.filled_quantity
        self._traded[key] = done + Decimal(filled or 0)
