"""A scenario: the markets of a round, who takes part with which money, the house's bots, the news and the timetable."""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from base.words import harmless, one_line
from classroom.models import MOST_STRENGTH, NEWS_LENGTH, STRENGTH, TITLE_LENGTH
from classroom.scenario_text import Lines, Place, ScenarioError, read_text
from core.types import FeeCurrency
from markets.models import Asset, Market, market_errors

SHIPPED = Path(__file__).resolve().parent / "scenarios"
ENDING = ".yaml"
MOST_BOTS = 20
# Of a round, and of anything in its timetable.
MOST_SECONDS = 4 * 60 * 60

_Money = Annotated[Decimal, Field(ge=0, le=100_000_000, decimal_places=8)]
_Positive = Annotated[Decimal, Field(gt=0, le=100_000_000, decimal_places=8)]
_Fraction = Annotated[Decimal, Field(gt=0, lt=1, decimal_places=8)]
_Rate = Annotated[Decimal, Field(ge=0, lt=1, decimal_places=8)]
_Move = Annotated[Decimal, Field(gt=-1, le=10, decimal_places=8)]
_Second = Annotated[float, Field(ge=0, le=MOST_SECONDS)]
_Line = AfterValidator(one_line)
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
_Code = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,16}$")]
_Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,16}-[A-Z0-9]{1,16}$")]
_Funds = Annotated[dict[_Code, _Money], Field(max_length=8)]
_Strength = Annotated[int, Field(ge=0, le=MOST_STRENGTH)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MarketPlan(_Part):
    """A market. `fair_value` is what the bots take it to be worth; by `wander` it moves each second, as a fraction."""

    symbol: _Symbol
    tick: _Positive
    lot: _Positive
    fair_value: _Positive
    price_band: _Fraction | None = None
    maker_fee: _Rate = Decimal(0)
    taker_fee: _Rate = Decimal(0)
    wander: Annotated[float, Field(ge=0, le=0.05)] = 0

    @property
    def base(self) -> str:
        return self.symbol.partition("-")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("-")[2]

    def as_fields(self) -> dict[str, Any]:
        """What `markets.services.create_market` is given beside the assets."""
        return {
            "symbol": self.symbol,
            "tick_size": self.tick,
            "lot_size": self.lot,
            "price_band": self.price_band,
            "maker_fee_rate": self.maker_fee,
            "taker_fee_rate": self.taker_fee,
            # So that nobody is left with less than a lot.
            "fee_currency": FeeCurrency.QUOTE.value,
        }


class TeamPlan(_Part):
    """Students with the same money. Of each `share` so many seats are given, in turn."""

    name: _Name
    money: _Funds
    share: Annotated[int, Field(ge=1, le=100)] = 1


class BotPlan(_Part):
    """Bots of the house. `knows` is how soon, in seconds, they know a new fair value."""

    name: _Name
    kind: Literal["maker", "noise", "value", "fund"]
    money: _Funds
    market: _Symbol | None = None
    count: Annotated[int, Field(ge=1, le=10)] = 1
    every: Annotated[float, Field(ge=0.2, le=600)] = 2
    size: _Positive = Decimal(1)
    spread: _Fraction = Decimal("0.005")
    knows: _Second = 0

    @property
    def names(self) -> list[str]:
        return [f"bot-{self.name}-{number}" for number in range(1, self.count + 1)]


class NewsPlan(_Part):
    """What is published, and how it moves the fair values, as fractions."""

    at: _Second
    text: Annotated[str, Field(min_length=1, max_length=NEWS_LENGTH), _Line]
    move: Annotated[dict[_Symbol, _Move], Field(max_length=8)] = {}


class PausePlan(_Part):
    at: _Second
    do: Literal["pause"]
    seconds: Annotated[float, Field(ge=1, le=3600)]


class StrengthPlan(_Part):
    at: _Second
    do: Literal["strength"]
    value: _Strength


class TradePlan(_Part):
    """A bot of kind fund buys or sells so much in all, by market orders, spread over `seconds`."""

    at: _Second
    do: Literal["buy", "sell"]
    bot: _Name
    quantity: _Positive
    seconds: Annotated[float, Field(ge=1, le=3600)] = 10


Step = Annotated[PausePlan | StrengthPlan | TradePlan, Field(discriminator="do")]


class Scenario(_Part):
    """The whole file. `seconds` is how long a round trades; 0: until the teacher ends it."""

    title: Annotated[str, Field(min_length=1, max_length=TITLE_LENGTH), _Line]
    about: Annotated[str, Field(max_length=2000), AfterValidator(harmless)] = ""
    seconds: _Second = 0
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    strength: _Strength = STRENGTH
    markets: Annotated[list[MarketPlan], Field(min_length=1, max_length=4)]
    teams: Annotated[list[TeamPlan], Field(min_length=1, max_length=8)]
    bots: Annotated[list[BotPlan], Field(max_length=MOST_BOTS)] = []
    news: Annotated[list[NewsPlan], Field(max_length=50)] = []
    timetable: Annotated[list[Step], Field(max_length=100)] = []

    @property
    def currency(self) -> str:
        """In which profit is counted."""
        return self.markets[0].quote

    @property
    def assets(self) -> list[str]:
        """All that is traded or paid with."""
        return sorted({asset for market in self.markets for asset in (market.base, market.quote)})

    def market_of(self, bot: BotPlan) -> MarketPlan:
        return next(each for each in self.markets if each.symbol == (bot.market or self.markets[0].symbol))

    def seats(self, count: int) -> list[TeamPlan]:
        """The team of each of so many students, in turn."""
        turns = [team for team in self.teams for _ in range(team.share)]
        return [turns[place % len(turns)] for place in range(count)]


def shipped() -> list[str]:
    """The names of the scenarios that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob(f"*{ENDING}"))


def load_scenario(name: str) -> Scenario:
    """One that is shipped, by its name, or that of a file, by its path. Raises ScenarioError."""
    path = SHIPPED / f"{name}{ENDING}" if name in shipped() else Path(name)
    try:
        with path.open("rb") as file:
            # No more than says that it is too long.
            content = file.read(1_000_000)
    except OSError as error:
        known = ", ".join(shipped())
        raise ScenarioError(f"{name} cannot be read ({error.strerror}); these are shipped: {known}") from error
    return read_scenario(path.name, content)


def read_scenario(name: str, content: bytes) -> Scenario:
    """Raises ScenarioError with all that is wrong."""
    data, lines = read_text(name, content)
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        raise ScenarioError("\n".join(_in_words(lines, each) for each in error.errors())) from error
    faults = list(_contradictions(scenario))
    if faults:
        raise ScenarioError("\n".join(lines.at(place, words) for place, words in faults))
    return scenario


def _in_words(lines: Lines, error: Any) -> str:
    # pydantic names the form of a step too, which no file has.
    place: Place = tuple(part for part in error["loc"] if part not in ("pause", "strength", "buy", "sell"))
    if error["type"] == "missing":
        return lines.at(place, "is required")
    if error["type"] == "extra_forbidden":
        return lines.at(place, "is unknown here; see docs/class.md for the fields")
    given = error["input"]
    shown = f" (is {str(given)[:60]!r})" if isinstance(given, str | int | float | bool) or given is None else ""
    message = str(error["msg"]).removeprefix("Value error, ")
    return lines.at(place, message[:1].lower() + message[1:] + shown)


def _contradictions(scenario: Scenario) -> Iterator[tuple[Place, str]]:
    """What the parts owe to each other."""
    symbols = {market.symbol for market in scenario.markets}
    for place, market in enumerate(scenario.markets):
        yield from _of_market(scenario, place, market)
    yield from _of_people(scenario)
    yield from _of_bots(scenario, symbols)
    yield from _of_times(scenario, symbols)


def _of_people(scenario: Scenario) -> Iterator[tuple[Place, str]]:
    everybody: dict[str, Sequence[TeamPlan | BotPlan]] = {"teams": scenario.teams, "bots": scenario.bots}
    for kind, parts in everybody.items():
        names = Counter(part.name.lower() for part in parts)
        for place, part in enumerate(parts):
            if names[part.name.lower()] > 1:
                yield (kind, place, "name"), f"the name {part.name} is there twice"
            for asset in part.money.keys() - set(scenario.assets):
                yield (kind, place, "money", asset), f"no market has {asset}; there are {', '.join(scenario.assets)}"


def _of_bots(scenario: Scenario, symbols: set[str]) -> Iterator[tuple[Place, str]]:
    for place, bot in enumerate(scenario.bots):
        if bot.market is not None and bot.market not in symbols:
            yield ("bots", place, "market"), f"there is no market {bot.market}; there are {', '.join(sorted(symbols))}"
        elif bot.size % scenario.market_of(bot).lot:
            yield ("bots", place, "size"), f"{bot.size} is not a multiple of the lot {scenario.market_of(bot).lot}"
    if sum(bot.count for bot in scenario.bots) > MOST_BOTS:
        yield ("bots",), f"there are more than {MOST_BOTS} bots in all"


def _of_market(scenario: Scenario, place: int, market: MarketPlan) -> Iterator[tuple[Place, str]]:
    if [each.symbol for each in scenario.markets].index(market.symbol) != place:
        yield ("markets", place, "symbol"), f"the market {market.symbol} is there twice"
    if market.quote != scenario.currency:
        yield ("markets", place, "symbol"), f"all markets of a scenario are quoted in one asset, {scenario.currency}"
    if market.fair_value % market.tick:
        yield ("markets", place, "fair_value"), f"{market.fair_value} is not a multiple of the tick {market.tick}"
    row = Market(base=Asset(code=market.base), quote=Asset(code=market.quote), **market.as_fields())
    row.min_quantity, row.max_quantity = market.lot, market.lot
    for words in market_errors(row).values():
        yield ("markets", place), words


def _of_times(scenario: Scenario, symbols: set[str]) -> Iterator[tuple[Place, str]]:
    funds = {bot.name for bot in scenario.bots if bot.kind == "fund"}
    for place, item in enumerate(scenario.news):
        for symbol in item.move.keys() - symbols:
            yield ("news", place, "move", symbol), f"there is no market {symbol}"
    for kind, parts in (("news", scenario.news), ("timetable", scenario.timetable)):
        for place, part in enumerate(parts):
            if scenario.seconds and part.at >= scenario.seconds:
                yield (kind, place, "at"), f"the round ends after {scenario.seconds:g} seconds"
    for place, step in enumerate(scenario.timetable):
        if isinstance(step, TradePlan):
            if step.bot not in funds:
                yield ("timetable", place, "bot"), f"there is no bot {step.bot} of kind fund"
            elif step.quantity % _market_of_bot(scenario, step.bot).lot:
                yield ("timetable", place, "quantity"), "is not a multiple of the lot"


def _market_of_bot(scenario: Scenario, name: str) -> MarketPlan:
    return scenario.market_of(next(bot for bot in scenario.bots if bot.name == name))
