"""Small charts as SVG, in the page's own colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from training.calibration import Bin

WIDTH, HEIGHT = 460, 240
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 34


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One curve."""

    name: str
    points: list[tuple[float, float]]
    dashed: bool = False


def curves(lines: Sequence[Line], x_name: str, y_name: str, percent: bool = False) -> Markup:
    """Curves over a common axis; the pointer shows each point's values."""
    points = [p for line in lines for p in line.points if math.isfinite(p[1])]
    if not points:
        return Markup("")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, right = min(xs), max(max(xs), min(xs) + 1)
    flat = min(ys) < 0.6 * max(ys) or max(ys) - min(ys) < 1e-6 * max(ys)
    marks = ticks(min(0.0, *ys) if flat else min(ys), max(ys))
    low, high = marks[0], marks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (x - left) / (right - left) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM),
        )

    parts = [_frame(x_name, y_name)]
    for mark in marks:
        _, y = place(left, mark)
        text = f"{mark:.0%}" if percent else f"{mark:g}"
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for mark in whole_ticks(left, right):
        x, _ = place(mark, low)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 16}" text-anchor="middle">{mark:g}</text>')
    for number, line in enumerate(lines):
        dots = [(place(x, y), x, y) for x, y in line.points if math.isfinite(y)]
        path = " ".join(f"{x:.1f},{y:.1f}" for (x, y), _, _ in dots)
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        parts.append(f'<polyline class="c{number}"{dash} points="{path}"/>')
        radius = 3 if len(dots) <= 60 else 1.5
        for (px, py), x, y in dots:
            shown = f"{y:.1%}" if percent else f"{y:.4g}"
            title = escape(f"{line.name}: {shown} ({x_name} {x:g})")
            parts.append(
                f'<circle class="c{number}" cx="{px:.1f}" cy="{py:.1f}" r="{radius}">'
                f"<title>{title}</title></circle>"
            )
    legend = "".join(
        f'<span><i class="k{number}"></i>{escape(line.name)}</span>'
        for number, line in enumerate(lines)
    )
    label = escape(f"{y_name} over {x_name}")
    return Markup(  # noqa: S704  # every text that comes from outside is escaped above
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f'{"".join(parts)}</svg><p class="legend">{legend}</p>'
    )


def reliability_diagram(before: Sequence[Bin], after: Sequence[Bin]) -> Markup:
    """Accuracy over probability, before and after the temperature, beside the honest line."""
    lines = [
        Line(name="honest", points=[(0.0, 0.0), (1.0, 1.0)], dashed=True),
        Line(name="before", points=[(b.probability, b.accuracy) for b in before]),
        Line(name="after", points=[(b.probability, b.accuracy) for b in after]),
    ]
    return curves(lines, "probability", "accuracy", percent=True)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from below the lowest to above the highest."""
    span = max(high - low, 1e-9, 1e-3 * abs(high))
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(f for f in (1, 2, 5, 10) if span / (f * step) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(n * step, 12) for n in range(first, max(last, first + 1) + 1)]


def whole_ticks(left: float, right: float) -> list[float]:
    """Round numbers between two, whole ones where they are far enough apart."""
    return [t for t in ticks(left, right) if left <= t <= right and (right < 2 or t == int(t))]


def _frame(x_name: str, y_name: str) -> str:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 2}" text-anchor="middle">'
        f'{escape(x_name)}</text><text transform="translate(12 {middle}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_name)}</text>'
    )
