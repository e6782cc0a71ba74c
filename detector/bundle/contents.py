"""A bundle in memory: all that serving needs, as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from detector.classifiers.outputs import class_output
from detector.errors import CalibrationError, FusionError, SettingsError

if TYPE_CHECKING:
    from detector.bundle.canaries import Canaries
    from detector.bundle.manifest import Manifest
    from detector.conformal import ConformalCalibration
    from detector.paths.straight import Prototypes
    from detector.scoring.tap_statistics import TapStatistics

MANIFEST = "manifest.json"
CLASSIFIER = "classifier.onnx"
PROTOTYPES = "prototypes.safetensors"
SCORER = "scorer.onnx"
CALIBRATION = "calibration.safetensors"
CANARIES = "canaries.safetensors"
TAP_STATISTICS = "tap_statistics.safetensors"
REPORT = "report.html"
CONTACT_SHEET = "prototypes.png"


@dataclass(frozen=True)
class BundleParts:
    """The parts of a bundle that are arrays and graphs.

    Args:
        classifier: The wrapped model, an ONNX graph; None where it runs elsewhere.
        prototypes: Where the prototype paths lead.
        scorer: ONNX graph from features to score.
        calibration: Scores of held-out benign images.
        canaries: Inputs with the answers they must give.
        statistics: Of the taps, to read hidden paths by; None where these are not read.
    """

    classifier: bytes | None
    prototypes: Prototypes
    scorer: bytes
    calibration: ConformalCalibration
    canaries: Canaries
    statistics: TapStatistics | None = None

    @property
    def hidden_layers(self) -> int:
        """Tapped layers whose hidden paths are read."""
        return 0 if self.statistics is None else len(self.statistics.sizes)


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

    def with_canaries(self, canaries: Canaries) -> Self:
        """This bundle with other canaries, or others that are allowed more."""
        return self if canaries is self.canaries else replace(self, parts=replace(self.parts, canaries=canaries))

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
