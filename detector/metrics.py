"""Detection metrics. Scores are higher for adversarial images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest, t
from sklearn.metrics import roc_auc_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

_NORMAL_95 = 1.959964


def auroc(benign: Float32Array, adversarial: Float32Array) -> float:
    """The chance that an adversarial image scores higher than a benign one, ties counted half; 0..1.

    Args:
        benign: (N,) scores, N >= 1.
        adversarial: (M,) scores, M >= 1.
    """
    truth = np.arange(len(benign) + len(adversarial)) >= len(benign)
    return float(roc_auc_score(truth, np.concatenate([benign, adversarial])))


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


def mean_estimate(values: NDArray[np.float64]) -> Estimate:
    """The mean of numbers (N,), N >= 2, with its 95 % interval by Student's t; NaN where one of them is."""
    mean = float(values.mean())
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(mean, mean - half, mean + half)


def auroc_estimate(benign: Float32Array, adversarial: Float32Array) -> Estimate:
    """`auroc` with its 95 % interval (DeLong et al., Biometrics 1988), clipped to [0, 1]; N and M >= 2.

    The variance is that of the placements: for every image, the share of images of the other kind it is ranked right
    against.
    """
    value = auroc(benign, adversarial)
    ordered_benign, ordered_adversarial = np.sort(benign), np.sort(adversarial)
    caught = placements(adversarial, ordered_benign)
    passed = 1 - placements(benign, ordered_adversarial)
    variance = caught.var(ddof=1) / len(caught) + passed.var(ddof=1) / len(passed)
    half = float(_NORMAL_95 * np.sqrt(variance))
    return Estimate(value, max(0.0, value - half), min(1.0, value + half))


def placements(scores: Float32Array, ordered: Float32Array) -> NDArray[np.float64]:
    """For every score (N,), the share of the others (M,), which rise, below it, ties counted half: float64 (N,)."""
    below, upto = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    shares: NDArray[np.float64] = (below + upto) / (2 * len(ordered))
    return shares


@dataclass(frozen=True)
class RealisedRate:
    """A rate that was counted.

    Args:
        flagged: How many.
        total: Of how many.
        low: Lower end of the Clopper-Pearson interval, of 95 % unless another was asked for.
        high: Upper end.
    """

    flagged: int
    total: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """Flagged / total."""
        return self.flagged / self.total

    def holds(self, target: float) -> bool:
        """Whether the interval contains a target rate."""
        return self.low <= target <= self.high


def realised_rate(flagged: int, total: int, confidence: float = 0.95) -> RealisedRate:
    """Count a rate, with its exact binomial interval (Clopper-Pearson); total >= 1."""
    interval = binomtest(flagged, total).proportion_ci(confidence, method="exact")
    return RealisedRate(flagged, total, float(interval.low), float(interval.high))


def realised_share(holds: NDArray[np.bool_]) -> RealisedRate:
    """The same of (N,) truths, N >= 1."""
    return realised_rate(int(np.sum(holds)), len(holds))
