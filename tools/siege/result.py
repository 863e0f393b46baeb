"""What the polite client felt of each attacker, beside what it felt without: figures, verdicts, a table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.siege.attackers import Attacker
from tools.siege.polite import Window, cuts

TIMES = 2.0
HEAD = (
    "attacker",
    "requests calm",
    "besieged",
    "order to event calm",
    "besieged",
    "errors calm",
    "besieged",
    "verdict",
)


@dataclass
class Row:
    """One attacker, and the stretches of time without and with it."""

    attacker: Attacker
    without: list[Window] = field(default_factory=list)
    beside: list[Window] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)

    @property
    def calm(self) -> Window:
        return sum(self.without, Window())

    @property
    def siege(self) -> Window:
        return sum(self.beside, Window())

    def wrong(self, floor_ms: float) -> list[str]:
        """`floor_ms`: what is below is no delay that anybody would notice, whatever it is a multiple of."""
        found = [f"{count} x {name}" for name, count in sorted(self.siege.errors.items())]
        for what in ("requests", "events"):
            _, calm = cuts(getattr(self.calm, what))
            _, siege = cuts(getattr(self.siege, what))
            if siege > max(TIMES * calm, floor_ms):
                found.append(f"{what} take {siege:.0f} ms in place of {calm:.0f} ms at the 99th percentile")
        if not self.siege.events:
            found.append("no order of the polite client had its event")
        return found

    def cells(self, floor_ms: float) -> tuple[str, ...]:
        times = (self.calm.requests, self.siege.requests, self.calm.events, self.siege.events)
        figures = [f"{half:.0f} / {slow:.0f} ms" for half, slow in map(cuts, times)]
        rates = [f"{window.errors.total() / max(1, window.asked):.1%}" for window in (self.calm, self.siege)]
        return (self.attacker.name, *figures, *rates, "not held" if self.wrong(floor_ms) else "held")


def table(rows: Sequence[Row], floor_ms: float) -> str:
    """Of the polite client: median and 99th percentile, and the share of what failed."""
    lines = [HEAD, ("---",) * len(HEAD), *(row.cells(floor_ms) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )
