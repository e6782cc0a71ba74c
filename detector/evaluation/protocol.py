"""The protocol every scorer is judged by, the guard and its peers alike: conformal thresholds from the same images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

from detector.conformal import ConformalCalibration
from detector.evaluation.results import Detected
from detector.metrics import auroc_estimate, realised_share
from detector.strata import ONE_STRATUM

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.metrics import RealisedRate
    from detector.strata import Strata
    from detector.verdicts import TargetRates

CALIBRATION: Final = "calibration images"
BENIGN: Final = "benign test images"
MILLISECONDS: Final = "milliseconds"
"""Names under which what a scorer says is kept, beside those of the attacks."""

_FEWEST = 2  # attacked images, for an interval


@dataclass(frozen=True, eq=False)
class Graded:
    """Images as a scorer sees them.

    Args:
        scores: float32 (N,).
        predicted: int64 (N,), the classes predicted.
        difficulty: float32 (N,), as the judge's strata measure it; None where there is but one.
    """

    scores: Float32Array
    predicted: NDArray[np.int64]
    difficulty: Float32Array | None = None

    @classmethod
    def of(cls, scores: Float32Array, logits: Float32Array, strata: Strata) -> Self:
        """With the classifier's logits, float32 (N, classes)."""
        return cls(scores, logits.argmax(axis=1), strata.difficulty(logits))


@dataclass(frozen=True, eq=False)
class Judge:
    """What turns a scorer's scores into figures.

    Args:
        calibration: Benign images that set the thresholds.
        benign: Benign test images.
        rates: Target false-positive rates.
        prior_strength: Of `ConformalCalibration`.
        strata: Likewise.
    """

    calibration: Graded
    benign: Graded
    rates: TargetRates
    prior_strength: float
    strata: Strata = ONE_STRATUM

    def p_values(self, images: Graded) -> NDArray[np.float64]:
        """float64 (N,): conformal p-values."""
        return self._fitted.p_values(images.scores, images.predicted, images.difficulty)

    @cached_property
    def _fitted(self) -> ConformalCalibration:
        known = self.calibration
        return ConformalCalibration(known.scores, known.predicted, self.prior_strength, self.strata, known.difficulty)

    def false_positives(self) -> RealisedRate:
        """Benign test images flagged at the SUSPECT rate."""
        return realised_share(self.p_values(self.benign) <= self.rates.suspect)

    def judge(self, attacked: Mapping[str, Graded]) -> dict[str, Detected]:
        """Per attack with at least two images: how well it is detected."""
        return {name: self._detected(images) for name, images in attacked.items() if len(images.scores) >= _FEWEST}

    def _detected(self, images: Graded) -> Detected:
        p_values = self.p_values(images)
        return Detected(
            auroc=auroc_estimate(self.benign.scores, images.scores),
            tpr_suspect=float((p_values <= self.rates.suspect).mean()),
            tpr_adversarial=float((p_values <= self.rates.adversarial).mean()),
        )
