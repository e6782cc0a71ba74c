"""What the service needs from a detector, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array, ImageSpec
    from detector.profiles import PathPlan, PathProfile
    from detector.verdicts import TargetRates, Verdict


@dataclass(frozen=True, kw_only=True)
class DetectorFacts:
    """What a loaded detector is.

    Args:
        bundle_digest: SHA-256 of the bundle, hexadecimal.
        spec: The images its classifier takes.
        labels: One name per class.
        plan: The paths walked.
        rates: The two target false-positive rates.
        scorer: Name of the scorer, such as "one-class".
        calibration_images: Held-out benign images behind the p-values.
        accuracy: Of the classifier on the images calibrated on, 0..1.
    """

    bundle_digest: str
    spec: ImageSpec
    labels: tuple[str, ...]
    plan: PathPlan
    rates: TargetRates
    scorer: str
    calibration_images: int
    accuracy: float


class Detection(Protocol):
    """The answers to N images; every array has N rows."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """int64 (N,): the predicted class."""
        ...

    @property
    def logits(self) -> Float32Array:
        """float32 (N, classes)."""
        ...

    @property
    def scores(self) -> Float32Array:
        """float32 (N,): higher is more adversarial, nats."""
        ...

    @property
    def p_values(self) -> NDArray[np.float64]:
        """float64 (N,), in (0, 1]."""
        ...

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """N verdicts."""
        ...

    @property
    def barrier_heights(self) -> Float32Array:
        """float32 (N,), nats."""
        ...

    @property
    def barrier_gaps(self) -> Float32Array:
        """float32 (N,), nats."""
        ...

    @property
    def profile(self) -> PathProfile:
        """The path profiles of the N images."""
        ...

    def take(self, rows: slice) -> Detection:
        """The answers to some of the images."""
        ...


class Scorer(Protocol):
    """A loaded detector."""

    @property
    def facts(self) -> DetectorFacts:
        """What is loaded."""
        ...

    def score_canonical(self, images: Float32Array) -> Detection:
        """Score images that were already checked; called in a worker thread, one batch at a time.

        Args:
            images: float32 (N, channels, height, width), values in [0, 1], N >= 1.
        """
        ...
