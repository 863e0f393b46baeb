"""Outages of Redis while clients read streams: frozen, flushed, killed. Matching goes on, and the streams catch up."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tools.chaos.checks import check, wait_until_idle
from tools.chaos.clients import Client, trading
from tools.chaos.exchange import SYMBOLS, Exchange, freeze, running_exchange, thaw
from tools.chaos.kills import report_clients, report_findings, report_polls
from tools.chaos.polls import polling
from tools.chaos.report import Progress, Report
from tools.chaos.views import MarketView, OrdersView, View, wait_until_equal
from tools.chaos.watch import Watch, in_words

ROUNDS = {"ci": 1, "full": 50}
KINDS = ("frozen", "flushed", "killed")
LISTENERS, OTHERS = 3, 2
LISTENER_PAUSE_SECONDS, OTHER_PAUSE_SECONDS = 0.15, 0.05
# A listener's orders are few, so that every event of each can be looked for.
LISTENER_BATCH_SIZES = range(2, 6)
TRADING_SECONDS, CATCH_UP_SECONDS = 1.5, 5.0
# Redis stays away until each market has matched without it, which must not take longer than the second of these.
AWAY_SECONDS, MOST_AWAY_SECONDS = 3.0, 10.0


@dataclass
class Outages:
    """The part's settings, and what its rounds found."""

    database: str
    folder: Path
    seed: int
    rounds: int
    kinds: Sequence[str] = KINDS
    wrong: list[str] = field(default_factory=list)
    caught_up: dict[str, list[float]] = field(default_factory=dict)
    standstills: dict[str, list[float]] = field(default_factory=dict)
    outages: int = 0
    events: int = 0
    resets: int = 0
    clients: list[Client] = field(default_factory=list)

    def run(self) -> Report:
        with running_exchange(self.database, self.folder) as exchange, Watch(exchange.url) as watch:
            exchange.start_workers()
            wait_until_idle(exchange)
            others = self._clients(exchange, OTHERS, OTHER_PAUSE_SECONDS)
            planned = len(self.kinds) * self.rounds
            progress = Progress("outages", planned, lambda: self.outages, lambda: f"{self.events} events")
            polled = [client.trader for client in others]
            with progress, polling(exchange, polled, self.seed) as pollers, trading(others):
                for _ in range(self.rounds):
                    self._round(exchange, watch, others, progress)
            report = self._report(exchange)
            report_polls(report, exchange, pollers)
            return report

    def _clients(self, exchange: Exchange, count: int, pause: float, **more: range) -> list[Client]:
        number = len(self.clients)
        made = [
            Client(trader, number + at, self.seed, pause, **more) for at, trader in enumerate(exchange.traders(count))
        ]
        self.clients += made
        return made

    def _round(self, exchange: Exchange, watch: Watch, others: list[Client], progress: Progress) -> None:
        """All outages once, in random order, before new users: so that all their events can be looked through."""
        listeners = self._clients(exchange, LISTENERS, LISTENER_PAUSE_SECONDS, batch_sizes=LISTENER_BATCH_SIZES)
        views = [OrdersView(exchange.url, client.trader) for client in listeners]
        market = MarketView(exchange.url, SYMBOLS[0])
        kinds = list(self.kinds)
        Random(f"{self.seed}-outages-{self.outages}").shuffle(kinds)
        with listening(*views, market), trading(listeners):
            for kind in kinds:
                self._outage(exchange, watch, kind, [*views, market], [*others, *listeners])
                progress.show(f"Redis {kind}")
            for client in listeners:
                client.paused.set()
            for view in views:
                self.wrong += view.missed()
        followed: list[View] = [*views, market]
        for each in followed:
            self.wrong += each.mistakes + ([f"a stream's client ended: {each.error!r}"] if each.error else [])
            self.resets += each.resets
        self.events += sum(len(view.received) for view in views)

    def _outage(
        self,
        exchange: Exchange,
        watch: Watch,
        kind: str,
        views: list[View],
        clients: list[Client],
    ) -> None:
        for client in clients:
            client.paused.clear()
        time.sleep(TRADING_SECONDS)
        if kind != "flushed":
            # After a flush, which takes no time, the clients pause at once, and there would be nothing to match.
            watch.began(kind)
        self._take_away(exchange, watch, kind)
        back_at = time.monotonic()
        # The events must be complete though no further event follows: a quiet stream hides nothing.
        for client in clients:
            client.paused.set()
        self.outages += 1
        for view in views:
            equal_at, differences = wait_until_equal(view, back_at + CATCH_UP_SECONDS)
            self.caught_up.setdefault(kind, []).append(equal_at - back_at)
            self.wrong += [f"{CATCH_UP_SECONDS} s after Redis was {kind}: {what}" for what in differences]
        # Nobody killed them, and without Redis they have something to do.
        self.wrong += [f"{name} ended when Redis was {kind}: {why}" for name, why in exchange.restart_ended()]
        self.standstills = watch.recoveries

    def _take_away(self, exchange: Exchange, watch: Watch, kind: str) -> None:
        if kind == "flushed":
            exchange.flush_redis()
        elif kind == "killed":
            exchange.redis.kill()
            self._wait_for_matching(watch, kind)
            exchange.redis.start()
        else:
            # It takes connections and answers nothing.
            freeze(exchange.redis)
            self._wait_for_matching(watch, kind)
            thaw(exchange.redis)

    def _wait_for_matching(self, watch: Watch, kind: str) -> None:
        began = time.monotonic()
        time.sleep(AWAY_SECONDS)
        while (unmatched := watch.unmatched()) and time.monotonic() < began + MOST_AWAY_SECONDS:
            time.sleep(0.1)
        self.wrong += [f"{symbol} matched nothing for {MOST_AWAY_SECONDS} s, Redis {kind}" for symbol in unmatched]

    def _report(self, exchange: Exchange) -> Report:
        idle_after = wait_until_idle(exchange)
        findings = check(exchange, self.clients)
        report = Report("Redis outages while clients read streams", self.wrong + findings.wrong)
        if idle_after is None:
            report.wrong.append("commands still waited at the end")
        report.add("servers", f"{exchange.database.name} {exchange.database.version}, {exchange.redis.version}")
        report.add("outages", f"{self.outages}: {' and '.join(self.kinds)}, {self.rounds} each")
        report.add("events sent", f"{self.events} order events to {LISTENERS} users at a time, {self.resets} resets")
        for kind, seconds in self.caught_up.items():
            report.add(f"views equal to REST after Redis was {kind}", in_words(seconds))
        for kind, seconds in self.standstills.items():
            report.add(f"next order matched after Redis was {kind}", in_words(seconds))
        report_clients(report, exchange, self.clients)
        report_findings(report, findings)
        for trouble in sorted({trouble for client in self.clients for trouble in client.troubles}):
            report.wrong.append(f"an outage of Redis must not be noticed over REST: {trouble}")
        return report


@contextmanager
def listening(*views: View) -> Iterator[None]:
    """All of them connected within the `with`."""
    with ExitStack() as stack:
        for view in views:
            stack.enter_context(view)
        for view in views:
            assert view.has_begun.wait(10), view.error
        yield
