"""Distributions side by side, as rows of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.reporting.drawing import INK, SERIES, chart, label, plain_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_WIDE: Final = 50
"""Ratio of the largest value to the typical one from which the axis is compressed."""
_LEAST: Final = 1e-6


def quantile_boxes(name: str, text: str, rows: Sequence[tuple[str, Any]], scale: str) -> Markup:
    """A row for each group of values: where 5, 25, 50, 75 and 95 % lie. The first is what others are compared to.

    Args:
        name: As for `chart`.
        text: As for `chart`.
        rows: Names and values, (n,) each, n >= 1; how many they are is written beside the name.
        scale: What the axis shows.
    """
    quantiles = np.array([np.quantile(values, _QUANTILES) for _, values in rows])

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for place, (low, first, middle, third, high) in enumerate(quantiles):
            colour = SERIES[2] if place == 0 else SERIES[0]
            axis.plot([low, high], [place, place], color=colour, linewidth=1)
            axis.barh(place, third - first, left=first, height=0.55, color=colour, alpha=0.45)
            axis.plot([middle, middle], [place - 0.28, place + 0.28], color=INK, linewidth=1.6)
        axis.axvline(quantiles[0, -1], color=SERIES[2], linewidth=0.8, linestyle="--")
        axis.set_yticks(range(len(rows)), [f"{label(group)} ({len(values)})" for group, values in rows])
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        typical = float(np.median(np.abs(quantiles)))
        if np.abs(quantiles).max() > _WIDE * max(typical, _LEAST):
            axis.set_xscale("symlog", linthresh=max(typical, _LEAST))
            plain_numbers(axis.xaxis)
        axis.set_xlabel(scale)

    return chart(name, text, (8.5, 0.21 * len(rows) + 0.7), paint)
