"""The detector: a bundle brought to life. Images in; predictions, scores, p-values and verdicts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from detector.bundle import read_bundle
from detector.classifiers.onnx import OnnxClassifier
from detector.engine.reference import ReferenceEngine
from detector.errors import BundleError, ClassifierError, ClassifierMismatchError
from detector.images import to_canonical
from detector.paths import barriers
from detector.residuals import residual_count
from detector.scoring.features import feature_names, profile_features
from detector.scoring.runner import OnnxScorer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.bundle import Bundle
    from detector.classifiers.base import Classifier, Float32Array
    from detector.profiles import PathProfile
    from detector.verdicts import Verdict

_CANARY_TOLERANCE = (
    0.02  # of the logits' spread: other processors round differently, other classifiers answer differently
)


@dataclass(frozen=True, eq=False)
class Detection:
    """The answers to N images, in their order.

    Args:
        predicted: int64 (N,), the predicted class.
        labels: N names of the predicted classes.
        scores: float32 (N,), nats, >= 0; higher means more adversarial.
        p_values: float64 (N,) in (0, 1].
        verdicts: N verdicts.
        barrier_heights: float32 (N,), nats.
        barrier_gaps: float32 (N,), nats.
        profile: The path profiles everything else follows from.
    """

    predicted: NDArray[np.int64]
    labels: tuple[str, ...]
    scores: Float32Array
    p_values: NDArray[np.float64]
    verdicts: tuple[Verdict, ...]
    barrier_heights: Float32Array
    barrier_gaps: Float32Array
    profile: PathProfile

    @property
    def logits(self) -> Float32Array:
        """float32 (N, classes): the classifier's answers."""
        return self.profile.image_logits

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: slice) -> Detection:
        """The answers to some of the images."""
        return Detection(
            self.predicted[rows],
            self.labels[rows],
            self.scores[rows],
            self.p_values[rows],
            self.verdicts[rows],
            self.barrier_heights[rows],
            self.barrier_gaps[rows],
            self.profile.take(rows),
        )


class Detector:
    """A loaded bundle. Safe to use from several threads.

    Args:
        bundle: A verified bundle.
        classifier: What to ask at every point of the paths; None runs the bundle's own graph.
        threads: CPU threads of the bundle's classifier; None leaves the choice to ONNX Runtime.

    Raises:
        BundleError: Its graphs don't fit its manifest.
        ClassifierMismatchError: The classifier does not give the answers stored at calibration.
    """

    def __init__(self, bundle: Bundle, *, classifier: Classifier | None = None, threads: int | None = None) -> None:
        self.bundle = bundle
        self.classifier = classifier or _bundled_classifier(bundle, threads)
        _check_canaries(bundle, self.classifier)
        self._engine = ReferenceEngine(self.classifier, bundle.parts.prototypes, bundle.manifest.plan)
        self._scorer = OnnxScorer(bundle.parts.scorer)
        residuals = residual_count(bundle.manifest.spec.shape)
        wanted = len(feature_names(bundle.manifest.plan, self.classifier.tap_count, residuals))
        if self._scorer.features != wanted:
            raise BundleError(
                f"the scorer reads {self._scorer.features} features, but the path plan and the classifier's taps give "
                f"{wanted}"
            )

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Self:
        """Read, verify and start a bundle folder.

        Raises:
            BundleError: It can't be used; the message says why and names the file.
        """
        return cls(read_bundle(path), threads=threads)

    def score(self, images: NDArray[Any]) -> Detection:
        """Score images as callers have them.

        Args:
            images: uint8 (0..255) or float (0..1), (N, height, width, channels) or one image, RGB or grey, of the
                classifier's size (`bundle.manifest.spec`).

        Raises:
            InvalidInputError: The images are of another kind; the message names the first bad one.
        """
        return self.score_canonical(to_canonical(np.asarray(images), self.bundle.manifest.spec.shape))

    def score_canonical(self, images: Float32Array) -> Detection:
        """Score images that are canonical already: float32 (N, channels, height, width) in [0, 1], N >= 1."""
        profile = self._engine.profile(images)
        scores = self._scorer.score(profile_features(profile))
        p_values = self.bundle.parts.calibration.p_values(scores, profile.predicted)
        barrier = barriers(profile, self.bundle.parts.prototypes)
        return Detection(
            predicted=profile.predicted,
            labels=tuple(self.bundle.manifest.labels[c] for c in profile.predicted),
            scores=scores,
            p_values=p_values,
            verdicts=self.bundle.manifest.rates.verdicts(p_values),
            barrier_heights=barrier.heights,
            barrier_gaps=barrier.gaps,
            profile=profile,
        )


def _bundled_classifier(bundle: Bundle, threads: int | None) -> OnnxClassifier:
    manifest = bundle.manifest
    try:
        return OnnxClassifier(
            bundle.parts.classifier,
            spec=manifest.spec,
            labels=manifest.labels,
            threads=threads,
            output_kind=manifest.output_kind,
        )
    except ClassifierError as error:
        raise BundleError(f"the bundle's classifier does not fit its manifest: {error}") from error


def _check_canaries(bundle: Bundle, classifier: Classifier) -> None:
    """Refuse a classifier that isn't the calibrated one."""
    wanted = bundle.parts.canaries.logits
    if classifier.spec.shape != bundle.manifest.spec.shape or len(classifier.labels) != len(bundle.manifest.labels):
        raise ClassifierMismatchError(
            f"the classifier takes {classifier.spec.shape} and knows {len(classifier.labels)} classes; the bundle was "
            f"calibrated for {bundle.manifest.spec.shape} and {len(bundle.manifest.labels)}"
        )
    given = classifier.logits(bundle.parts.canaries.images)
    # Log-probabilities and logits differ by a constant per image, which means nothing.
    difference = np.abs((given - given.mean(1, keepdims=True)) - (wanted - wanted.mean(1, keepdims=True))).max()
    allowed = _CANARY_TOLERANCE * max(float(wanted.std()), 1e-6)
    if difference > allowed:
        raise ClassifierMismatchError(
            f"the classifier does not give the answers stored at calibration (largest difference {difference:.4g}, "
            f"allowed {allowed:.4g}): it is not the one this bundle was calibrated for; calibrate again"
        )
