"""A small but real bundle for the embedded digits classifier, put together from the parts in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.bundle import BundleParts, CalibrationSummary, Manifest, write_bundle
from detector.canaries.making import make_canaries
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.torch_sources import load_exported
from detector.conformal import PRIOR_STRENGTH, ConformalCalibration
from detector.embedded import LABELS, SPEC
from detector.engine.walker import PathWalker
from detector.images import to_canonical
from detector.profiles import PathKind, PathPlan, PathTarget
from detector.prototypes.options import SynthesisOptions
from detector.scoring.features import profile_features
from detector.scoring.one_class import fit_one_class
from detector.strata import Proxy, difficulty_of, quantile_strata
from detector.verdicts import TargetRates
from tests.support.synthesis import synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.embedded import EmbeddedDefault

DIGITS_PLAN = PathPlan(
    targets=(
        PathTarget(PathKind.PROTOTYPE, 0),
        PathTarget(PathKind.PROTOTYPE, 1),
        PathTarget(PathKind.RUNNER_UP_PROTOTYPE, 0),
        PathTarget(PathKind.BLUR),
    ),
    alphas=(0.25, 0.5, 0.75),
    blur_sigma=0.7,
)
_FITTED = 400  # of the 900 calibration images, those the scorer is fitted on
_STRATA = 3


def digits_torch(digits: EmbeddedDefault) -> TorchClassifier:
    """The embedded classifier with gradients."""
    return load_exported(digits.gradients_file).classifier(SPEC, labels=LABELS)


def digits_onnx(digits: EmbeddedDefault) -> OnnxClassifier:
    """The embedded classifier as it serves."""
    return OnnxClassifier(digits.classifier_file, spec=SPEC, labels=LABELS)


def calibration_images(digits: EmbeddedDefault) -> tuple[Float32Array, NDArray[np.int64]]:
    """The embedded calibration images, canonical, and their labels."""
    with np.load(digits.images_file, allow_pickle=False) as arrays:
        return to_canonical(arrays["images"], SPEC.shape), arrays["labels"]


def build_digits_bundle(digits: EmbeddedDefault, path: Path) -> None:
    """Make prototypes, fit, calibrate and write, without the pipeline."""
    images, labels = calibration_images(digits)
    classifier = digits_onnx(digits)
    prototypes = synthesise(digits_torch(digits), SynthesisOptions())
    profile = PathWalker(classifier, prototypes, DIGITS_PLAN).profile(images)
    features = profile_features(profile)
    scorer = fit_one_class(features[:_FITTED])
    fitting = difficulty_of(profile.image_logits[:_FITTED], Proxy.MARGIN)
    strata = quantile_strata(fitting, _STRATA, least=0, proxy=Proxy.MARGIN)
    parts = BundleParts(
        classifier=digits.classifier_file.read_bytes(),
        prototypes=prototypes,
        scorer=scorer.model,
        calibration=ConformalCalibration.of(
            scorer.score(features[_FITTED:]), profile.image_logits[_FITTED:], strata, PRIOR_STRENGTH
        ),
        canaries=make_canaries(classifier, digits.classifier_file.read_bytes(), images, seed=0),
    )
    manifest = Manifest(
        spec=SPEC,
        output_kind=classifier.output_kind,
        labels=LABELS,
        plan=DIGITS_PLAN,
        rates=TargetRates(),
        calibration=_summary(parts.calibration, scorer.name, float((profile.predicted == labels).mean())),
        provenance={"seed": 0},
        files={},
    )
    write_bundle(path, manifest, parts, attachments={"report.html": b"<p>digits</p>"})


def _summary(calibration: ConformalCalibration, scorer: str, accuracy: float) -> CalibrationSummary:
    return CalibrationSummary(
        scorer=scorer,
        images=len(calibration.scores),
        images_per_class=tuple(np.bincount(calibration.classes, minlength=len(LABELS)).tolist()),
        images_per_stratum=tuple(np.bincount(calibration.numbers).tolist()),
        accuracy=accuracy,
        prior_strength=calibration.prior_strength,
    )
