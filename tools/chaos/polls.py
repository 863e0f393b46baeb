"""A user's program that polls while everything is killed, and what it may never read: an answer older than it knows.

It listens to its order stream and to the markets' streams, and polls its balances and its orders meanwhile. Each answer
is held against two rules: `asOf` is not below any event that was received before the request was sent; and the answer
holds what its `asOf` names. The second one is judged at the end, by the rows: of an order by its events; of balances by
the fills, each of which changes a total. Freezing changes no total, so the totals of an answer are those after some
fill in each market, which must not be one before `asOf`.
"""

import json
import threading
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import httpx

from tools.chaos.exchange import FUNDS, SYMBOLS, Exchange
from tools.rig.events import ORDER_STATUS, Event, EventThread
from tools.rig.trader import Trader

PAUSE_SECONDS = 0.03
TIMEOUT_SECONDS = 5
REMEMBERED_ORDERS = 30
MOST_ANSWERS = 20_000
# Behind an answer's asOf there are as many fills at the most that it may hold as well.
MOST_AHEAD = 400
# Of each fill the market, its number, and what it brought to and took from the user: base, quote, and the fees in both.
ROWS = """
import json
from django.db.models import Q
from markets.models import Trade
from orders.models import OrderEvent
user = {user}
def fees(t):
    buys, sells, takes_base = t.buyer_id == user, t.seller_id == user, t.taker_side == "BUY" and not t.fee_in_quote
    rebate = t.rebate * (sells if t.taker_side == "BUY" else buys)
    base = t.buyer_fee * (buys and not t.fee_in_quote) - rebate * takes_base
    quote = t.seller_fee * sells + t.buyer_fee * (buys and t.fee_in_quote) - rebate * (not takes_base)
    return str(base), str(quote)
trades = [
    [t.market_id, t.sequence, t.buyer_id == user, t.seller_id == user, str(t.quantity), str(t.notional), *fees(t)]
    for t in Trade.objects.filter(Q(buyer_id=user) | Q(seller_id=user)).order_by("sequence")
]
events = list(
    OrderEvent.objects.filter(user_id=user).order_by("sequence")
    .values_list("order_id", "sequence", "status", "active", "filled_quantity")
)
print("ROWS" + json.dumps([trades, events], default=str))
"""

Numbers = Mapping[str, int]
Totals = dict[str, Decimal]


@dataclass(frozen=True)
class Answered:
    """An answer, with what the client had received of each market when it asked."""

    path: str
    received: Numbers
    as_of: Numbers
    data: Any


@dataclass(frozen=True)
class Step:
    """An event of an order, as it is stored."""

    sequence: int
    status: str
    active: bool
    filled: Decimal


@dataclass
class Rows:
    """What is stored of a user: fills by market, as the totals after each, and the events of each order."""

    fills: dict[str, list[tuple[int, Totals]]] = field(default_factory=lambda: defaultdict(list))
    events: dict[int, list[Step]] = field(default_factory=lambda: defaultdict(list))


class Poller:
    """One user's program, in a thread of its own."""

    def __init__(self, url: str, trader: Trader, seed: int) -> None:
        # A connection of its own: the trader's is busy placing orders.
        self.trader = Trader.with_token(url, trader.user_id, trader.username, trader.token)
        self.trader.http.timeout = httpx.Timeout(TIMEOUT_SECONDS)
        self.random = Random(f"{seed}-poller-{trader.user_id}")
        self.answers: list[Answered] = []
        self.counts: Counter[str] = Counter()
        self.received: dict[str, int] = {}
        self.orders: list[int] = []
        own = EventThread(url, ORDER_STATUS, self.receive, token=trader.token)
        self.streams = [own, *(EventThread(url, f"/api/v1/stream/market/{each}", self.receive) for each in SYMBOLS)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poller")

    def __enter__(self) -> "Poller":
        self._streams = ExitStack()
        for stream in self.streams:
            self._streams.enter_context(stream)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._streams.close()

    def receive(self, event: Event) -> None:
        """Called by the streams' threads. Only the newest number of a market matters."""
        for each in event.data if isinstance(event.data, list) else [event.data]:
            if isinstance(each, dict) and "sequence" in each:
                symbol = each.get("symbol") or each["tradeId"].rpartition("-")[0]
                self.received[symbol] = max(self.received.get(symbol, 0), each["sequence"])
        if event.kind == "order-status-update":
            self.orders = [*self.orders[-REMEMBERED_ORDERS:], event.data["orderId"]]

    def _run(self) -> None:
        while not self._stop.wait(self.random.uniform(0, 2 * PAUSE_SECONDS)):
            if len(self.answers) < MOST_ANSWERS:
                self.ask(self._path())

    def _path(self) -> str:
        kinds = [f"/balances/{self.trader.user_id}"] * 2
        kinds += [f"/orders/{self.random.choice(self.orders)}"] if self.orders else []
        return self.random.choice([*kinds, "/orders?limit=5"])

    def ask(self, path: str) -> None:
        # Before the request is sent.
        received = dict(self.received)
        try:
            answer = self.trader.call("GET", path)
        except httpx.TransportError:
            self.counts["not answered"] += 1
            return
        if answer.status_code != httpx.codes.OK:
            self.counts[str(answer.status_code)] += 1
            return
        body = answer.json()
        self.counts[path.strip("/").partition("/")[0].partition("?")[0]] += 1
        self.answers.append(Answered(path, received, body["asOf"], body["data"]))

    def mistakes(self, rows: Rows) -> list[str]:
        """What was answered that must not be."""
        found = [f"a stream of the poller ended: {each.error!r}" for each in self.streams if each.error]
        for answer in self.answers:
            found += below_what_was_heard(answer)
            found += lacking(answer, rows)
        return found


def below_what_was_heard(answer: Answered) -> list[str]:
    late = {symbol: number for symbol, number in answer.as_of.items() if number < answer.received.get(symbol, 0)}
    return [f"{answer.path}: asOf {late}, and {dict(answer.received)} was received before"] if late else []


def lacking(answer: Answered, rows: Rows) -> list[str]:
    """The events up to `asOf` that the answer does not hold."""
    if answer.path.startswith("/balances"):
        return lacking_fills(answer, rows)
    orders = answer.data if isinstance(answer.data, list) else [answer.data]
    return [mistake for order in orders for mistake in lacking_events(order, answer.as_of, rows)]


def lacking_events(order: Mapping[str, Any], as_of: Numbers, rows: Rows) -> list[str]:
    number = as_of[order["symbol"]]
    steps = [step for step in rows.events[order["orderId"]] if step.sequence <= number]
    if not steps:
        return []
    last = steps[-1]
    has_it = Decimal(order["filledQuantity"]) >= last.filled and order["status"] != "PENDING"
    if not last.active:
        has_it = has_it and not order["active"] and order["status"] == last.status
    if has_it:
        return []
    return [f"order {order['orderId']} is {order['status']} {order['filledQuantity']} as of {number}, lacking {last}"]


def lacking_fills(answer: Answered, rows: Rows) -> list[str]:
    """The totals must be those after some fill of each market, none of them before `asOf`."""
    totals = {row["currency"]: Decimal(row["totalBalance"]) for row in answer.data}
    changes = [
        [after for after in _since(rows.fills[symbol], answer.as_of[symbol]) if _fits(after, totals, symbol)]
        for symbol in SYMBOLS
    ]
    quote = totals["USD"] - Decimal(FUNDS["USD"])
    first, second = changes
    if any(one["USD"] + other["USD"] == quote for one in first for other in second):
        return []
    return [f"balances {totals} as of {dict(answer.as_of)} are those of no moment since"]


def _fits(change: Totals, totals: Totals, symbol: str) -> bool:
    base = symbol.partition("-")[0]
    return change[base] == totals[base] - Decimal(FUNDS[base])


def _since(fills: Sequence[tuple[int, Totals]], number: int) -> list[Totals]:
    """What the market's fills had added by the event of this number, and after each later fill."""
    at = bisect_right(fills, number, key=lambda fill: fill[0])
    before = [fills[at - 1][1]] if at else [defaultdict(Decimal)]
    return before + [change for _, change in fills[at : at + MOST_AHEAD]]


def read_rows(exchange: Exchange, user_id: int) -> Rows:
    printed = exchange.evaluate(ROWS.format(user=user_id))
    trades, events = json.loads(printed.partition("ROWS")[2])
    rows = Rows()
    sums: dict[str, Totals] = {symbol: defaultdict(Decimal) for symbol in SYMBOLS}
    for symbol, sequence, buys, sells, *amounts in trades:
        add_fill(sums[symbol], symbol, buys, sells, *map(Decimal, amounts))
        rows.fills[symbol].append((sequence, sums[symbol].copy()))
    for order_id, sequence, status, active, filled in events:
        rows.events[order_id].append(Step(sequence, status, active, Decimal(filled)))
    return rows


def add_fill(
    sums: Totals,
    symbol: str,
    buys: bool,
    sells: bool,
    quantity: Decimal,
    notional: Decimal,
    base_fee: Decimal,
    quote_fee: Decimal,
) -> None:
    base, quote = symbol.split("-")
    sums[base] += quantity * (buys - sells) - base_fee
    sums[quote] -= notional * (buys - sells) + quote_fee


@contextmanager
def polling(exchange: Exchange, traders: Sequence[Trader], seed: int) -> Iterator[list[Poller]]:
    """Each of them polls within the `with`."""
    with ExitStack() as stack:
        yield [stack.enter_context(Poller(exchange.url, trader, seed)) for trader in traders]


def check_polls(exchange: Exchange, pollers: Sequence[Poller]) -> tuple[str, list[str]]:
    """How much was answered, in words, and what was wrong with it. Called when nothing waits any more."""
    began = time.monotonic()
    counts: Counter[str] = Counter()
    mistakes = []
    for poller in pollers:
        mistakes += poller.mistakes(read_rows(exchange, poller.trader.user_id))
        counts += poller.counts
    words = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    return f"{words}; judged in {time.monotonic() - began:.1f} s", mistakes
