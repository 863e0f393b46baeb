"""The table of results: what was measured, what it had to reach, and whether it did."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measure. `reach` is the least, or with `at_most` the most, that it may be; None where nothing is asked."""

    name: str
    figure: float
    unit: str
    reach: float | None = None
    at_most: bool = False
    detail: str = ""

    @property
    def is_reached(self) -> bool:
        if self.reach is None:
            return True
        return self.figure <= self.reach if self.at_most else self.figure >= self.reach

    @property
    def verdict(self) -> str:
        return "" if self.reach is None else "reached" if self.is_reached else "NOT REACHED"

    @property
    def wanted(self) -> str:
        return "" if self.reach is None else f"{'<=' if self.at_most else '>='} {shown(self.reach)} {self.unit}"

    @property
    def measured(self) -> str:
        return f"{shown(self.figure)} {self.unit}"


def shown(figure: float) -> str:
    """With as many digits as mean something: 8,214 and 61 and 0.71."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def as_markdown(rows: list[Row]) -> str:
    lines = ["| measure | measured | to reach | verdict | |", "|---|---|---|---|---|"]
    lines += [f"| {row.name} | {row.measured} | {row.wanted} | {row.verdict} | {row.detail} |" for row in rows]
    return "\n".join(lines)
