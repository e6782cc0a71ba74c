"""Split-conformal p-values per predicted class and stratum of difficulty, shrunk to the stratum where images are few.

For a benign image of predicted class c with score s, the class's own conformal p-value is
``(1 + #{class scores >= s}) / (n_c + 1)``: it falls to a target rate or below at most that often, because the
calibration images and the image are exchangeable. A class with few images has a coarse and noisy p-value, so it is
mixed with the pooled one, as the posterior mean under a Dirichlet-process prior of strength k centred on the pool::

    p = (w + #{class scores >= s} + k * p_pool(s)) / (n_c + w + k),    w = n_c / (n_c + k)

which is the class's own p-value as n_c grows (or k is 0) and the pooled one as n_c falls to zero. The image itself, the
1 of a conformal p-value, counts by w for the class and is in p_pool already for the rest: counted in full, no image of
a class with few calibration images could ever reach a small target rate.

Hard images score higher than easy ones, so where there are strata of difficulty (`detector.strata`) all of this is done
within each: the class's scores and the pool are those of the image's own stratum. Nothing is mixed in from other
strata: what a stratum took from easier images, its own images would pay for in false alarms. So strata have to be large
enough by themselves, which is seen to where they are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from detector.errors import CalibrationError
from detector.strata import ONE_STRATUM, Strata, count_cells

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
        strata: Drawn without these images; one stratum takes them all together.
        difficulty: float32 (n,), of these images, as `strata` measures it; None where there is but one stratum.

    Raises:
        CalibrationError: No scores, not finite, not one class or difficulty per score, or a stratum without images.
    """

    scores: Float32Array
    classes: NDArray[np.int64]
    prior_strength: float = PRIOR_STRENGTH
    strata: Strata = ONE_STRATUM
    difficulty: Float32Array | None = None

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
        self._check_strata()

    @classmethod
    def of(cls, scores: Float32Array, logits: Float32Array, strata: Strata, prior_strength: float) -> Self:
        """From scores, float32 (n,), and the classifier's logits of the same images, float32 (n, classes)."""
        difficulty = strata.difficulty(logits) if strata.count > 1 else None
        return cls(scores, logits.argmax(axis=1), prior_strength, strata, difficulty)

    def p_values(
        self, scores: Float32Array, predicted: NDArray[np.int64], difficulty: Float32Array | None = None
    ) -> NDArray[np.float64]:
        """How likely a benign image of the same predicted class and stratum scores at least this high.

        Args:
            scores: float32 (N,).
            predicted: int64 (N,), predicted classes; one never seen in a stratum gets the stratum's pooled p-value.
            difficulty: float32 (N,), as `strata` measures it; needed where there are several.

        Returns:
            float64 (N,) in (0, 1].

        Raises:
            CalibrationError: There are several strata, and no difficulty is given.
        """
        if self.strata.count == 1:
            return self.cells[0].p_values(scores, predicted, self.prior_strength)
        if difficulty is None:
            raise CalibrationError("p-values by strata of difficulty need the images' difficulty")
        numbers = self.strata.numbers(difficulty)
        found = np.empty(len(scores))
        for number in np.unique(numbers):
            rows = numbers == number
            found[rows] = self.cells[number].p_values(scores[rows], predicted[rows], self.prior_strength)
        return found

    def counts(self, classes: int) -> NDArray[np.int64]:
        """int64 (strata, classes): calibration images by stratum and predicted class."""
        return count_cells(self.numbers, self.classes, (self.strata.count, classes))

    def smallest_p_values(self, classes: int) -> NDArray[np.float64]:
        """float64 (strata, classes): the smallest p-value that an image of each stratum and class can have."""
        return smallest_p_values(self.counts(classes), self.prior_strength)

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """int64 (n,): the stratum of each calibration image."""
        if self.difficulty is None:
            return np.zeros(len(self.scores), np.int64)
        return self.strata.numbers(self.difficulty)

    @cached_property
    def cells(self) -> tuple[StratumScores, ...]:
        """Each stratum's scores, the easiest first."""
        return tuple(
            StratumScores(self.scores[self.numbers == number], self.classes[self.numbers == number])
            for number in range(self.strata.count)
        )

    def _check_strata(self) -> None:
        if self.difficulty is None:
            if self.strata.count > 1:
                raise CalibrationError(f"{self.strata.count} strata need the difficulty of every calibration image")
            return
        if self.difficulty.shape != self.scores.shape or not np.isfinite(self.difficulty).all():
            raise CalibrationError(
                f"calibration needs one finite difficulty per score, not {self.difficulty.shape} for "
                f"{self.scores.shape}"
            )
        empty = np.setdiff1d(np.arange(self.strata.count), self.numbers)
        if len(empty):
            raise CalibrationError(
                f"no calibration image is in stratum {empty[0] + 1} of {self.strata.count}, counted from the easiest"
            )


@dataclass(frozen=True)
class StratumScores:
    """Scores of a stratum's calibration images.

    Args:
        scores: float32 (n,), n >= 1.
        classes: int64 (n,), their predicted classes.
    """

    scores: Float32Array
    classes: NDArray[np.int64]

    def p_values(self, scores: Float32Array, predicted: NDArray[np.int64], prior: float) -> NDArray[np.float64]:
        """float64 (N,): of images of this stratum; see `ConformalCalibration.p_values`."""
        pooled = (1 + _at_least(self._pool, scores)) / (len(self._pool) + 1)
        own = np.empty(len(scores))
        sizes = np.empty(len(scores))
        for label in np.unique(predicted):
            rows = predicted == label
            reference = self._by_class.get(int(label), self._pool[:0])
            own[rows] = _at_least(reference, scores[rows])
            sizes[rows] = len(reference)
        return _mixed(own, sizes, pooled, prior)

    @cached_property
    def _pool(self) -> Float32Array:
        return np.sort(self.scores)

    @cached_property
    def _by_class(self) -> dict[int, Float32Array]:
        return {int(c): np.sort(self.scores[self.classes == c]) for c in np.unique(self.classes)}


def smallest_p_value(count: int, total: int, prior_strength: float) -> float:
    """The smallest p-value that an image of a class and stratum can have.

    Args:
        count: Calibration images of the class in the stratum.
        total: Calibration images of the stratum.
        prior_strength: Of `ConformalCalibration`.
    """
    return float(smallest_p_values(np.array([[count, total - count]]), prior_strength)[0, 0])


def smallest_p_values(counts: NDArray[np.int64], prior_strength: float) -> NDArray[np.float64]:
    """`smallest_p_value` of each class in each stratum: of as many images, and float64 of the same shape.

    Args:
        counts: int64 (strata, classes), calibration images.
        prior_strength: Of `ConformalCalibration`.
    """
    pooled = np.broadcast_to(1 / (counts.sum(axis=1, keepdims=True) + 1), counts.shape)
    return _mixed(np.zeros(counts.shape), counts.astype(np.float64), pooled, prior_strength)


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
