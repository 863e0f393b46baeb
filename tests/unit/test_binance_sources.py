"""What a process keeps of those whom its clients follow by Binance's streams, and how little it costs."""

import asyncio
import time
from typing import Any

import pytest

from base.streams.threads import in_thread, in_turn
from binance_api.streams import all_markets, book_stream, sources
from binance_api.streams.all_markets import AllMarketsSource
from binance_api.streams.book_stream import BookStream
from binance_api.streams.changes import Reading
from binance_api.streams.names import DEPTH, Stream
from binance_api.streams.readings import TooMuchMissed
from binance_api.streams.sources import Sources


class Book:
    """A market's book, which moves by an event with each reading."""

    def __init__(self) -> None:
        self.readings = 0
        self.is_far = False

    def read(self, _symbol: str) -> Reading:
        self.readings += 1
        return Reading(self.readings, {self.readings: 1}, {})

    def read_changed(self, symbol: str, _after: int) -> tuple[Reading, tuple[set[int], set[int]]]:
        if self.is_far:
            raise TooMuchMissed(symbol)
        return self.read(symbol), (set(), set())


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    book = Book()
    monkeypatch.setattr(book_stream, "in_turn", _at_once)
    monkeypatch.setattr(book_stream, "read_book", book.read)
    monkeypatch.setattr(book_stream, "read_changed_book", book.read_changed)
    return book


async def _at_once(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


def test_followers_who_come_and_go_cost_one_reading_and_miss_nothing(book: Book) -> None:
    async def scenario() -> Any:
        stream = BookStream("BTC-USD")
        for _ in range(20):
            await stream.begin()
            stream.end()
        assert stream.due == float("inf")
        await stream.begin()
        assert stream.due <= time.monotonic()
        return await stream.next()

    changes = asyncio.run(scenario())
    assert (book.readings, changes.first, changes.last) == (2, 2, 2)


def test_who_comes_after_too_much_was_missed_begins_anew(book: Book) -> None:
    """Even while those who were cut off have not gone yet."""

    async def scenario() -> Any:
        stream = BookStream("BTC-USD")
        await stream.begin()
        book.is_far = True
        with pytest.raises(TooMuchMissed):
            await stream.next()
        book.is_far = False
        await stream.begin()
        return await stream.next()

    changes = asyncio.run(scenario())
    assert (changes.first, changes.last) == (3, 3)


def test_what_is_read_in_turn_takes_half_of_the_time_and_nobody_elses_threads() -> None:
    async def scenario() -> tuple[float, float]:
        began_at = time.monotonic()
        costly = [asyncio.ensure_future(in_turn(time.sleep, 0.02)) for _ in range(10)]
        await in_thread(time.sleep, 0)
        cheap = time.monotonic() - began_at
        await asyncio.gather(*costly)
        return cheap, time.monotonic() - began_at

    cheap, all_of_them = asyncio.run(scenario())
    assert cheap < 0.2
    assert all_of_them >= 0.38


def test_a_source_stays_for_those_who_come_and_go_and_ends_when_nobody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Source:
        is_alive, made = True, 0

        def __init__(self, *_: Any) -> None:
            Source.made += 1
            self.followers: set[Any] = set()
            self.is_stopped = False

        @property
        def is_followed(self) -> bool:
            return bool(self.followers)

        async def join(self, _: str, follower: Any) -> None:
            self.followers.add(follower)

        def leave(self, _: str, follower: Any) -> None:
            self.followers.discard(follower)

        def stop(self) -> None:
            self.is_stopped = True

    monkeypatch.setattr(sources, "MarketSource", Source)
    monkeypatch.setattr(sources, "LINGER_SECONDS", 0.05)
    stream, follower = Stream("btcusd@depth", "BTC-USD", DEPTH), object()

    async def scenario() -> None:
        kept = Sources(None)  # type: ignore[arg-type]
        for _ in range(20):
            await kept.follow(stream, follower)  # type: ignore[arg-type]
            kept.leave(stream, follower)  # type: ignore[arg-type]
        (source,) = kept._sources.values()
        await asyncio.sleep(0.1)
        assert source.is_stopped  # type: ignore[union-attr]
        assert not kept._sources

    asyncio.run(scenario())
    assert Source.made == 1


def test_tickers_that_could_not_be_read_in_full_are_told_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    day = {"symbol": "BTC-USD"}
    answers = iter([RuntimeError("the database is away"), [day]])

    def full(_: Any) -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(all_markets, "read_tickers", lambda _: [day])
    monkeypatch.setattr(all_markets, "full_tickers", full)

    async def scenario() -> Any:
        source = AllMarketsSource()
        source.stop()
        with pytest.raises(RuntimeError):
            source._changed()
        return source._changed()

    assert asyncio.run(scenario()) == [day]
