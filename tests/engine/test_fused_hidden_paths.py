"""Hidden paths in the fused graph are those of the reference engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from detector.classifiers.base import ImageSpec
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.taps import add_taps, find_layers
from detector.embedded import SPEC
from detector.engine.fused import FusedEngine
from detector.engine.reference import ReferenceEngine
from detector.errors import BundleError
from detector.images import to_canonical
from detector.profiles import PathKind, PathPlan, PathTarget
from tests.support.graphs import chain
from tests.support.guards import TAPPED, WHOLE, guarded
from tests.support.wrapped import noise, wrapped

if TYPE_CHECKING:
    from pathlib import Path

    from detector.bundle import Bundle
    from detector.classifiers.base import Classifier, Float32Array
    from detector.embedded import EmbeddedDefault

RGB = ImageSpec(height=8, width=8)
PLAN = PathPlan(
    (PathTarget(PathKind.PROTOTYPE, 1), PathTarget(PathKind.RUNNER_UP_PROTOTYPE), PathTarget(PathKind.BLUR)),
    (0.2, 0.5, 0.7),
    tapped=(0, 2),
)
CHANNELS = (6, 7, 5)


def _assert_same(bundle: Bundle, classifier: Classifier, images: Float32Array) -> None:
    fused, plain = FusedEngine(bundle, threads=1).evidence(images), ReferenceEngine(bundle, classifier).evidence(images)
    np.testing.assert_array_equal(fused.profile.predicted, plain.profile.predicted)
    np.testing.assert_allclose(fused.scores, plain.scores, rtol=1e-4, atol=1e-4)


def _tapped(opset: int | None = None) -> bytes:
    proto = onnx.load_from_string(chain(CHANNELS))
    if opset:
        proto.opset_import[0].version = opset
    model = proto.SerializeToString()
    return add_taps(model, find_layers(model, RGB.encode(noise(2, RGB))))


@pytest.mark.parametrize(
    ("plan", "supervised"), [(TAPPED, False), (WHOLE, True)], ids=["two paths, one-class", "one point, supervised"]
)
def test_scores_of_digits_and_noise_are_the_references(
    digits: EmbeddedDefault, digits_bundle: Path, plan: PathPlan, *, supervised: bool
) -> None:
    detector = guarded(digits, digits_bundle, plan, supervised=supervised, hidden=True)
    assert detector.bundle.parts.statistics is not None
    for images in (to_canonical(digits.test.pixels, SPEC.shape), noise(50, SPEC), np.zeros((1, *SPEC.shape), "f4")):
        _assert_same(detector.bundle, detector.classifier, images)


@pytest.mark.parametrize(("opset", "points"), [(11, 1), (13, 3), (17, 3), (18, 1), (21, 3)])
def test_graphs_of_every_age_and_any_number_of_points(opset: int, points: int) -> None:
    plan = replace(PLAN, alphas=PLAN.alphas[:points])
    bundle, classifier = wrapped(_tapped(opset), RGB, plan, hidden=tuple(2 * n for n in CHANNELS))
    _assert_same(bundle, classifier, noise(12, RGB, seed=2))


def test_layers_of_one_number_and_layers_that_do_not_move() -> None:
    bundle, classifier = wrapped(_tapped(), RGB, PLAN, hidden=(1, 11, 1, 13, 10))
    statistics = bundle.parts.statistics
    assert statistics is not None
    still = statistics.inverse_scale.copy()
    still[statistics.layers[1]] = 0
    bundle = replace(bundle, parts=replace(bundle.parts, statistics=replace(statistics, inverse_scale=still)))
    flat = np.full((1, *RGB.shape), 0.5, np.float32)  # its blurred copy is the image itself
    _assert_same(bundle, classifier, np.concatenate([noise(9, RGB, seed=3), flat]))


def test_statistics_of_another_classifiers_taps_are_refused() -> None:
    bundle, _ = wrapped(_tapped(), RGB, PLAN, hidden=tuple(2 * n for n in CHANNELS))
    model = chain((6, 9, 5))
    other = OnnxClassifier(add_taps(model, find_layers(model, RGB.encode(noise(2, RGB)))), spec=RGB, threads=1)
    with pytest.raises(BundleError, match=r"hidden paths are read from 36 numbers of taps, but .* give 40"):
        ReferenceEngine(bundle, other)
    narrow = replace(bundle, parts=replace(bundle.parts, classifier=chain(CHANNELS)))
    with pytest.raises(BundleError, match=r"hidden paths are read from 36 numbers of taps, but .* give 0"):
        FusedEngine(narrow, threads=1)
