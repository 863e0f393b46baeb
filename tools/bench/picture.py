"""The picture of the results: throughput against batch size and against the depth of the book."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

INK, FAINT, OURS = "#1f2933", "#c9d1d9", "#1769aa"
NAIVE, FLOOR = "#b54708", "#5b6770"
STYLE: dict[Any, Any] = {
    # The same figures give the same file everywhere: ids that come from no chance, and the font that matplotlib brings.
    "svg.hashsalt": "exchange",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(
    path: Path,
    *,
    by_batch_size: dict[int, float],
    by_depth: dict[int, float],
    naive: float,
    floor: float,
    title: str,
) -> None:
    """Write the picture as an SVG. The figures are orders a second; `floor` is what bare SQL reaches."""
    with mpl.rc_context(STYLE):
        # Without pyplot: nothing is kept, and no screen is asked for.
        figure = Figure(figsize=(9.6, 3.8), facecolor="white", layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        figure.suptitle(title, fontsize=11, fontweight="bold")
        _panel(left, by_batch_size, "orders settled in one transaction")
        _panel(right, by_depth, "orders resting in the book")
        left.set_ylabel("orders per second")
        left.set_ylim(0, 1.15 * max(*by_batch_size.values(), *by_depth.values(), naive, floor))
        for axes in (left, right):
            _line(axes, floor, f"the same rows by bare SQL: {floor:,.0f}", FLOOR)
            _line(axes, naive, f"one task and one transaction for each order: {naive:,.0f}", NAIVE)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _panel(axes: Axes, points: Mapping[int, float], label: str) -> None:
    sizes = sorted(points)
    axes.plot(sizes, [points[size] for size in sizes], color=OURS, linewidth=2, marker="o", markersize=5)
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:,.0f}"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def _line(axes: Axes, rate: float, label: str, color: str) -> None:
    """A dashed line across the panel with its label above it, at the right end."""
    axes.axhline(rate, color=color, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.annotate(
        label,
        xy=(1, rate),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8.5,
        color=color,
    )
