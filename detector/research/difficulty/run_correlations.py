"""Correlations of all scores of all runs with one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.research.difficulty.scaling import Scale, standardised

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def run_correlations(values: NDArray[np.float64], scale: Scale = Scale.RANKS) -> NDArray[np.float64]:
    """The correlation of every score in every run with every other.

    Args:
        values: float64 (runs, scores, examples), no score constant in a run.
        scale: Of what.

    Returns:
        float64 (scores, scores, runs, runs), -1..1: ``[a, b, i, j]`` is score a in run i with score b in run j.
    """
    runs, scores, examples = values.shape
    rows = standardised(values, scale).reshape(runs * scores, examples)
    return (rows @ rows.T).reshape(runs, scores, runs, scores).transpose(1, 3, 0, 2)
