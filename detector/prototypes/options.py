"""How prototypes are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from detector.errors import CalibrationError


class PrototypeStart(StrEnum):
    """Where the optimisation starts."""

    NOISE = "noise"
    CLASS_MEAN = "class-mean"


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """How prototypes are made.

    Args:
        per_class: Prototypes of each class.
        start: Faint noise on grey, or on the mean of the class's images.
        smoothness: Weight of the mean absolute difference of neighbouring pixels; 0 leaves prototypes rough.
        jitter: Largest shift, pixels, of the image at each step; 0 for none.
        learning_rate: Of Adam, on pixels in [0, 1].
        steps: Most Adam steps.
        target_loss: Stop once every prototype's cross-entropy is below this, nats.
        batch: Prototypes optimised at once; bounds memory for classifiers of many classes.
        within_box: Whether pixels stay in [0, 1], as of images a service may see; the paper lets them leave it.
        seed: Of the noise and the jitter.

    Raises:
        CalibrationError: A value is out of range.
    """

    per_class: int = 2
    start: PrototypeStart = PrototypeStart.NOISE
    smoothness: float = 0.0
    jitter: int = 0
    learning_rate: float = 0.05
    steps: int = 250
    target_loss: float = 1e-4
    batch: int = 64
    within_box: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("per_class", "steps", "batch"):
            if getattr(self, name) < 1:
                raise CalibrationError(f"prototypes: {name} must be at least 1, not {getattr(self, name)}")
        for name in ("smoothness", "jitter"):
            if getattr(self, name) < 0:
                raise CalibrationError(f"prototypes: {name} must not be negative, not {getattr(self, name)}")
        if self.learning_rate <= 0 or self.target_loss <= 0:
            raise CalibrationError("prototypes: learning_rate and target_loss must be positive")
