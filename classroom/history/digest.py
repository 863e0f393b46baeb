"""By what two plays of the same commands are compared: a digest of all events, all trades, and what rests then."""

import hashlib
from collections.abc import Iterator
from decimal import Decimal

from classroom.history.commands import Player
from core.money import plain
from core.types import Side

VERSION = 1


def digest(player: Player) -> str:
    """The SHA-256 of what was played, in hexadecimal digits."""
    sha = hashlib.sha256(f"history {VERSION}\n".encode())
    for line in _lines(player):
        sha.update(line.encode())
    return sha.hexdigest()


def _lines(player: Player) -> Iterator[str]:
    for number, event in enumerate(player.events, 1):
        words = (event.order, event.status, event.reason or "-", int(event.active), plain(event.filled))
        yield f"event {number} {' '.join(map(str, words))} {'-' if event.trade is None else event.trade + 1}\n"
    for number, trade in enumerate(player.trades, 1):
        amounts = (trade.price, trade.quantity, trade.buyer_fee, trade.seller_fee, trade.rebate)
        yield f"trade {number} {trade.buyer} {trade.seller} {trade.taker_side} {' '.join(map(plain, amounts))}\n"
    for side in Side:
        for order in player.side(side):
            yield f"{side} {order.id} {plain(order.limit)} {plain(order.rest)} {plain(order.visible)}\n"


def book_lines(player: Player, most: int = 20) -> list[str]:
    """The best levels of both sides, as a table: what is bid on the left, what is asked on the right."""
    sides = [_levels(player, side)[:most] for side in Side]
    lines = [f"{'orders':>6} {'quantity':>14} {'bid':>14} | {'ask':<14} {'quantity':<14} orders"]
    for place in range(max(map(len, sides))):
        bid, ask = (side[place] if place < len(side) else None for side in sides)
        left = f"{bid[2]:>6} {plain(bid[1]):>14} {plain(bid[0]):>14}" if bid else " " * 36
        right = f"{plain(ask[0]):<14} {plain(ask[1]):<14} {ask[2]}" if ask else ""
        lines.append(f"{left} | {right}".rstrip())
    return lines if len(lines) > 1 else ["nothing rests"]


def _levels(player: Player, side: Side) -> list[tuple[Decimal, Decimal, int]]:
    """Price, visible quantity and number of orders, best price first."""
    levels: dict[Decimal, tuple[Decimal, int]] = {}
    for order in player.side(side):
        quantity, number = levels.get(order.limit, (Decimal(0), 0))
        levels[order.limit] = (quantity + order.visible, number + 1)
    return [(price, *level) for price, level in levels.items()]
