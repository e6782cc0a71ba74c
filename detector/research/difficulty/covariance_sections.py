"""How scores correlate, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Rectangle

from detector.reporting.drawing import SERIES, chart, figure, label
from detector.reporting.parts import Section, paragraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from detector.research.difficulty.covariance import Covariance

_DEEPEST = 0.85
"""Opacity of a correlation of 1."""
_LEAST = 0.02  # opacity that is not worth a cell
_CELL = 0.2  # inches
_CAPTIONS = {
    "single": "correlations of single runs. On the diagonal a score with itself in another run; below it two scores of "
    "one run, above it of two runs.",
    "change": "what is added to each of them by averaging half of the runs first: on the diagonal and above it by "
    "disjoint halves, below it by one and the same half.",
}


def covariance_charts(found: Mapping[str, tuple[Sequence[str], Covariance]], runs: int) -> dict[str, Markup]:
    """Two charts for each architecture, by name; arguments as of `covariance_sections`."""
    charts = {}
    for number, (name, (scores, one)) in enumerate(found.items()):
        title = f"{label(name)}, n = {runs} runs:\n"
        charts[f"single-{number}"] = _halves(
            f"covariance-single-{number}",
            f"{title}below one run, above two",
            scores,
            (one.single.same, one.single.apart),
        )
        charts[f"change-{number}"] = _halves(
            f"covariance-change-{number}",
            f"{title}gained by averaging {one.half} first",
            scores,
            (one.change.same, one.change.apart),
        )
    return charts


def covariance_sections(
    found: Mapping[str, tuple[Sequence[str], Covariance]], what: str, charts: Mapping[str, Markup]
) -> tuple[Section, ...]:
    """The study for people.

    Args:
        found: Of each architecture the scores that have ranks, and their maps.
        what: Was analysed, in words.
        charts: As of `covariance_charts`.
    """
    drawn = [
        figure(
            charts[f"{kind}-{number}"],
            f"{name}: {caption} Blue: alike; orange: opposed; the fuller, the more.",
        )
        for number, name in enumerate(found)
        for kind, caption in _CAPTIONS.items()
    ]
    return (
        Section.of(
            "covariance",
            "Covariance of scores",
            paragraph(
                f"{what}. A score that correlates with another no less than with itself in another run is another word "
                "for the same; what averaging runs adds was noise of single runs."
            ),
            *drawn,
        ),
    )


def _halves(
    name: str, title: str, scores: Sequence[str], maps: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> Markup:
    """One map below the diagonal and on it, another above."""
    below, above = maps
    values = np.where(np.tri(len(scores), dtype=bool), below, above)

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for (row, column), value in np.ndenumerate(values):
            _cell(axis, row, column, float(value))
        axis.set_xlim(-0.5, len(scores) - 0.5)
        axis.set_ylim(len(scores) - 0.5, -0.5)
        axis.set_aspect("equal")
        axis.grid(visible=False)
        axis.set_xticks(range(len(scores)), [label(score) for score in scores], rotation=90)
        axis.set_yticks(range(len(scores)), [label(score) for score in scores])
        axis.set_title(title)

    side = max(3.4, _CELL * len(scores) + 1.6)
    return chart(name, title, (side + 0.4, side), paint)


def _cell(axis: Any, row: int, column: int, value: float) -> None:
    shade = _DEEPEST * min(abs(value), 1.0)
    if shade < _LEAST:
        return
    colour = SERIES[0] if value > 0 else SERIES[1]
    axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=colour, alpha=shade, linewidth=0))
