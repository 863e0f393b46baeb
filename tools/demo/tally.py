"""What the traders did and saw: counted, printed every few seconds, summed up at the end."""

import statistics
from collections import Counter, deque

from clients.python.clearbell.streams.memory import Recent

# Both sides of a trade see it.
SEEN_TRADES = 20_000
NOTHING_TRADED = "nothing was traded in this time: let it run longer, or read its logs"


class Tally:
    """One for all traders of a run."""

    def __init__(self) -> None:
        self.orders = 0
        self.cancels = 0
        self.amends = 0
        self.refused: Counter[str] = Counter()
        self.trades = 0
        self.events = 0
        # Requests that had to be repeated, because their answer was an error or none; and because they were too many.
        self.repeated = 0
        self.throttled = 0
        self.reconnected = 0
        self.latencies: deque[float] = deque(maxlen=10_000)
        self._seen_trades = Recent(SEEN_TRADES)

    @property
    def is_success(self) -> bool:
        return self.trades > 0 and self.events > 0

    def see_trade(self, trade_id: str) -> None:
        """A trade of two simulated traders is an event of both."""
        if self._seen_trades.add(trade_id):
            self.trades += 1

    def line(self, seconds: float) -> str:
        text = f"{seconds:5.0f} s  orders {self.orders}  trades {self.trades}  events {self.events}"
        if self.refused:
            text += f"  refused {self.refused.total()}"
        if self.repeated:
            text += f"  repeated {self.repeated}"
        return text

    def summary(self, seconds: float) -> str:
        refused = ", ".join(f"{code} {count}" for code, count in self.refused.most_common()) or "none"
        return "\n".join(
            [
                f"after {seconds:.0f} s:",
                f"  orders   {self.orders} accepted, {self.cancels} cancels, {self.amends} amends; refused: {refused}",
                f"  trades   {self.trades}",
                f"  events   {self.events}, streams opened again {self.reconnected} times",
                f"  requests {self.repeated} repeated after an error, {self.throttled} after 429",
                f"  latency  {self._latency()}",
                *([] if self.is_success else [NOTHING_TRADED]),
            ]
        )

    def _latency(self) -> str:
        if len(self.latencies) < 2:
            return "not measured"
        percentiles = statistics.quantiles(self.latencies, n=20)
        return f"from POST to the order's first event: median {percentiles[9]:.0f} ms, 95 % in {percentiles[18]:.0f} ms"
