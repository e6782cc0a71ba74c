"""The detector: a bundle brought to life. Images in; predictions, scores, p-values and verdicts out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from detector.bundle import read_bundle
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.session import CPU
from detector.engine.choice import EngineChoice
from detector.engine.fused import FusedEngine
from detector.engine.reference import ReferenceEngine
from detector.errors import BundleError, ClassifierError, ClassifierMismatchError, FusionError
from detector.images import to_canonical

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.bundle import Bundle
    from detector.classifiers.base import Classifier, Float32Array
    from detector.engine.base import Engine
    from detector.profiles import PathProfile
    from detector.verdicts import Verdict

_LOG = logging.getLogger("isthmus")


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
        strata: int64 (N,), the stratum of difficulty, 0 the easiest; 0 where there is but one.
        profile: The path profiles everything else follows from.
    """

    predicted: NDArray[np.int64]
    labels: tuple[str, ...]
    scores: Float32Array
    p_values: NDArray[np.float64]
    verdicts: tuple[Verdict, ...]
    barrier_heights: Float32Array
    barrier_gaps: Float32Array
    strata: NDArray[np.int64]
    profile: PathProfile

    @property
    def logits(self) -> Float32Array:
        """float32 (N, classes): the classifier's answers."""
        return self.profile.image_logits

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: slice) -> Detection:
        """The answers to some of the images."""
        return Detection(
            self.predicted[rows],
            self.labels[rows],
            self.scores[rows],
            self.p_values[rows],
            self.verdicts[rows],
            self.barrier_heights[rows],
            self.barrier_gaps[rows],
            self.strata[rows],
            self.profile.take(rows),
        )


class Detector:
    """A loaded bundle. Safe to use from several threads.

    Args:
        bundle: A verified bundle.
        classifier: What to ask at every point of the paths, by the reference engine; None runs the bundle's own graph.
            A bundle of a remote classifier has none (`service.loading.load_detector` connects to it).
        threads: CPU threads of the bundle's classifier; None leaves the choice to ONNX Runtime.
        engine: What runs the bundle's own graph.
        canary_tolerance: How many times as far from their stored answers as usual the canaries' may be, above 0.

    Attributes:
        bundle: The bundle; its canaries are allowed what they are held to here.
        canary_deviations: float64 (canaries,): how far each one's answer was from the stored one at the start, where 1
            is what is allowed.
        description: One line for people: what runs, and on which device.

    Raises:
        BundleError: Its graphs don't fit its manifest, it has none and no classifier is given, or the guard can't be
            one graph and must be.
        ClassifierMismatchError: The classifier does not give the answers stored at calibration.
        SettingsError: `canary_tolerance` is out of range.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        classifier: Classifier | None = None,
        threads: int | None = None,
        engine: EngineChoice = EngineChoice.AUTO,
        canary_tolerance: float = 1.0,
    ) -> None:
        self.bundle = bundle
        self._classifier, self._threads = classifier, threads
        if classifier is not None:
            check_fit(bundle, classifier)
        elif bundle.manifest.remote is not None:
            raise BundleError(
                f"the bundle's classifier runs at {bundle.manifest.remote.url}: service.loading.load_detector connects "
                "to it, or pass classifier"
            )
        self._engine = self._opened(engine if classifier is None else EngineChoice.REFERENCE)
        self.description = self._engine.description
        canaries = bundle.canaries if self._is_measured_kind() else bundle.canaries.loosened()
        self.bundle = bundle.with_canaries(canaries.tolerating(canary_tolerance))
        canaries = self.bundle.canaries
        self.canary_deviations = canaries.check(self._engine.evidence(canaries.images).profile.image_logits)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        threads: int | None = None,
        engine: EngineChoice = EngineChoice.AUTO,
        canary_tolerance: float = 1.0,
    ) -> Self:
        """Read, verify and start a bundle folder.

        Raises:
            BundleError: It can't be used; the message says why and names the file.
            SettingsError: `canary_tolerance` is out of range.
        """
        return cls(read_bundle(path), threads=threads, engine=engine, canary_tolerance=canary_tolerance)

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier alone."""
        return self._classifier or _bundled_classifier(self.bundle, self.bundle.graph, self._threads)

    @cached_property
    def _untapped(self) -> Classifier:
        """The classifier without what only evidence needs."""
        from detector.classifiers.taps import remove_taps  # brings the onnx package

        return self._classifier or _bundled_classifier(self.bundle, remove_taps(self.bundle.graph), self._threads)

    def score(self, images: NDArray[Any]) -> Detection:
        """Score images as callers have them.

        Args:
            images: uint8 (0..255) or float (0..1), (N, height, width, channels) or one image, RGB or grey, of the
                classifier's size (`bundle.manifest.spec`).

        Raises:
            InvalidInputError: The images are of another kind; the message names the first bad one.
        """
        return self.score_canonical(to_canonical(np.asarray(images), self.bundle.manifest.spec.shape))

    def classify_canonical(self, images: Float32Array) -> Float32Array:
        """The classifier's logits alone, float32 (N, classes), one forward for each of such images."""
        return self._untapped.logits(images)

    def score_canonical(self, images: Float32Array) -> Detection:
        """Score images that are canonical already: float32 (N, channels, height, width) in [0, 1], N >= 1."""
        found = self._engine.evidence(images)
        manifest, predicted = self.bundle.manifest, found.profile.predicted
        return Detection(
            predicted=predicted,
            labels=tuple(manifest.labels[index] for index in predicted.tolist()),
            scores=found.scores,
            p_values=found.p_values,
            verdicts=manifest.rates.verdicts(found.p_values),
            barrier_heights=found.barriers.heights,
            barrier_gaps=found.barriers.gaps,
            strata=found.strata,
            profile=found.profile,
        )

    def _is_measured_kind(self) -> bool:
        """Whether what canaries are allowed holds for what runs here: CPUs for a graph, anything for a remote one."""
        if self.bundle.manifest.remote is not None:
            return True
        return self._classifier is None and self._engine.device == CPU

    def _opened(self, choice: EngineChoice) -> Engine:
        if choice is not EngineChoice.REFERENCE:
            try:
                return FusedEngine(self.bundle, threads=self._threads)
            except FusionError as error:
                if choice is EngineChoice.FUSED:
                    raise
                _LOG.warning("the reference engine runs this bundle, slower than the fused one: %s", error)
        return ReferenceEngine(self.bundle, self.classifier)


def _bundled_classifier(bundle: Bundle, graph: bytes, threads: int | None) -> OnnxClassifier:
    manifest = bundle.manifest
    try:
        return OnnxClassifier(
            graph,
            spec=manifest.spec,
            labels=manifest.labels,
            threads=threads,
            output_kind=manifest.output_kind,
        )
    except ClassifierError as error:
        raise BundleError(f"the bundle's classifier does not fit its manifest: {error}") from error


def check_fit(bundle: Bundle, classifier: Classifier) -> None:
    """Refuse a classifier of other images or classes.

    Raises:
        ClassifierMismatchError: It takes other images, or knows another number of classes.
    """
    if classifier.spec.shape != bundle.manifest.spec.shape or len(classifier.labels) != len(bundle.manifest.labels):
        raise ClassifierMismatchError(
            f"the classifier takes {classifier.spec.shape} and knows {len(classifier.labels)} classes; the bundle was "
            f"calibrated for {bundle.manifest.spec.shape} and {len(bundle.manifest.labels)}"
        )
