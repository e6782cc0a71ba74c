"""Detection metrics. Scores are higher for adversarial images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array


def auroc(benign: Float32Array, adversarial: Float32Array) -> float:
    """The chance that an adversarial image scores higher than a benign one, ties counted half; 0..1.

    Args:
        benign: (N,) scores, N >= 1.
        adversarial: (M,) scores, M >= 1.
    """
    truth = np.arange(len(benign) + len(adversarial)) >= len(benign)
    return float(roc_auc_score(truth, np.concatenate([benign, adversarial])))


@dataclass(frozen=True)
class RealisedRate:
    """A rate that was counted.

    Args:
        flagged: How many.
        total: Of how many.
        low: Lower end of the 95 % Clopper-Pearson interval.
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


def realised_rate(flagged: int, total: int) -> RealisedRate:
    """Count a rate, with its exact 95 % binomial interval (Clopper-Pearson); total >= 1."""
    interval = binomtest(flagged, total).proportion_ci(0.95, method="exact")
    return RealisedRate(flagged, total, float(interval.low), float(interval.high))
