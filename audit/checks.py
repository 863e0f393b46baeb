"""The rules that stored rows must keep whenever no transaction is open: one name and one sentence for each."""

from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Check(StrEnum):
    """A rule: its stable name, the noun for what it counts, and the sentence that it proves."""

    noun: str
    sentence: str

    def __new__(cls, name: str, noun: str, sentence: str) -> "Check":
        check = str.__new__(cls, name)
        check._value_ = name
        check.noun, check.sentence = noun, sentence
        return check

    # Money.
    JOURNAL = "journal-sums-to-zero", "ledger entries", "The entries of each reference sum to zero in each currency."
    CAUSE = "entry-has-its-cause", "ledger entries", "Each entry names a trade or a transfer, and a user or the house."
    LEDGER = "balance-is-its-ledger", "balances", "Available and frozen together are the sum of the ledger entries."
    NEGATIVE = "balance-not-negative", "balances", "No balance is below zero, available or frozen."
    FROZEN = (
        "frozen-is-reserved",
        "balances",
        "What is frozen is what the user's active orders reserve, and the amends that wait.",
    )
    SUPPLY = (
        "supply-is-owned",
        "assets",
        "Users and the fee account own the asset's supply, which is what transfers brought in.",
    )
    TRANSFER = "transfer-is-posted", "transfers", "Each transfer has its two entries, and no other."
    APPROVAL = (
        "approval-has-its-transfer",
        "approvals",
        "What was approved was approved by another person and has its transfer; anything else that was asked has none.",
    )
    POSITION = (
        "position-is-its-ledger",
        "positions",
        "A kept position is the moving average of its ledger entries.",
    )
    POSTED = (
        "trade-is-posted",
        "trades",
        "A trade's entries move its quantity, its notional, its fees and its rebate between the right accounts.",
    )

    # Orders and what became of them.
    RESERVE = (
        "order-reserves-its-rest",
        "orders",
        "An active order has frozen what it may still spend, an OCO what its dearer leg may, and a closed one nothing.",
    )
    END = (
        "order-end-is-marked",
        "orders",
        "An order is active until it has a final status or a reason, and closed_at from then on.",
    )
    TIP = (
        "iceberg-shows-its-tip",
        "orders",
        "A resting iceberg has a tip, no larger than it may show and than what is left; what else rests has none.",
    )
    STATE = "order-is-its-last-event", "orders", "An order is as its last event left it; one without events is PENDING."
    BIRTH = (
        "sequence-is-first-event",
        "orders",
        "An order's sequence, its time priority, is the number of its first event.",
    )
    TRADED = "filled-is-traded", "orders", "What an order has filled is the sum of its trades."
    DENSE = "sequence-is-dense", "events", "A market's events are numbered from 1 without a gap."
    NEXT = "next-sequence-follows", "order books", "A book's next sequence is the one after its market's last event."
    LIFECYCLE = (
        "lifecycle-is-legal",
        "events",
        "Each event is a step that the lifecycle allows, and none follows an order's end.",
    )
    FILLS = (
        "fills-are-trades",
        "events",
        "A fill event fills the quantity of its trade, and each trade has the events of its taker and its maker.",
    )

    # Trades.
    PARTIES = (
        "trade-names-its-orders",
        "trades",
        "A trade is between a buy and a sell of its market and their users, price times quantity.",
    )
    LIMITS = (
        "price-within-limits",
        "trades",
        "A trade happens at the maker's price and within the taker's limit, at an opening within the limits of both.",
    )
    BAND = (
        "price-within-band",
        "trades",
        "No trade of a taker is further from the last trade before it than the price band that it was accepted with.",
    )
    FEES = (
        "fee-is-rounded-up",
        "trades",
        "A fee is the order's own rate of what was received, rounded up, and a rebate the maker's, rounded down.",
    )
    SELF = (
        "no-self-trade",
        "trades",
        "No user trades with themselves, unless the taker's mode is NONE or an auction ends.",
    )
    CANDLES = "candle-is-its-trades", "candles", "Each candle sums up the trades of its interval."

    # Markets and their engine.
    CROSSED = "book-not-crossed", "markets", "The best bid is below the best ask, unless an auction has to end yet."
    HALTED = (
        "halted-market-rests",
        "events",
        "While a market takes no orders, none trades and none begins to rest; in an auction none begins to wait.",
    )
    STATUS = (
        "status-is-the-books",
        "markets",
        "A market's status is its book's, unless a command that sets it waits.",
    )
    CHANGES = (
        "status-is-the-last-change",
        "markets",
        "The book's status is the last change's, and the changes are in the order of their sequences.",
    )
    DELISTED = (
        "delisted-market-is-empty",
        "markets",
        "No order rests or waits in a delisted market, unless the command that cancels them waits.",
    )
    PENDING = (
        "pending-has-its-command",
        "orders",
        "Each PENDING or TRIGGERED order has exactly one command waiting that brings it.",
    )
    COMMAND = (
        "command-has-its-order",
        "commands",
        "A command names an order of its market; one that brings an order names one that is not applied yet.",
    )
    RULES = "market-keeps-its-rules", "markets", "A market's limits go with one another and with its tick and its lot."
    OPEN = (
        "open-orders-are-counted",
        "users of markets",
        "The number of a user's open orders in a market is that of their orders which may still trade.",
    )
    EXPIRY = (
        "gtd-order-has-its-time",
        "open GTD orders",
        "Each open GTD order has the row that says when it is due, and no other order has one.",
    )
    FAILED = (
        "failed-has-a-dead-letter",
        "dead letters",
        "Each FAILED order has a dead letter, and the order of a dead letter that brought it is FAILED.",
    )
    SNAPSHOT = "snapshot-is-the-book", "orders", "A book from its newest snapshot has the orders of the rows."
    SERVED = "inbox-is-served", "commands", "No command waits for longer than INTAKE_MAX_AGE_SECONDS."
    ROWS = (
        "rows-point-at-rows",
        "rows",
        "Each row that another row names exists, also where the database has no constraint.",
    )

    # The replay.
    REPLAY_EVENTS = "replay-events", "events", "The naive twin makes the same events in the same order."
    REPLAY_TRADES = (
        "replay-trades",
        "trades",
        "The naive twin makes the same trades, in price-time priority, at the same fees.",
    )
    REPLAY_ORDERS = "replay-orders", "orders", "The naive twin leaves every order in the same state."
    REPLAY_BOOK = "replay-book", "resting orders", "The naive twin's book holds the same orders in the same priority."
    REPLAY_BALANCES = "replay-balances", "balances", "With the naive twin's trades every balance is as it is stored."


REPLAYED = tuple(check for check in Check if check.startswith("replay-"))
# Checks that need the sum of all rows.
NOT_IN_QUICK = (Check.SUPPLY, Check.POSITION)


# A hundred findings of one check are enough to see what is wrong, and more of them could fill the memory.
MOST_OF_A_CHECK = 100
MOST_ROWS = 20


@dataclass(frozen=True)
class Finding:
    """One place where a rule is broken: the rows concerned, the expected value and the stored one."""

    check: Check
    message: str
    rows: tuple[str, ...]
    expected: str
    actual: str

    def represent(self) -> dict[str, Any]:
        return {
            "check": self.check.value,
            "message": self.message,
            "rows": list(self.rows[:MOST_ROWS]),
            "rowCount": len(self.rows),
            "expected": self.expected,
            "actual": self.actual,
        }

    def __str__(self) -> str:
        return f"{self.check}: {self.message} (expected {self.expected}, found {self.actual})"


@dataclass
class Report:
    """The counts and findings of all checks. `left_out` are checks that are neither counted nor reported.

    `progress` receives the name of each part of the work when it begins.
    """

    left_out: Container[Check] = ()
    progress: Callable[[str], None] = lambda _: None
    counted: Counter[Check] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    found: Counter[Check] = field(default_factory=Counter)

    def count(self, checks: Iterable[Check], number: int) -> None:
        """The checks have read so many more rows. A count of 0 shows that a check ran and found no row to read."""
        for check in checks:
            if check not in self.left_out:
                self.counted[check] += number

    def add(self, check: Check, message: str, rows: Iterable[str], expected: object = "", actual: object = "") -> None:
        if check in self.left_out:
            return
        self.found[check] += 1
        if self.found[check] <= MOST_OF_A_CHECK:
            self.findings.append(Finding(check, message, tuple(rows), str(expected), str(actual)))

    @property
    def total(self) -> int:
        """The number of findings, with those that are not kept."""
        return self.found.total()
