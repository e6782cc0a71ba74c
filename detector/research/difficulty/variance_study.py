"""The study of variance: how noisy scores of single runs are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.difficulty.scaling import informative_each, missing_of, percentiles
from detector.research.difficulty.showing import SOURCE
from detector.research.difficulty.variance import Spread, spread
from detector.research.difficulty.variance_sections import variance_charts, variance_sections
from detector.research.studies import Study

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.research.difficulty.statistics_options import StatisticsOptions
    from detector.research.difficulty.table import ScoreTable

NAME: Final = "variance"
_NOISY = 0.1
"""A single run is noisy where the band of 90 % of them is wider than this share of all ranks."""
_MOST = 0.5


def of_table(table: ScoreTable, options: StatisticsOptions, what: str) -> Study:
    """Study a table of scores.

    Args:
        table: All scores.
        options: How.
        what: The table is of, in words.

    Raises:
        AnalysisError: There are too few runs or examples, or all scores are constant.
    """
    table = options.chosen(table)
    kept = informative_each(table)
    found = {one.architecture: _spreads(one.scores, spread(percentiles(one.values), options.bins)) for one in kept}
    charts = variance_charts(found, table.runs)
    return Study(
        name=NAME,
        figures={
            "what": what,
            "width of the band": {
                name: {score: float(one.width) for score, one in spreads.items()} for name, spreads in found.items()
            },
        },
        arrays={
            f"{part}-{name}": np.stack([getattr(one, part) for one in spreads.values()])
            for name, spreads in found.items()
            for part in ("mean", "low", "high")
        },
        sections=variance_sections(found, what, charts, table.scores),
        charts=charts,
        claims=(_noisy(found, what),),
        missing=missing_of(kept),
    )


def _spreads(scores: tuple[str, ...], of_all: Spread) -> dict[str, Spread]:
    return {score: Spread(of_all.mean[row], of_all.low[row], of_all.high[row]) for row, score in enumerate(scores)}


def _noisy(found: Mapping[str, Mapping[str, Spread]], what: str) -> Claim:
    widths = {f"{score}, {name}": one.width for name, spreads in found.items() for score, one in spreads.items()}
    least, most = min(widths, key=lambda key: widths[key]), max(widths, key=lambda key: widths[key])
    noisy = np.mean([width > _NOISY for width in widths.values()])
    return Claim(
        claim="Scores of difficulty are noisy over individual runs",
        source=f"{SOURCE}, abstract; noisy is here: 90% of single runs spread over more than {numbers.target(_NOISY)} "
        "of all ranks",
        run=what,
        outcome=f"so for {numbers.percent(float(noisy))} of {len(widths)} scores by architecture; mean width of the "
        f"band {numbers.percent(float(widths[least]))} ({least}) to {numbers.percent(float(widths[most]))} ({most})",
        agrees=bool(noisy > _MOST),
    )
