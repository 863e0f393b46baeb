"""A round's file played again: by the core, and as a check by the naive twin."""

from collections.abc import Callable
from typing import NamedTuple

from classroom.history.archive import Archive, BrokenArchive, MarketPart
from classroom.history.commands import Command, Player, UnreadableCommand, play
from classroom.history.core_player import CorePlayer
from classroom.history.digest import book_lines, digest

Tell = Callable[[str], None]


class Verdict(NamedTuple):
    """What a market's commands led to, and what its file says that they must."""

    market: MarketPart
    core: str
    twin: str | None

    @property
    def is_same(self) -> bool:
        return self.core == self.market.digest and self.twin in (None, self.market.digest)


def replay(archive: Archive, *, with_twin: bool = True, tell: Tell = lambda _: None) -> list[Verdict]:
    """Play all markets. Raises BrokenArchive."""
    verdicts = []
    for market in archive.manifest.markets:
        commands = archive.commands(market)
        tell(f"{market.symbol}: the core plays {len(commands):,} commands")
        core = _played(market, market.core_player(), commands)
        twin = None
        if with_twin:
            tell(f"{market.symbol}: the naive twin plays them, which takes longer")
            twin = _played(market, market.twin_player(), commands)
        verdicts.append(Verdict(market, core, twin))
    return verdicts


class Moment(NamedTuple):
    """A book after a command: the numbers of the events that the command made, and the best levels."""

    first: int
    last: int
    lines: list[str]


def book_at(archive: Archive, market: MarketPart, number: int) -> Moment:
    """The book after the command to which the event of this number belongs. Raises BrokenArchive."""
    first, last = market.first_sequence, market.first_sequence + market.events - 1
    if not first - 1 <= number <= last:
        raise BrokenArchive(f"{market.symbol} has no event {number}: its round has the events {first} to {last}")
    player = market.core_player()
    begin = first
    for place, command in enumerate(archive.commands(market), 1):
        if player.next_sequence > number:
            break
        begin = player.next_sequence
        _play(market, player, command, place)
    return Moment(begin, player.next_sequence - 1, book_lines(player))


def _played(market: MarketPart, player: Player, commands: list[Command]) -> str:
    for place, command in enumerate(commands, 1):
        _play(market, player, command, place)
    return digest(player)


def _play(market: MarketPart, player: Player, command: Command, place: int) -> None:
    try:
        play(player, command)
    except UnreadableCommand as error:
        raise BrokenArchive(f"{market.commands_name}, line {place}: {error}") from error
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        # A file that somebody wrote by hand may ask for what no intake lets in.
        who = "the core" if isinstance(player, CorePlayer) else "the naive twin"
        raise BrokenArchive(f"{market.commands_name}, line {place}: {who} cannot do this ({error!r})") from error
