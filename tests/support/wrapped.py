"""Bundles around any ONNX classifier, in memory and in a moment: prototypes are noise, and so are benign images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.bundle import Bundle, BundleParts, CalibrationSummary, Canaries, Manifest
from detector.classifiers.onnx import OnnxClassifier
from detector.conformal import ConformalCalibration
from detector.engine.walker import PathWalker
from detector.paths.straight import Prototypes
from detector.scoring.features import profile_features
from detector.scoring.one_class import fit_one_class
from detector.scoring.tap_statistics import tap_statistics
from detector.verdicts import TargetRates

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array, ImageSpec
    from detector.profiles import PathPlan

_IMAGES = 80
_FITTED = 40
_CANARIES = 3


def noise(count: int, spec: ImageSpec, *, seed: int = 0) -> Float32Array:
    """Random canonical images, all different in contrast and colour."""
    rng = np.random.default_rng(seed)
    contrast, colour = rng.random((2, count, spec.channels, 1, 1), np.float32)
    return (rng.random((count, *spec.shape), np.float32) * contrast + (1 - contrast) * colour).astype(np.float32)


def wrapped(
    model: bytes, spec: ImageSpec, plan: PathPlan, *, hidden: tuple[int, ...] = ()
) -> tuple[Bundle, OnnxClassifier]:
    """A bundle of a classifier, which may be tapped, and the classifier alone.

    Hidden paths are read where `hidden` says how many numbers each tapped layer gives.
    """
    classifier = OnnxClassifier(model, spec=spec, threads=1)
    classes = len(classifier.labels)
    rng = np.random.default_rng(1)
    prototypes = Prototypes(
        rng.random((classes, 2, *spec.shape), np.float32), rng.random((classes, 2), np.float32) / np.float32(10)
    )
    images = noise(_IMAGES, spec)
    profile = PathWalker(classifier, prototypes, plan).profile(images)
    statistics = None
    if hidden:
        assert profile.taps is not None, "hidden paths are read from taps"
        statistics = tap_statistics(profile.taps[:, 0], profile.predicted, classes=classes, sizes=hidden)
    features = profile_features(profile, statistics)
    scorer = fit_one_class(features[:_FITTED])
    calibration = ConformalCalibration(scorer.score(features[_FITTED:]), profile.predicted[_FITTED:])
    parts = BundleParts(
        model,
        prototypes,
        scorer.model,
        calibration,
        Canaries.loose(images[:_CANARIES], classifier.logits(images[:_CANARIES])),
        statistics,
    )
    summary = CalibrationSummary(
        scorer=scorer.name,
        images=_IMAGES - _FITTED,
        images_per_class=tuple(np.bincount(calibration.classes, minlength=classes).tolist()),
        images_per_stratum=tuple(np.bincount(calibration.numbers).tolist()),
        accuracy=None,
        prior_strength=calibration.prior_strength,
    )
    manifest = Manifest(
        spec=spec,
        output_kind=classifier.output_kind,
        labels=classifier.labels,
        plan=plan,
        rates=TargetRates(),
        calibration=summary,
        provenance={},
        files={},
    )
    return Bundle(manifest, parts, "0" * 64), classifier
