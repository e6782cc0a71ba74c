"""How scores correlate with one another and with themselves in other runs, singly and averaged over runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError
from detector.research.difficulty.grouping import disjoint_groups
from detector.research.difficulty.run_correlations import run_correlations
from detector.research.difficulty.scaling import Scale, standardised

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_RUNS = 2
"""Without as many, there is no independent pair."""


@dataclass(frozen=True, eq=False)
class Maps:
    """Correlations of scores, means over runs or pairs of them, -1..1.

    Every map is float64 (scores, scores), symmetric, and has the same diagonal of the same score in independent runs.

    Args:
        same: Score a and score b of one and the same run.
        apart: Score a of one run and score b of another.
    """

    same: NDArray[np.float64]
    apart: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Covariance:
    """Maps of one architecture.

    Args:
        single: Of single runs, over all of them and all pairs.
        averaged: Of means over half of the runs, over drawn pairs of disjoint halves: where `Maps` say run, a half.
        half: Runs of such a mean.
    """

    single: Maps
    averaged: Maps
    half: int

    @property
    def change(self) -> Maps:
        """What averaging runs first adds to each correlation."""
        return Maps(self.averaged.same - self.single.same, self.averaged.apart - self.single.apart)


def covariance(values: NDArray[np.float64], *, draws: int, seed: int, scale: Scale = Scale.RANKS) -> Covariance:
    """Correlate all scores of one architecture.

    Args:
        values: float64 (runs, scores, examples), no score constant in a run; see `scaling.informative`.
        draws: Most pairs of disjoint halves of the runs.
        seed: Of the draw.
        scale: Of what.

    Raises:
        AnalysisError: There are fewer than two runs, or a score is constant.
    """
    runs = len(values)
    if runs < LEAST_RUNS:
        raise AnalysisError(f"difficulty: {LEAST_RUNS} runs are needed, not {runs}")
    groups = disjoint_groups(runs, runs // 2, most=draws, seed=seed)
    halves = [_maps(run_correlations(values[pair].mean(axis=1), scale)) for pair in groups]
    averaged = Maps(np.mean([one.same for one in halves], axis=0), np.mean([one.apart for one in halves], axis=0))
    return Covariance(_maps(run_correlations(values, scale)), averaged, runs // 2)


def _maps(correlations: NDArray[np.float64]) -> Maps:
    """Of all correlations (scores, scores, runs, runs) the means within runs and between them."""
    runs = correlations.shape[-1]
    within = np.trace(correlations, axis1=2, axis2=3) / runs
    between = (correlations.sum(axis=(2, 3)) - runs * within) / (runs * (runs - 1))
    own = np.eye(len(within), dtype=bool)
    return Maps(np.where(own, between, within), between)


def between_architectures(means: NDArray[np.float64], scale: Scale = Scale.RANKS) -> NDArray[np.float64]:
    """How one score, averaged over runs, correlates between architectures.

    Args:
        means: float64 (architectures, examples), none of them constant.
        scale: Of what.

    Returns:
        float64 (architectures, architectures), -1..1.
    """
    rows = standardised(means, scale)
    return rows @ rows.T
