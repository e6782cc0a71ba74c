"""A tiny real detector, to try the service without a bundle.

Its classifier tells three brightnesses apart; its paths lead to the uniform image of the predicted brightness; its
score is the image's mean absolute step between neighbouring rows, so that noise scores high. All by arithmetic on the
pixels, the same in every batch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from detector import Detection, TargetRates
from detector.bundle import CalibrationSummary, Canaries, Manifest
from detector.classifiers.base import Float32Array, ImageSpec, OutputKind
from detector.profiles import PathKind, PathPlan, PathProfile, PathTarget

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BRIGHTNESS: Final = np.array([0.2, 0.5, 0.8], np.float32)
_SHARPNESS: Final = np.float32(40)
_SCORE_SCALE: Final = np.float32(20)


@dataclass(frozen=True)
class BrightnessBundle:
    """Implements `service.ports.LoadedBundle`."""

    manifest: Manifest

    @property
    def canaries(self) -> Canaries:
        """Uniform images with the logits they must give."""
        images = np.ones((len(_BRIGHTNESS), *self.manifest.spec.shape), np.float32) * _BRIGHTNESS[:, None, None, None]
        return Canaries.loose(images, _logits(_BRIGHTNESS))

    @property
    def output_name(self) -> str:
        """What the classifier calls its own answer."""
        return "brightness"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest."""
        return hashlib.sha256(self.manifest.to_bytes()).hexdigest()


class BrightnessScorer:
    """Implements `service.ports.Scorer`.

    Args:
        spec: The images taken.
    """

    def __init__(self, spec: ImageSpec | None = None) -> None:
        self.bundle = BrightnessBundle(
            Manifest(
                spec=spec or ImageSpec(height=8, width=8),
                output_kind=OutputKind.LOGITS,
                labels=("dark", "grey", "light"),
                plan=PathPlan((PathTarget(PathKind.PROTOTYPE, 0),), (0.25, 0.5, 0.75, 1.0)),
                rates=TargetRates(),
                calibration=CalibrationSummary(
                    scorer="steps",
                    images=0,
                    images_per_class=(0, 0, 0),
                    images_per_stratum=(0, 0),
                    accuracy=None,
                    prior_strength=0,
                ),
                provenance={},
                files={},
            )
        )

    @property
    def canary_deviations(self) -> NDArray[np.float64]:
        """None are far from their stored answers."""
        canaries = self.bundle.canaries
        return canaries.deviations(self.classify_canonical(canaries.images))

    def classify_canonical(self, images: Float32Array) -> Float32Array:
        """The logits alone of such images as `score_canonical` takes."""
        return _logits(images.mean(axis=(1, 2, 3)))

    def score_canonical(self, images: Float32Array) -> Detection:
        """Score images, float32 (N, channels, height, width), values in [0, 1]."""
        profile = self._profile(images)
        scores = np.abs(np.diff(images, axis=2)).mean(axis=(1, 2, 3)) * _SCORE_SCALE
        p_values = np.exp(-scores.astype(np.float64))
        heights = profile.losses.max(axis=(1, 2))
        ends = np.maximum(profile.losses[:, 0, 0], profile.losses[:, 0, -1])
        return Detection(
            predicted=profile.predicted,
            labels=tuple(self.bundle.manifest.labels[index] for index in profile.predicted),
            scores=scores,
            p_values=p_values,
            verdicts=self.bundle.manifest.rates.verdicts(p_values),
            barrier_heights=heights,
            barrier_gaps=heights - ends,
            strata=(scores > 0).astype(np.int64),  # what is not flat is the harder
            profile=profile,
        )

    def _profile(self, images: Float32Array) -> PathProfile:
        brightness = images.mean(axis=(1, 2, 3))
        target = _BRIGHTNESS[np.argmax(_logits(brightness), axis=1)]
        grid = np.array(self.bundle.manifest.plan.grid, np.float32)
        walked = (1 - grid) * brightness[:, None] + grid * target[:, None]
        return PathProfile(self.bundle.manifest.plan, _logits(walked)[:, None])


def _logits(brightness: Float32Array) -> Float32Array:
    return np.asarray(-_SHARPNESS * (brightness[..., None] - _BRIGHTNESS) ** 2, np.float32)
