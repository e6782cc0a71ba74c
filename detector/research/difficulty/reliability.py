"""How many runs make a score reliable: what single runs promise, and what averaging them gives."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import AnalysisError
from detector.research.difficulty.grouping import disjoint_groups
from detector.research.difficulty.intervals import LEAST_RUNS, over_pairs
from detector.research.difficulty.run_correlations import run_correlations
from detector.research.difficulty.scaling import Scale, correlation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.metrics import Estimate

TARGETS: Final = (0.8, 0.9, 0.95)
"""Reliabilities for which the number of runs is given."""
_ROUNDING = 1e-9  # what a whole number of runs may be above itself


def spearman_brown(single: float, runs: int) -> float:
    """The reliability of a mean over runs (Spearman 1910, Brown 1910): R r / (1 + (R - 1) r).

    Exact for Pearson correlations of values whose noise is independent between runs and as large in each; close to it
    for ranks.

    Args:
        single: r, the correlation of two single runs, above -1 / (R - 1).
        runs: R >= 1.
    """
    return runs * single / (1 + (runs - 1) * single)


def runs_needed(single: float, target: float) -> int | None:
    """The fewest runs whose mean has a wanted reliability, by `spearman_brown`.

    Args:
        single: The reliability of one run, -1..1.
        target: Above 0, below 1.

    Returns:
        At least 1; None where single runs have nothing in common, so that no number is enough.
    """
    if single <= 0:
        return None
    if single >= target:
        return 1
    return ceil(target * (1 - single) / (single * (1 - target)) - _ROUNDING)


@dataclass(frozen=True, eq=False)
class Reliability:
    """How reliable one score of one architecture is.

    Args:
        single: The correlation of two single runs, the mean over all pairs, with its interval over runs.
        averaged: float64 (most,): the mean correlation of two disjoint groups of 1, 2, ... most runs, each averaged
            first; the first is `single`'s value.
        low: float64 (most,): the 5 % quantile over drawn pairs of groups, which share runs: no interval of the mean.
        high: The 95 % quantile.
    """

    single: Estimate
    averaged: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def most(self) -> int:
        """Runs of the largest groups that were measured: half of all."""
        return len(self.averaged)

    @property
    def best(self) -> float:
        """The reliability of the mean over half of the runs, measured."""
        return float(self.averaged[-1])

    @property
    def gain(self) -> float:
        """What averaging half of the runs adds to the correlation."""
        return self.best - self.single.value

    @property
    def prophecy(self) -> NDArray[np.float64]:
        """What `spearman_brown` says of 1, 2, ... most runs: float64 (most,)."""
        return np.array([spearman_brown(self.single.value, runs) for runs in range(1, self.most + 1)])

    def needed(self, target: float) -> int | None:
        """Runs for a wanted reliability; see `runs_needed`."""
        return runs_needed(self.single.value, target)


def reliabilities(
    values: NDArray[np.float64], *, draws: int, seed: int, scale: Scale = Scale.RANKS
) -> tuple[Reliability, ...]:
    """The reliability of every score of one architecture.

    Args:
        values: float64 (runs, scores, examples), no score constant in a run; see `scaling.informative`.
        draws: Most pairs of disjoint groups of runs, for each size.
        seed: Of the draw.
        scale: Of what.

    Raises:
        AnalysisError: There are too few runs for an interval, or a score is constant.
    """
    runs = len(values)
    if runs < LEAST_RUNS:
        raise AnalysisError(f"difficulty: reliability needs {LEAST_RUNS} runs of each architecture, not {runs}")
    pairs = run_correlations(values, scale)
    quantiles = [_single(pairs)]
    for size in range(2, runs // 2 + 1):
        groups = disjoint_groups(runs, size, most=draws, seed=seed)
        drawn = [values[pair].mean(axis=1) for pair in groups]
        quantiles.append(_summary(np.array([correlation(one, other, scale) for one, other in drawn])))
    averaged, low, high = np.array(quantiles).transpose(1, 2, 0)
    return tuple(
        Reliability(over_pairs(pairs[score, score]), averaged[score], low[score], high[score])
        for score in range(values.shape[1])
    )


def _single(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    scores, _, runs, _ = pairs.shape
    upper = np.triu_indices(runs, 1)
    return _summary(np.array([pairs[score, score][upper] for score in range(scores)]).T)


def _summary(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean, 5 % and 95 % quantiles of (draws, scores): (3, scores)."""
    return np.array([drawn.mean(axis=0), *np.quantile(drawn, (0.05, 0.95), axis=0)])
