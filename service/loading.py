"""From a bundle on disk to a scorer: where the service meets the detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.ports import DetectorFacts

if TYPE_CHECKING:
    from detector import Detection, Detector
    from detector.classifiers.base import Float32Array
    from service.settings import ServiceSettings


class BundleScorer:
    """A loaded detector as `service.ports.Scorer`.

    Args:
        detector: Loaded and verified.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        manifest = detector.bundle.manifest
        self.facts = DetectorFacts(
            bundle_digest=detector.bundle.digest,
            spec=manifest.spec,
            labels=manifest.labels,
            plan=manifest.plan,
            rates=manifest.rates,
            scorer=manifest.scorer,
            calibration_images=manifest.calibration.images,
            accuracy=manifest.calibration.accuracy,
        )

    def score_canonical(self, images: Float32Array) -> Detection:
        """Score images that were already checked."""
        return self._detector.score_canonical(images)


def load_scorer(settings: ServiceSettings) -> BundleScorer:
    """Load the bundle that the settings name.

    Raises:
        BundleError: It is refused.
    """
    from detector import Detector

    return BundleScorer(Detector.load(settings.bundle, threads=settings.threads))
