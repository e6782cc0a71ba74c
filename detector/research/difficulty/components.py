"""How many notions of difficulty there are: principal components of all scores together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.decomposition import PCA

from detector.errors import AnalysisError
from detector.metrics import mean_estimate
from detector.research.difficulty.intervals import clipped
from detector.research.difficulty.scaling import Scale, standardised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.metrics import Estimate

KEPT: Final = 0.99
"""Components are kept until they hold this share of the variance."""
LEAST_SCORES: Final = 2
LEAST_RUNS: Final = 2


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of the scores of one architecture, each of them ranked (or z-scaled).

    Args:
        shares: float64 (scores,): of the variance that each component holds, falling, of sum 1; of scores that were
            averaged over runs first.
        loadings: float64 (scores, scores): ``[a, c]`` is the correlation of score a with component c; the sum over
            scores is not negative, so that harder stays higher.
        single: The share of the first component where scores of one run are taken instead, the mean over runs.
    """

    shares: NDArray[np.float64]
    loadings: NDArray[np.float64]
    single: Estimate

    @property
    def kept(self) -> int:
        """Components that hold `KEPT` of the variance together."""
        return int(np.searchsorted(np.cumsum(self.shares), KEPT - 1e-12) + 1)

    @property
    def mean_correlation(self) -> float:
        """The mean absolute correlation of two different scores, 0..1."""
        scores = len(self.shares)
        correlations = self.loadings @ self.loadings.T
        return float(np.abs(correlations[np.triu_indices(scores, 1)]).mean())


def components(values: NDArray[np.float64], scale: Scale = Scale.RANKS) -> Components:
    """Find them.

    Args:
        values: float64 (runs, scores, examples), no score constant in a run; see `scaling.informative`.
        scale: Of what.

    Raises:
        AnalysisError: There are fewer than two scores or runs, no more examples than scores, or a score is constant.
    """
    runs, scores, examples = values.shape
    if scores < LEAST_SCORES or runs < LEAST_RUNS:
        raise AnalysisError(
            f"difficulty: components need {LEAST_SCORES} scores and {LEAST_RUNS} runs, not {scores} and {runs}"
        )
    if examples <= scores:
        raise AnalysisError(f"difficulty: components of {scores} scores need more examples than {examples}")
    shares, loadings = _principal(values.mean(axis=0), scale)
    firsts = np.array([_principal(run, scale)[0][0] for run in values])
    return Components(shares, loadings, clipped(mean_estimate(firsts), 0.0, 1.0))


def _principal(values: NDArray[np.float64], scale: Scale) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares and loadings of (scores, examples): rows are standardised, so loadings are correlations."""
    rows = standardised(values, scale) * np.sqrt(values.shape[1] - 1)
    fitted = PCA(svd_solver="full").fit(rows.T)
    loadings = (fitted.components_ * np.sqrt(fitted.explained_variance_)[:, None]).T
    signs = np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
    return fitted.explained_variance_ratio_, loadings * signs
