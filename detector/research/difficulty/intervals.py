"""Intervals over runs, the units that were drawn anew; pairs of runs and splits of them share runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.metrics import Estimate, mean_estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_RUNS = 3
"""Without as many, leaving one out leaves no pair."""


def over_pairs(values: NDArray[np.float64]) -> Estimate:
    """The mean over pairs of different runs, with its 95 % interval by the jackknife over runs, within [-1, 1].

    Pairs that share a run are no independent draws. The interval is Student's t of the pseudo-values that leave one
    run out at a time; the mean of these is the mean over pairs.

    Args:
        values: float64 (R, R), symmetric, of correlations; its diagonal is not looked at; R >= 3.
    """
    runs = len(values)
    apart = np.where(np.eye(runs, dtype=bool), 0.0, values)
    total = apart.sum()
    without = (total - 2 * apart.sum(axis=1)) / ((runs - 1) * (runs - 2))
    return clipped(mean_estimate(runs * total / (runs * (runs - 1)) - (runs - 1) * without), -1.0, 1.0)


def clipped(estimate: Estimate, low: float, high: float) -> Estimate:
    """The same with its interval within what is possible."""
    return Estimate(estimate.value, max(low, estimate.low), min(high, estimate.high))
