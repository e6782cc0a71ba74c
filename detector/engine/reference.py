"""The reference engine: each step of the guard in plain NumPy, one after the other, with any classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.classifiers.onnx import OnnxClassifier
from detector.engine.base import Evidence, check_features
from detector.engine.walker import PathWalker
from detector.paths.straight import barriers
from detector.scoring.features import profile_features
from detector.scoring.runner import OnnxScorer

if TYPE_CHECKING:
    from detector.bundle import Bundle
    from detector.classifiers.base import Classifier, Float32Array


class ReferenceEngine:
    """A bundle's guard around a classifier.

    Args:
        bundle: A verified bundle.
        classifier: Asked at every point of the paths.

    Raises:
        BundleError: The scorer does not fit the plan and the classifier's taps.
    """

    def __init__(self, bundle: Bundle, classifier: Classifier) -> None:
        self._parts = bundle.parts
        self._walker = PathWalker(classifier, bundle.parts.prototypes, bundle.manifest.plan)
        self._scorer = OnnxScorer(bundle.parts.scorer)
        self.device = classifier.device if isinstance(classifier, OnnxClassifier) else ""
        self.description = f"reference engine, {classifier.description}"
        check_features(bundle, scorer=self._scorer.features, taps=classifier.tap_count)

    def evidence(self, images: Float32Array) -> Evidence:
        """Walk and score canonical images; see `Engine`."""
        profile = self._walker.profile(images)
        scores = self._scorer.score(profile_features(profile, self._parts.statistics))
        calibration = self._parts.calibration
        difficulty = calibration.strata.difficulty(profile.image_logits)
        return Evidence(
            profile,
            scores,
            calibration.p_values(scores, profile.predicted, difficulty),
            barriers(profile, self._parts.prototypes),
            calibration.strata.numbers(difficulty),
        )
