"""Figures of the overview as operators read them: a text with a note, small pictures, and how fast the exchange is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orders.models import OrderEvent

# The newest events that are looked at for the latency, and what of it is too long.
NEWEST_EVENTS, SLOW_SECONDS = 500, 1.0
MINUTE = timedelta(minutes=1)
# The size of the small pictures, in pixels.
WIDTH, HEIGHT = 120, 24


@dataclass
class Figure:
    """A number with its unit as text. `is_alarming` marks a figure that an operator must see."""

    text: str
    note: str = ""
    is_alarming: bool = False


def age(seconds: float) -> str:
    """A time span in its largest unit, rounded."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def intake(made: Sequence[datetime], now: datetime, most: int) -> Figure:
    """How many of the newest orders, newest first, were accepted within the last minute."""
    number = sum(instant > now - MINUTE for instant in made)
    more = "+" if number == most else ""
    return Figure(f"{number:,}{more}", f"{number / MINUTE.total_seconds():.1f}{more} a second")


def latency() -> Figure | None:
    """How long orders waited from their acceptance to their first event, among the newest events; None before any.

    Both instants are written by servers, whose clocks may differ by a little: see docs/operations.md.
    """
    rows = OrderEvent.objects.order_by("-id").values_list(
        "sequence", "order__sequence", "created_at", "order__created_at"
    )
    waited = sorted(
        max(0.0, (applied - accepted).total_seconds())
        for sequence, first, applied, accepted in rows[:NEWEST_EVENTS]
        if sequence == first
    )
    if not waited:
        return None
    median, late = waited[len(waited) // 2], waited[len(waited) * 95 // 100]
    return Figure(span(median), f"95 of 100 within {span(late)}", late > SLOW_SECONDS)


def span(seconds: float) -> str:
    """A short time: in milliseconds below a second."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def bars(numbers: Sequence[int]) -> str:
    """The SVG path of a picture with a bar for each number, the largest as high as the picture; empty for zeros."""
    highest = max(numbers, default=0)
    if highest <= 0:
        return ""
    width = WIDTH / len(numbers)
    # At least one pixel, so that each number above zero is visible.
    tall = [max(1.0, number * HEIGHT / highest) if number else 0.0 for number in numbers]
    return "".join(
        f"M{index * width:.4g} {HEIGHT}v-{height:.3g}h{width * 0.8:.3g}v{height:.3g}z"
        for index, height in enumerate(tall)
        if height
    )
