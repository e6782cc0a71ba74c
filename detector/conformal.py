"""Split-conformal p-values per predicted class, shrunk to the pooled distribution where a class has few images.

For a benign image of predicted class c with score s, the class's own conformal p-value is
``(1 + #{class scores >= s}) / (n_c + 1)``: it falls to a target rate or below at most that often, because the
calibration images and the image are exchangeable. A class with few images has a coarse and noisy p-value, so it is
mixed with the pooled one, as the posterior mean under a Dirichlet-process prior of strength k centred on the pool::

    p = (w + #{class scores >= s} + k * p_pool(s)) / (n_c + w + k),    w = n_c / (n_c + k)

which is the class's own p-value as n_c grows (or k is 0) and the pooled one as n_c falls to zero. The image itself, the
1 of a conformal p-value, counts by w for the class and is in p_pool already for the rest: counted in full, no image of
a class with few calibration images could ever reach a small target rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import CalibrationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

PRIOR_STRENGTH = 100.0
"""Default k: a class with 100 calibration images counts as much as the pool."""


@dataclass(frozen=True)
class ConformalCalibration:
    """Scores of held-out benign images, and the p-values that follow from them.

    Args:
        scores: float32 (n,), scores of benign images neither the scorer nor the classifier was fitted on.
        classes: int64 (n,), their predicted classes.
        prior_strength: k above, in images; 0 trusts each class alone.

    Raises:
        CalibrationError: No scores, not finite, or not one class per score.
    """

    scores: Float32Array
    classes: NDArray[np.int64]
    prior_strength: float = PRIOR_STRENGTH

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or self.scores.shape != self.classes.shape or len(self.scores) == 0:
            raise CalibrationError(
                f"calibration needs one class per score and at least one, not {self.scores.shape} and "
                f"{self.classes.shape}"
            )
        if not np.isfinite(self.scores).all():
            raise CalibrationError("calibration scores must be finite")
        if not 0 <= self.prior_strength < np.inf:
            raise CalibrationError(f"prior_strength must be finite and not negative, not {self.prior_strength}")

    def p_values(self, scores: Float32Array, predicted: NDArray[np.int64]) -> NDArray[np.float64]:
        """How likely a benign image of the same predicted class scores at least this high.

        Args:
            scores: float32 (N,).
            predicted: int64 (N,), predicted classes; one never seen at calibration gets the pooled p-value.

        Returns:
            float64 (N,) in (0, 1].
        """
        pooled = (1 + _at_least(self._pool, scores)) / (len(self._pool) + 1)
        own = np.empty(len(scores))
        sizes = np.empty(len(scores))
        for label in np.unique(predicted):
            rows = predicted == label
            reference = self._by_class.get(int(label), self._pool[:0])
            own[rows] = _at_least(reference, scores[rows])
            sizes[rows] = len(reference)
        return _mixed(own, sizes, pooled, self.prior_strength)

    @cached_property
    def _pool(self) -> Float32Array:
        return np.sort(self.scores)

    @cached_property
    def _by_class(self) -> dict[int, Float32Array]:
        return {int(c): np.sort(self.scores[self.classes == c]) for c in np.unique(self.classes)}


def smallest_p_value(count: int, total: int, prior_strength: float) -> float:
    """The smallest p-value that an image of a class can have.

    Args:
        count: Calibration images of the class.
        total: Calibration images of all classes.
        prior_strength: Of `ConformalCalibration`.
    """
    return float(_mixed(np.zeros(1), np.full(1, float(count)), np.full(1, 1 / (total + 1)), prior_strength)[0])


def _mixed(
    own: NDArray[np.float64], sizes: NDArray[np.float64], pooled: NDArray[np.float64], prior: float
) -> NDArray[np.float64]:
    """The formula above: from how many of each image's class, of how many, score at least as high; and p_pool."""
    seen = sizes > 0
    itself = np.divide(sizes, sizes + prior, out=np.zeros_like(sizes), where=seen)
    return np.divide(itself + own + prior * pooled, sizes + itself + prior, out=pooled.copy(), where=seen)


def _at_least(ordered: Float32Array, scores: Float32Array) -> NDArray[np.int64]:
    """How many of `ordered` are at least each score."""
    return len(ordered) - np.searchsorted(ordered, scores, side="left")
