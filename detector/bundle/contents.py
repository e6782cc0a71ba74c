"""A bundle in memory: all that serving needs, as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from detector.classifiers.outputs import class_output
from detector.errors import CalibrationError, ClassifierMismatchError, FusionError, SettingsError

if TYPE_CHECKING:
    from detector.bundle.manifest import Manifest
    from detector.classifiers.base import Float32Array
    from detector.conformal import ConformalCalibration
    from detector.paths import Prototypes

MANIFEST = "manifest.json"
CLASSIFIER = "classifier.onnx"
PROTOTYPES = "prototypes.safetensors"
SCORER = "scorer.onnx"
CALIBRATION = "calibration.safetensors"
CANARIES = "canaries.safetensors"
REPORT = "report.html"
CONTACT_SHEET = "prototypes.png"
_TOLERANCE = 0.02  # of the logits' spread: other processors round differently, other classifiers answer differently


@dataclass(frozen=True)
class Canaries:
    """A few inputs with the answers they must give: is the running classifier the calibrated one?

    Args:
        images: float32 (N, channels, height, width), canonical.
        logits: float32 (N, classes), the calibrated classifier's answers.
    """

    images: Float32Array
    logits: Float32Array

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> Canaries:
        """Some of them."""
        return Canaries(self.images[rows], self.logits[rows])

    def check(self, given: Float32Array) -> None:
        """Refuse a classifier that isn't the calibrated one.

        Args:
            given: float32 (N, classes), its answers to `images`.

        Raises:
            ClassifierMismatchError: They are not the stored ones.
        """
        difference, allowed = self.difference(given)
        if not difference <= allowed:  # NaN too
            raise ClassifierMismatchError(
                f"the classifier does not give the answers stored at calibration (largest difference {difference:.4g}, "
                f"allowed {allowed:.4g}): it is not the one this bundle was calibrated for; calibrate again"
            )

    def difference(self, given: Float32Array) -> tuple[float, float]:
        """How far answers are from the stored ones, at most, and how far other processors may bring them."""
        # Log-probabilities and logits differ by a constant per image, which means nothing.
        wanted = self.logits - self.logits.mean(1, keepdims=True)
        found = np.abs((given - given.mean(1, keepdims=True)) - wanted).max()
        return float(found), _TOLERANCE * max(float(self.logits.std()), 1e-6)


@dataclass(frozen=True)
class BundleParts:
    """The parts of a bundle that are arrays and graphs.

    Args:
        classifier: The wrapped model, an ONNX graph; None where it runs elsewhere.
        prototypes: Where the prototype paths lead.
        scorer: ONNX graph from features to score.
        calibration: Scores of held-out benign images.
        canaries: Inputs with the answers they must give.
    """

    classifier: bytes | None
    prototypes: Prototypes
    scorer: bytes
    calibration: ConformalCalibration
    canaries: Canaries


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Args:
        manifest: What it says of itself.
        parts: Its arrays and graphs.
        digest: SHA-256, hexadecimal, of the manifest file, which holds the digests of all other files.
    """

    manifest: Manifest
    parts: BundleParts
    digest: str

    @property
    def graph(self) -> bytes:
        """The wrapped model, an ONNX graph.

        Raises:
            FusionError: It runs elsewhere.
        """
        if self.parts.classifier is None:
            where = "elsewhere" if self.manifest.remote is None else f"at {self.manifest.remote.url}"
            raise FusionError(f"the bundle's classifier runs {where}: the bundle holds no graph of it")
        return self.parts.classifier

    @property
    def canaries(self) -> Canaries:
        """Inputs with the answers they must give."""
        return self.parts.canaries

    @cached_property
    def output_name(self) -> str:
        """What the wrapped model calls its own answer."""
        if self.manifest.remote is not None:
            return self.manifest.remote.output
        import onnx

        return class_output([entry.name for entry in onnx.load_from_string(self.graph).graph.output])

    def with_rates(self, *, suspect: float | None = None, adversarial: float | None = None) -> Self:
        """This bundle with other target false-positive rates than it was calibrated with; None leaves one as it is.

        p-values hold at every rate, so nothing is calibrated again.

        Raises:
            SettingsError: The rates are no rates, or so small that no image of any class could reach them.
        """
        if suspect is None and adversarial is None:
            return self
        try:
            rates = self.manifest.rates.overridden(suspect=suspect, adversarial=adversarial)
        except CalibrationError as error:
            raise SettingsError(f"suspect_rate, adversarial_rate: {error}") from error
        calibration = self.parts.calibration
        smallest = float(calibration.smallest_p_values(len(self.manifest.labels)).min())
        if rates.adversarial < smallest:
            raise SettingsError(
                f"adversarial_rate: no p-value of this bundle is below {smallest:.2g}, so none would be at or below "
                f"{rates.adversarial:g}; calibrate with more images than {len(calibration.scores)}"
            )
        return replace(self, manifest=replace(self.manifest, rates=rates))
