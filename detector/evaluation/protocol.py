"""The protocol every scorer is judged by, the guard and its peers alike: conformal thresholds from the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.conformal import ConformalCalibration
from detector.evaluation.results import Detected
from detector.metrics import auroc_estimate, realised_rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.metrics import RealisedRate
    from detector.verdicts import TargetRates

CALIBRATION: Final = "calibration images"
BENIGN: Final = "benign test images"
MILLISECONDS: Final = "milliseconds"
"""Names under which what a scorer says is kept, beside those of the attacks."""

_FEWEST = 2  # attacked images, for an interval


@dataclass(frozen=True, eq=False)
class Graded:
    """Images as a scorer sees them: float32 (N,) scores, and the int64 (N,) classes predicted."""

    scores: Float32Array
    predicted: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Judge:
    """What turns a scorer's scores into figures.

    Args:
        calibration: Benign images that set the thresholds.
        benign: Benign test images.
        rates: Target false-positive rates.
        prior_strength: Of `ConformalCalibration`.
    """

    calibration: Graded
    benign: Graded
    rates: TargetRates
    prior_strength: float

    def p_values(self, images: Graded) -> NDArray[np.float64]:
        """float64 (N,): conformal p-values."""
        fitted = ConformalCalibration(self.calibration.scores, self.calibration.predicted, self.prior_strength)
        return fitted.p_values(images.scores, images.predicted)

    def false_positives(self) -> RealisedRate:
        """Benign test images flagged at the SUSPECT rate."""
        return count(self.p_values(self.benign) <= self.rates.suspect)

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


def count(flagged: NDArray[np.bool_]) -> RealisedRate:
    """The share of flagged images, at least one image."""
    return realised_rate(int(np.sum(flagged)), len(flagged))
