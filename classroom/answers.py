"""What anybody is answered of a class."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from base.web.rules import one_of
from base.web.values import Amount, Count, Instant, SignedAmount, described
from classroom.models import RoundState
from markets.answers import AssetCode, Symbol

Rank = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]


class Round(TypedDict):
    """The round that is open, else the last one."""

    round: Annotated[int, Field(ge=1)]
    title: str
    about: str
    state: Annotated[str, one_of(RoundState)]
    currency: AssetCode
    startedAt: Instant
    endedAt: Instant | None
    secondsTraded: Seconds
    secondsLeft: Annotated[Seconds | None, described("Null where the teacher ends the round.")]


class Standing(TypedDict):
    """One student's line."""

    rank: Rank
    name: str
    team: str
    profit: SignedAmount


class Mark(TypedDict):
    """What one of an asset counts, and by what."""

    symbol: Symbol
    asset: AssetCode
    price: Amount
    source: str


class NewsItem(TypedDict):
    """What was published."""

    text: str
    publishedAt: Instant


class Class(TypedDict):
    """A class as everybody sees it."""

    round: Annotated[Round | None, described("Null before the first.")]
    standing: Annotated[list[Standing], described("Best first; as it was within the last second.")]
    marks: list[Mark]
    news: Annotated[list[NewsItem], described("The newest 20, newest first.")]
    students: Count
