"""A real bundle for digits, made in a second and without torch: a linear classifier, the medoids of its classes as
prototypes, and a one-class scorer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from detector.bundle import BundleParts, CalibrationSummary, Canaries, Manifest, write_bundle
from detector.calibration.conformal import PRIOR_STRENGTH, ConformalCalibration
from detector.classifiers.base import ChannelOrder, ImageSpec, OutputKind
from detector.classifiers.onnx import OnnxClassifier
from detector.engine.reference import ReferenceEngine
from detector.images import to_canonical
from detector.paths import Prototypes
from detector.profiles import PathKind, PathPlan, PathTarget, path_losses
from detector.scoring.features import profile_features
from detector.scoring.one_class import fit_one_class
from detector.verdicts import TargetRates

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array, UInt8Array

SPEC = ImageSpec(height=8, width=8, channel_order=ChannelOrder.GRAY)
PLAN = PathPlan((PathTarget(PathKind.PROTOTYPE), PathTarget(PathKind.RUNNER_UP_PROTOTYPE)), (0.25, 0.5, 0.75))
LABELS = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class ServedDigits:
    """A bundle on disk and images that calibration never saw, uint8 (N, 8, 8, 1)."""

    path: Path
    images: UInt8Array


def make_digits_bundle(path: Path) -> ServedDigits:
    """Fit, calibrate and write: a third of the digits for each of fitting, calibrating and testing."""
    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)[..., None]
    canonical = to_canonical(pixels, SPEC.shape)
    fitted, held_out, unseen = slice(0, None, 3), slice(1, None, 3), slice(2, None, 3)
    model = _linear_model(canonical[fitted], data.target[fitted])
    classifier = OnnxClassifier(model, spec=SPEC, labels=LABELS, output_kind=OutputKind.LOGITS)
    prototypes = _medoids(classifier, canonical[fitted], data.target[fitted])
    profile = ReferenceEngine(classifier, prototypes, PLAN).profile(canonical[held_out])
    features = profile_features(profile)
    scorer = fit_one_class(features[::2])
    calibration = ConformalCalibration(scorer.score(features[1::2]), profile.predicted[1::2])
    canaries = Canaries(canonical[:4], classifier.logits(canonical[:4]))
    parts = BundleParts(model, prototypes, scorer.model, calibration, canaries)
    accuracy = float((profile.predicted == data.target[held_out]).mean())
    write_bundle(path, _manifest(scorer.name, calibration, accuracy), parts, attachments={})
    return ServedDigits(path, pixels[unseen])


def _linear_model(images: Float32Array, targets: NDArray[np.int64]) -> bytes:
    linear = LogisticRegression(max_iter=2000).fit(images.reshape(len(images), -1), targets)
    constants = [
        numpy_helper.from_array(linear.coef_.T.astype(np.float32), "weights"),
        numpy_helper.from_array(linear.intercept_.astype(np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("Flatten", ["images"], ["pixels"]),
        helper.make_node("Gemm", ["pixels", "weights", "bias"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *SPEC.shape])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)])]
    graph = helper.make_graph(nodes, "digits", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def _medoids(classifier: OnnxClassifier, images: Float32Array, targets: NDArray[np.int64]) -> Prototypes:
    chosen = []
    for digit in range(len(LABELS)):
        members = images[targets == digit]
        chosen.append(members[np.argmin(((members - members.mean(0)) ** 2).sum((1, 2, 3)))])
    medoids = np.stack(chosen)
    losses = path_losses(classifier.logits(medoids)[:, None, None], np.arange(len(LABELS)))
    return Prototypes(medoids[:, None], losses[:, 0])


def _manifest(scorer: str, calibration: ConformalCalibration, accuracy: float) -> Manifest:
    return Manifest(
        spec=SPEC,
        output_kind=OutputKind.LOGITS,
        labels=LABELS,
        plan=PLAN,
        rates=TargetRates(),
        calibration=CalibrationSummary(
            scorer=scorer,
            images=len(calibration.scores),
            images_per_class=tuple(np.bincount(calibration.classes, minlength=len(LABELS)).tolist()),
            accuracy=accuracy,
            prior_strength=PRIOR_STRENGTH,
        ),
        provenance={},
        files={},
    )
