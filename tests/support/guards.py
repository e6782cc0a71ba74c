"""Guards of the digits classifier with other plans and scorers than the digits bundle's own, made in a second."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from threadpoolctl import threadpool_limits

from detector.attacks.adaptive.ball import Ball, plain_pgd
from detector.attacks.adaptive.walking import Walker
from detector.bundle import read_bundle
from detector.classifiers.loading import load_classifier, tapped
from detector.conformal import ConformalCalibration
from detector.detector import Detector
from detector.engine.walker import PathWalker
from detector.profiles import View
from detector.scoring.features import profile_features
from detector.scoring.one_class import fit_one_class
from detector.scoring.supervised import fit_supervised
from detector.scoring.tap_statistics import tap_statistics
from tests.support.bundles import DIGITS_PLAN, calibration_images

if TYPE_CHECKING:
    from pathlib import Path

    from detector.bundle import Bundle
    from detector.classifiers.base import Float32Array
    from detector.classifiers.loading import LoadedClassifier
    from detector.embedded import EmbeddedDefault
    from detector.profiles import PathPlan
    from detector.scoring.fitted import FittedScorer
    from detector.scoring.tap_statistics import TapStatistics

_BLUR = len(DIGITS_PLAN.targets) - 1
PLAIN = DIGITS_PLAN
VIEWED = replace(DIGITS_PLAN, views=tuple(View))
RESIDUAL = replace(DIGITS_PLAN, residuals=True)
TAPPED = replace(DIGITS_PLAN, tapped=(0, _BLUR))
WHOLE = replace(DIGITS_PLAN, alphas=(0.5,), tapped=(_BLUR,), views=(View.SHIFT, View.MIRROR))
_FITTED = 200
CALIBRATED = 500
"""The first images of the calibration set, which such a guard is made from."""
_BUDGETS = (0.1, 0.2)


def planned(digits: EmbeddedDefault, path: Path, plan: PathPlan, *, hidden: bool = False) -> tuple[Bundle, PathWalker]:
    """The digits bundle with another plan, its scorer no longer fitting, and the engine that walks so.

    With `hidden`, it has statistics of its taps, to read hidden paths by.
    """
    bundle = read_bundle(path)
    loaded = load_classifier(digits.classifier_file, threads=1)
    if plan.tapped:
        loaded = tapped(loaded, threads=1)
    statistics = _statistics(digits, loaded) if hidden else None
    parts = replace(bundle.parts, classifier=loaded.model, statistics=statistics)
    engine = PathWalker(loaded.classifier, parts.prototypes, plan)
    return replace(bundle, manifest=replace(bundle.manifest, plan=plan), parts=parts), engine


def _statistics(digits: EmbeddedDefault, loaded: LoadedClassifier) -> TapStatistics:
    answers = loaded.classifier.answers(calibration_images(digits)[0][:_FITTED])
    sizes = [2 * len(tap.read) for tap in loaded.taps]
    return tap_statistics(answers.taps, answers.logits.argmax(axis=1), classes=10, sizes=sizes)


def guarded(
    digits: EmbeddedDefault, path: Path, plan: PathPlan, *, supervised: bool = False, hidden: bool = False
) -> Detector:
    """The digits bundle with another plan, and a scorer that is fitted and calibrated for it."""
    bundle, engine = planned(digits, path, plan, hidden=hidden)
    images, _ = calibration_images(digits)
    profile = engine.profile(images[:CALIBRATED])
    features = profile_features(profile, bundle.parts.statistics)
    with threadpool_limits(1):  # on a busy machine threads of so small a decomposition wait for one another
        scorer = _fitted(bundle, engine, images[:_FITTED], features[:_FITTED], supervised=supervised)
    calibration = ConformalCalibration(scorer.score(features[_FITTED:]), profile.predicted[_FITTED:])
    parts = replace(bundle.parts, scorer=scorer.model, calibration=calibration)
    summary = replace(bundle.manifest.calibration, images_per_stratum=(len(calibration.scores),))
    return Detector(replace(bundle, manifest=replace(bundle.manifest, calibration=summary), parts=parts), threads=1)


def _fitted(
    bundle: Bundle, engine: PathWalker, images: Float32Array, benign: Float32Array, *, supervised: bool
) -> FittedScorer:
    if not supervised:
        return fit_one_class(benign)
    walker = Walker(bundle)
    statistics = bundle.parts.statistics
    return fit_supervised(benign, {f"pgd-{b}": _attacked(walker, engine, images, b, statistics) for b in _BUDGETS})


def _attacked(
    walker: Walker, engine: PathWalker, images: Float32Array, budget: float, statistics: TapStatistics | None
) -> Float32Array:
    originals = torch.from_numpy(images)
    labels = walker.classifier.answers(originals)[0].argmax(1)
    ball = Ball.around(originals, budget)
    moved = plain_pgd(walker, ball, labels, steps=10, generator=torch.Generator().manual_seed(1))
    profile = engine.profile(moved.numpy())
    return profile_features(profile, statistics)[profile.predicted != labels.numpy()]
