"""A bundle in memory: all that serving needs, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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


@dataclass(frozen=True)
class Canaries:
    """A few inputs with the answers they must give: is the running classifier the calibrated one?

    Args:
        images: float32 (N, channels, height, width), canonical.
        logits: float32 (N, classes), the calibrated classifier's answers.
    """

    images: Float32Array
    logits: Float32Array


@dataclass(frozen=True)
class BundleParts:
    """The parts of a bundle that are arrays and graphs.

    Args:
        classifier: The wrapped model, an ONNX graph.
        prototypes: Where the prototype paths lead.
        scorer: ONNX graph from features to score.
        calibration: Scores of held-out benign images.
        canaries: Inputs with the answers they must give.
    """

    classifier: bytes
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
