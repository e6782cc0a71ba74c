"""How far single runs stray, drawn and in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detector.reporting import numbers
from detector.reporting.drawing import INK, SERIES, chart, figure, label
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.difficulty.showing import highlights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.research.difficulty.variance import Spread


def variance_charts(found: Mapping[str, Mapping[str, Spread]], runs: int) -> dict[str, Markup]:
    """Its charts by name; arguments as of `variance_sections`."""
    shown = {name: highlights(list(spreads), 3) for name, spreads in found.items()}

    def paint(drawn: Figure) -> None:
        columns = max(map(len, shown.values()))
        axes = drawn.subplots(len(found), columns, sharex=True, sharey=True, squeeze=False)
        for row, (architecture, spreads) in zip(axes, found.items(), strict=True):
            for axis in row[len(shown[architecture]) :]:
                axis.remove()
            for axis, score in zip(row, shown[architecture], strict=False):
                _band(axis, spreads[score])
                axis.set_title(f"{label(architecture)}\n{label(score)}, n = {runs} runs")
            row[0].set_ylabel("rank in a single run")
        drawn.supxlabel("examples by their mean over runs, easiest to hardest", fontsize=9)

    size = (8.6, 2.4 * len(found) + 0.5)
    return {"bands": chart("variance-bands", "bands of single runs' ranks against the mean of runs", size, paint)}


def _band(axis: Any, spread: Spread) -> None:
    along = (np.arange(len(spread.mean)) + 0.5) / len(spread.mean)
    axis.fill_between(along, spread.low, spread.high, color=SERIES[0], alpha=0.3, linewidth=0)
    axis.plot(along, spread.mean, color=INK, linewidth=1)


def variance_sections(
    found: Mapping[str, Mapping[str, Spread]], what: str, charts: Mapping[str, Markup], scores: Sequence[str]
) -> tuple[Section, ...]:
    """The study for people.

    Args:
        found: Of each architecture, of each score, in percentiles.
        what: Was analysed, in words.
        charts: As of `variance_charts`.
        scores: All of them, in order; those without ranks in some run have a dash.
    """
    rows = [
        [row_head(score), *(numbers.percent(_width(spreads, score)) for spreads in found.values())] for score in scores
    ]
    return (
        Section.of(
            "variance",
            "Variance across runs",
            paragraph(
                f"{what}. Examples are sorted by the mean of a score over runs and cut into bins of as many examples; "
                "within each bin the ranks that single runs give are spread out. Ranks are shares: 0 is the easiest "
                "example of a run, 1 its hardest."
            ),
            figure(
                charts["bands"],
                "Line: the mean of all runs. Band: where 90 % of single runs rank an example of that bin. A flat, "
                "wide band says that a single run tells little of these examples.",
            ),
            paragraph("The mean width of the band, in per cent of all ranks; 90 % would be no knowledge at all:"),
            wide(["score", *found], rows),
        ),
    )


def _width(spreads: Mapping[str, Spread], score: str) -> float | None:
    return float(spreads[score].width) if score in spreads else None
