"""The sources of this process: one for each market that somebody follows, and one for all markets."""

import asyncio

from base.streams.hub import Hub
from binance_api.streams.all_markets import AllMarketsSource
from binance_api.streams.names import Stream
from binance_api.streams.source import Follower, MarketSource

Source = MarketSource | AllMarketsSource
# For so long a source stays that nobody follows: clients who come and go begin it once.
LINGER_SECONDS = 5.0


class Sources:
    """By symbol, and under no symbol that of all markets. Used from one event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._sources: dict[str, Source] = {}

    async def follow(self, stream: Stream, follower: Follower) -> None:
        """Raises what the database raises."""
        source = self._sources.get(stream.symbol)
        if source is None or not source.is_alive:
            source = MarketSource(self._hub, stream.symbol) if stream.symbol else AllMarketsSource()
            self._sources[stream.symbol] = source
        try:
            await source.join(stream.kind, follower)
        except BaseException:
            self.leave(stream, follower)
            raise

    def leave(self, stream: Stream, follower: Follower) -> None:
        source = self._sources.get(stream.symbol)
        if source is None:
            return
        source.leave(stream.kind, follower)
        if not source.is_followed:
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._stop_left, stream.symbol, source)

    def _stop_left(self, symbol: str, source: Source) -> None:
        if source.is_followed:
            return
        source.stop()
        if self._sources.get(symbol) is source:
            del self._sources[symbol]
