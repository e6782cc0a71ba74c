"""Canaries: inputs with the answers they must give, and how far rounding may move each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from detector.errors import ClassifierMismatchError, SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

LOOSE: Final = 0.02
"""Of the logits' spread: what processors of any kind, those that multiply in fewer bits too, may make of an answer."""
_LEAST_SPREAD: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Canaries:
    """A few inputs with the answers they must give: is the running classifier the calibrated one?

    Args:
        images: float32 (N, channels, height, width), canonical.
        logits: float32 (N, classes), the calibrated classifier's answers.
        allowed: float32 (N,), more than 0: the largest difference of a logit, less the mean of its image's logits, that
            may be rounding.
    """

    images: Float32Array
    logits: Float32Array
    allowed: Float32Array

    @classmethod
    def loose(cls, images: Float32Array, logits: Float32Array) -> Self:
        """Canaries of a classifier whose rounding is not known: `LOOSE` of the logits' spread is allowed."""
        return cls(images, logits, np.full(len(images), LOOSE * spread(logits), np.float32))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> Canaries:
        """Some of them."""
        return Canaries(self.images[rows], self.logits[rows], self.allowed[rows])

    def loosened(self) -> Canaries:
        """The same for a processor of another kind than what is allowed was measured on: at least `LOOSE`."""
        return replace(self, allowed=np.maximum(self.allowed, np.float32(LOOSE * spread(self.logits))))

    def tolerating(self, factor: float) -> Canaries:
        """The same where so many times as much is allowed.

        Raises:
            SettingsError: `factor` is no finite number above 0.
        """
        if not 0 < factor < math.inf:
            raise SettingsError(f"canary_tolerance: must be a finite number above 0, not {factor:g}")
        return self if factor == 1 else replace(self, allowed=self.allowed * np.float32(factor))

    def check(self, given: Float32Array) -> NDArray[np.float64]:
        """Refuse a classifier that isn't the calibrated one.

        Args:
            given: float32 (N, classes), its answers to `images`.

        Returns:
            As `deviations`; all at most 1.

        Raises:
            ClassifierMismatchError: They are not the stored ones.
        """
        found = self.deviations(given)
        if not (found <= 1).all():
            difference, allowed = self.difference(given)
            raise ClassifierMismatchError(
                f"the classifier does not give the answers stored at calibration (largest difference {difference:.4g}, "
                f"allowed {allowed:.4g}, {int((found > 1).sum())} of {len(self)} canaries): it is not the one this "
                "bundle was calibrated for; calibrate again, or where only the processor is another, raise "
                "canary_tolerance",
                deviation=float(found.max()),
            )
        return found

    def deviations(self, given: Float32Array) -> NDArray[np.float64]:
        """How far answers are from the stored ones.

        Args:
            given: float32 (N, classes), answers to `images`.

        Returns:
            float64 (N,): each canary's largest difference, where 1 is what is allowed; infinite where it is no number.
        """
        return _finite(self._differences(given) / self.allowed)

    def difference(self, given: Float32Array) -> tuple[float, float]:
        """The canary that is farthest from its stored answer for what it is allowed: how far, and how far it may be."""
        worst = int(np.argmax(self.deviations(given)))
        return float(_finite(self._differences(given))[worst]), float(self.allowed[worst])

    def _differences(self, given: Float32Array) -> NDArray[np.float64]:
        """float64 (N,)."""
        with np.errstate(invalid="ignore"):  # infinite answers, which are refused as such
            return np.asarray(np.abs(centred(given) - centred(self.logits)).max(axis=1))


def centred(logits: Float32Array) -> NDArray[np.float64]:
    """Logits less the mean of their image's: log-probabilities differ from logits by what means nothing."""
    exact = logits.astype(np.float64)
    return np.asarray(exact - exact.mean(axis=1, keepdims=True))


def spread(logits: Float32Array) -> float:
    """The standard deviation of all centred logits, above 0."""
    return max(float(centred(logits).std()), _LEAST_SPREAD)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with infinity for what is no number."""
    return np.where(np.isnan(values), math.inf, values)
