"""The streams of all markets: once a second those tickers that have changed."""

import asyncio
import logging
from typing import Any

from base.streams.messages import data_text
from base.streams.threads import in_thread
from binance_api.streams import events, names
from binance_api.streams.source import Follower, Source
from binance_api.tickers import full_tickers, read_tickers
from marketdata import answers

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
_WRITERS = {names.ALL_TICKERS: events.ticker, names.ALL_MINI_TICKERS: events.mini_ticker}


class AllMarketsSource(Source):
    """One task of the process, which reads while somebody follows. Used from one event loop."""

    def __init__(self) -> None:
        # As they were sent last, by symbol.
        self._sent: dict[str, answers.Ticker] = {}
        super().__init__()

    async def join(self, kind: str, follower: Follower) -> None:
        """Follow a stream. All tickers are sent at once."""
        self._followers[kind].add(follower)
        shown = await in_thread(lambda: full_tickers(read_tickers(None)))
        if shown:
            follower.send(_text(kind, shown))

    async def _live(self) -> None:
        is_failing = False
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            if not self.is_followed:
                continue
            try:
                changed = await in_thread(self._changed)
                is_failing = False
            except Exception as error:
                if not is_failing:
                    logger.warning("the tickers of all markets cannot be read: %r", error)
                is_failing = True
                continue
            for kind, followers in self._followers.items():
                if followers and changed:
                    text = _text(kind, changed)
                    for follower in followers:
                        follower.send(text)

    def _changed(self) -> list[dict[str, Any]]:
        days = [day for day in read_tickers(None) if self._sent.get(day["symbol"]) != day]
        shown = full_tickers(days) if days else []
        self._sent.update({day["symbol"]: day for day in days})
        return shown


def _text(kind: str, shown: list[dict[str, Any]]) -> str:
    return data_text([_WRITERS[kind](each) for each in shown])
