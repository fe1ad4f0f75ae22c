"""The confusion matrix as SVG: a square unit for each pair of classes that has a picture."""

from collections.abc import Sequence
from html import escape
from typing import Any

from markupsafe import Markup
from torch import Tensor

MARGIN = 10.0
"""Most room for labels, in cells."""
CELL_PX = 56
"""Of few classes, so that they do not fill the screen."""


def matrix(
    confusion_KK: Tensor, classes: Sequence[str], order: Sequence[int]
) -> tuple[Markup, dict[str, Any]]:
    """Draw the matrix.

    Args:
        confusion_KK: rows are labels, columns are answers.
        classes: label of each number.
        order: of the classes, from top to bottom and left to right.

    Returns:
        The drawing, and what its script asks: `labels`, `totals` and `cells` by `row,column`.
    """
    count = len(order)
    counts = confusion_KK[list(order)][:, list(order)]
    totals = counts.sum(1).tolist()
    margin = min(max(0.3 * count, 3.0), MARGIN)
    cells = {(row, column): int(counts[row, column]) for row, column in counts.nonzero().tolist()}
    parts = []
    for (row, column), number in cells.items():
        share = number / totals[row]
        kind = "right" if row == column else "wrong"
        parts.append(
            f'<rect class="{kind}" x="{column}" y="{row}" width="1" height="1" '
            f'fill-opacity="{0.15 + 0.85 * share:.2f}"/>'
        )
        if count <= 20:
            parts.append(f'<text class="n" x="{column + 0.5}" y="{row + 0.63}">{number}</text>')
    size = min(0.8, margin / 12)
    for place, number in enumerate(order):
        label, middle = escape(short(classes[number])), place + 0.5 + 0.35 * size
        parts.append(
            f'<text class="row" x="-0.25" y="{middle:.2f}" '
            f'font-size="{size:.2f}">{label}</text>'
            f'<text class="column" font-size="{size:.2f}" '
            f'transform="translate({middle:.2f} -0.25) rotate(-90)">{label}</text>'
        )
    width = round(CELL_PX * (count + margin))
    box = f"{-margin} {-margin} {count + margin} {count + margin}"
    drawing = Markup(  # noqa: S704  # labels are escaped above
        f'<svg id="matrix" viewBox="{box}" style="max-width:{width}px" role="img" '
        f'aria-label="confusion matrix"><rect class="ground" x="0" y="0" width="{count}" '
        f'height="{count}"/><rect id="cross-row" x="0" width="{count}" height="1" y="-99"/>'
        f'<rect id="cross-column" y="0" height="{count}" width="1" x="-99"/>{"".join(parts)}</svg>'
    )
    facts = {
        "labels": [classes[number] for number in order],
        "totals": totals,
        "cells": {f"{row},{column}": number for (row, column), number in cells.items()},
    }
    return drawing, facts


def short(label: str) -> str:
    """A label that fits the margin."""
    return label if len(label) <= 20 else f"{label[:19]}…"
