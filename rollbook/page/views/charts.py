"""Shapes of the charts: numbers as the paths of SVG. Pure.

A path is drawn in a box that the style sheet stretches to its place, so that no picture has a width of its own and a
page needs no style of an element's own, which the page's policy would refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def number(value: float) -> str:
    """A coordinate, as short as it can be."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def box(x: float, y: float, width: float, height: float) -> str:
    """A rectangle as a part of a path."""
    return f"M{number(x)} {number(y)}h{number(width)}v{number(height)}h-{number(width)}z"


def columns(values: Iterable[float | None], *, step: float, height: float, most: float, gap: float = 1.0) -> str:
    """Columns from the ground up, a step each; nothing where there is no value."""
    parts = []
    for at, value in enumerate(values):
        if value is not None and value > 0 and most > 0:
            # What is there is seen, however little it is.
            size = max(min(value / most, 1.0) * height, 1.0)
            parts.append(box(at * step, height - size, step - gap, size))
    return "".join(parts)


def line(values: Sequence[float], *, width: float, height: float, least: float, most: float) -> tuple[str, str]:
    """(A line through values at equal distances, the area below it)."""
    if not values or most <= least:
        return "", ""
    step = width / max(len(values) - 1, 1)
    points = [
        f"{number(at * step)} {number(height - (value - least) / (most - least) * height)}"
        for at, value in enumerate(values)
    ]
    if len(points) == 1:
        points.append(f"{number(width)} {points[0].split()[1]}")
    drawn = "M" + "L".join(points)
    return drawn, f"{drawn}L{number(width)} {number(height)}L0 {number(height)}z"


def ceiling(value: float) -> float:
    """A round number at or above a value, for the top of a scale."""
    if value <= 0:
        return 1.0
    size = 1.0
    while size * 10 <= value:
        size *= 10
    while size > value:
        size /= 10
    return next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= value)
