"""A tiny real detector for trying the service out without a bundle.

Its classifier tells three brightnesses apart; its paths lead to the uniform image of the predicted brightness; its
score is the image's mean absolute step between neighbouring rows, so that noise scores high. All by arithmetic on the
pixels, the same in every batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.classifiers.base import Float32Array, ImageSpec
from detector.profiles import PathKind, PathPlan, PathProfile, PathTarget
from detector.verdicts import TargetRates, Verdict
from service.ports import DetectorFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BRIGHTNESS: Final = np.array([0.2, 0.5, 0.8], np.float32)
_SHARPNESS: Final = np.float32(40)
_SCORE_SCALE: Final = np.float32(20)


@dataclass(frozen=True)
class BrightnessDetection:
    """Implements `service.ports.Detection`."""

    predicted: NDArray[np.int64]
    logits: Float32Array
    scores: Float32Array
    p_values: NDArray[np.float64]
    verdicts: tuple[Verdict, ...]
    barrier_heights: Float32Array
    barrier_gaps: Float32Array
    profile: PathProfile

    def take(self, rows: slice) -> BrightnessDetection:
        """The answers to some of the images."""
        return BrightnessDetection(
            self.predicted[rows],
            self.logits[rows],
            self.scores[rows],
            self.p_values[rows],
            self.verdicts[rows],
            self.barrier_heights[rows],
            self.barrier_gaps[rows],
            PathProfile(self.profile.plan, self.profile.logits[rows]),
        )


class BrightnessScorer:
    """Implements `service.ports.Scorer`.

    Args:
        spec: The images taken.
    """

    def __init__(self, spec: ImageSpec | None = None) -> None:
        self.facts = DetectorFacts(
            bundle_digest="brightness",
            spec=spec or ImageSpec(height=8, width=8),
            labels=("dark", "grey", "light"),
            plan=PathPlan((PathTarget(PathKind.PROTOTYPE, 0),), (0.25, 0.5, 0.75, 1.0)),
            rates=TargetRates(),
            scorer="steps",
            calibration_images=0,
            accuracy=1.0,
        )

    def score_canonical(self, images: Float32Array) -> BrightnessDetection:
        """Score images, float32 (N, channels, height, width), values in [0, 1]."""
        profile = self._profile(images)
        scores = np.abs(np.diff(images, axis=2)).mean(axis=(1, 2, 3)) * _SCORE_SCALE
        p_values = np.exp(-scores.astype(np.float64))
        heights = profile.losses.max(axis=(1, 2))
        ends = np.maximum(profile.losses[:, 0, 0], profile.losses[:, 0, -1])
        return BrightnessDetection(
            predicted=profile.predicted,
            logits=profile.image_logits,
            scores=scores,
            p_values=p_values,
            verdicts=self.facts.rates.verdicts(p_values),
            barrier_heights=heights,
            barrier_gaps=heights - ends,
            profile=profile,
        )

    def _profile(self, images: Float32Array) -> PathProfile:
        brightness = images.mean(axis=(1, 2, 3))
        target = _BRIGHTNESS[np.argmax(_logits(brightness), axis=1)]
        grid = np.array(self.facts.plan.grid, np.float32)
        walked = (1 - grid) * brightness[:, None] + grid * target[:, None]
        return PathProfile(self.facts.plan, _logits(walked)[:, None])


def _logits(brightness: Float32Array) -> Float32Array:
    return np.asarray(-_SHARPNESS * (brightness[..., None] - _BRIGHTNESS) ** 2, np.float32)
