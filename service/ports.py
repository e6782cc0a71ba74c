"""What the service needs from a detector, and nothing more; `detector.Detector` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detector import Detection
    from detector.bundle import Canaries, Manifest
    from detector.classifiers.base import Float32Array


class LoadedBundle(Protocol):
    """The part of a bundle that describes it."""

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal."""
        ...

    @property
    def manifest(self) -> Manifest:
        """What it says of itself."""
        ...

    @property
    def canaries(self) -> Canaries:
        """Inputs with the logits they must give."""
        ...

    @property
    def output_name(self) -> str:
        """What the classifier calls its own answer."""
        ...


class Scorer(Protocol):
    """A loaded detector."""

    @property
    def bundle(self) -> LoadedBundle:
        """What is loaded."""
        ...

    @property
    def canary_deviations(self) -> NDArray[np.float64]:
        """float64 (canaries,): how far each one's answer was from the stored one at the start; 1 is what is allowed."""
        ...

    def classify_canonical(self, images: Float32Array) -> Float32Array:
        """The classifier's logits alone, float32 (N, classes); called as `score_canonical`, and at the same time."""
        ...

    def score_canonical(self, images: Float32Array) -> Detection:
        """Score images that were already checked; called one batch at a time, on the event loop or a worker thread.

        Args:
            images: float32 (N, channels, height, width), values in [0, 1], N >= 1.
        """
        ...
