"""One market: what a command does to its status and its book."""

from typing import NamedTuple


class TradingStatusChange(NamedTuple):
    """The market's status changed, before the event with this sequence."""

    status: str
    sequence: int
    reason: str
