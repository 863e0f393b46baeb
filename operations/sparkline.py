"""A small picture of a row of numbers: bars, as the path of an SVG."""

from collections.abc import Sequence

WIDTH, HEIGHT = 120, 24


def bars(numbers: Sequence[int]) -> str:
    """The path of a bar for each number, the highest as high as the picture; empty if there is nothing but zeros."""
    highest = max(numbers, default=0)
    if highest <= 0:
        return ""
    width = WIDTH / len(numbers)
    # What is there at all is seen: a pixel at least.
    tall = [max(1.0, number * HEIGHT / highest) if number else 0.0 for number in numbers]
    return "".join(
        f"M{index * width:.4g} {HEIGHT}v-{height:.3g}h{width * 0.8:.3g}v{height:.3g}z"
        for index, height in enumerate(tall)
        if height
    )
