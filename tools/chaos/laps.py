"""A lap: accidents one after the other while clients trade, poll and read streams; after each the streams catch up.

What the accidents are, and what clients may notice of them, is the lap's course.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tools.chaos.checks import check, wait_until_idle
from tools.chaos.clients import Client, trading
from tools.chaos.exchange import SYMBOLS, Exchange
from tools.chaos.kills import report_clients, report_findings, report_polls
from tools.chaos.polls import polling
from tools.chaos.report import Progress, Report
from tools.chaos.views import MarketView, OrdersView, View, wait_until_equal
from tools.chaos.watch import Watch, in_words

LISTENERS, OTHERS = 3, 2
LISTENER_PAUSE_SECONDS, OTHER_PAUSE_SECONDS = 0.15, 0.05
# A listener's orders are few, so that every event of each can be looked for.
LISTENER_BATCH_SIZES = range(2, 6)
TRADING_SECONDS, CATCH_UP_SECONDS = 1.5, 5.0
# What must not keep matching from going on lasts until each market has matched, but not longer than the second.
AWAY_SECONDS, MOST_AWAY_SECONDS = 3.0, 10.0


@dataclass(frozen=True)
class Course:
    """The accidents of a lap by their names. Each returns when what it took away is back."""

    title: str
    accidents: "Mapping[str, Callable[[Lap], None]]"
    # Whether a client may have to ask again meanwhile. No answer may be 500, ever.
    is_noticed: bool = True
    # How soon after an accident every stream must have sent what REST answers.
    catch_up_seconds: float = CATCH_UP_SECONDS
    # What is wrong after an accident, when nobody trades.
    afterwards: "Callable[[Lap], list[str]]" = lambda _: []


@dataclass(frozen=True)
class Plan:
    """How a lap is run: on which kind of database, in which folder, how often. `most` of the accidents, 0 for all."""

    database: str
    folder: Path
    seed: int
    rounds: int = 1
    most: int = 0

    def lap(self, exchange: Exchange, course: Course) -> "Lap":
        kinds = list(course.accidents)
        if self.most:
            kinds = Random(f"{self.seed}-{course.title}-kinds").sample(kinds, min(self.most, len(kinds)))
        return Lap(exchange, course, self.seed, self.rounds, kinds)


@dataclass
class Lap:
    """One run of a course on an exchange that runs already, with its workers, and what it found."""

    exchange: Exchange
    course: Course
    seed: int
    rounds: int
    kinds: Sequence[str] = ()
    wrong: list[str] = field(default_factory=list)
    # Further facts of the course's own for the report.
    facts: list[tuple[str, str]] = field(default_factory=list)
    caught_up: dict[str, list[float]] = field(default_factory=dict)
    happened: int = 0
    events: int = 0
    resets: int = 0
    clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kinds = self.kinds or list(self.course.accidents)
        self.random = Random(f"{self.seed}-{self.course.title}")

    def run(self) -> Report:
        wait_until_idle(self.exchange)
        others = self._clients(OTHERS, OTHER_PAUSE_SECONDS)
        planned = len(self.kinds) * self.rounds
        progress = Progress("accidents", planned, lambda: self.happened, lambda: f"{self.events} events")
        polled = [client.trader for client in others]
        with (
            Watch(self.exchange.url) as self.watch,
            progress,
            polling(self.exchange, polled, self.seed) as pollers,
            trading(others),
        ):
            for _ in range(self.rounds):
                self._round(others, progress)
        report = self._report()
        report_polls(report, self.exchange, pollers)
        return report

    def wait_for_matching(self) -> None:
        """While something is away without which orders must be matched all the same."""
        began = time.monotonic()
        time.sleep(AWAY_SECONDS)
        while (unmatched := self.watch.unmatched()) and time.monotonic() < began + MOST_AWAY_SECONDS:
            time.sleep(0.1)
        self.wrong += [f"{symbol} matched nothing for {MOST_AWAY_SECONDS} s, {self.now}" for symbol in unmatched]

    def _clients(self, count: int, pause: float, **more: range) -> list[Client]:
        number, traders = len(self.clients), self.exchange.traders(count)
        made = [Client(trader, number + at, self.seed, pause, **more) for at, trader in enumerate(traders)]
        self.clients += made
        return made

    def _round(self, others: list[Client], progress: Progress) -> None:
        """All accidents once, in random order, before new users: so that all their events can be looked through."""
        listeners = self._clients(LISTENERS, LISTENER_PAUSE_SECONDS, batch_sizes=LISTENER_BATCH_SIZES)
        views = [OrdersView(self.exchange.url, client.trader) for client in listeners]
        market = MarketView(self.exchange.url, SYMBOLS[0])
        followed: list[View] = [*views, market]
        kinds = list(self.kinds)
        self.random.shuffle(kinds)
        with listening(*followed), trading(listeners):
            for kind in kinds:
                self._happens(kind, followed, [*others, *listeners])
                progress.show(kind)
            for client in listeners:
                client.paused.set()
            for view in views:
                self.wrong += view.missed()
        for each in followed:
            self.wrong += each.mistakes + ([f"a stream's client ended: {each.error!r}"] if each.error else [])
            self.resets += each.resets
        self.events += sum(len(view.received) for view in views)

    def _happens(self, kind: str, views: list[View], clients: list[Client]) -> None:
        for client in clients:
            client.paused.clear()
        time.sleep(TRADING_SECONDS)
        self.now = kind
        self.course.accidents[kind](self)
        back_at = time.monotonic()
        # The events must be complete though no further event follows: a quiet stream hides nothing.
        for client in clients:
            client.paused.set()
        self.happened += 1
        for view in views:
            equal_at, differences = wait_until_equal(view, back_at + self.course.catch_up_seconds)
            self.caught_up.setdefault(kind, []).append(equal_at - back_at)
            self.wrong += [f"{self.course.catch_up_seconds} s after {kind}: {what}" for what in differences]
        self.wrong += [f"after {kind}: {what}" for what in self.course.afterwards(self)]
        # Nobody killed them, and they have something to do whatever is away.
        self.wrong += [f"{name} ended, {kind}: {why}" for name, why in self.exchange.restart_ended()]

    def _report(self) -> Report:
        idle_after = wait_until_idle(self.exchange)
        findings = check(self.exchange, self.clients)
        report = Report(self.course.title, self.wrong + findings.wrong)
        if idle_after is None:
            report.wrong.append("commands still waited at the end")
        servers = (self.exchange.database, self.exchange.redis)
        report.add("servers", ", ".join(f"{server.name} {server.version}" for server in servers))
        report.add("accidents", f"{self.happened}: {', '.join(self.kinds)}; {self.rounds} each")
        report.facts += self.facts
        report.add("events sent", f"{self.events} order events to {LISTENERS} users at a time, {self.resets} resets")
        for kind, seconds in self.caught_up.items():
            report.add(f"views equal to REST after: {kind}", in_words(seconds))
        for kind, seconds in self.watch.recoveries.items():
            report.add(f"next order matched after: {kind}", in_words(seconds))
        report_clients(report, self.exchange, self.clients)
        report_findings(report, findings)
        if not self.course.is_noticed:
            for trouble in sorted({trouble for client in self.clients for trouble in client.troubles}):
                report.wrong.append(f"this must not be noticed over REST: {trouble}")
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
